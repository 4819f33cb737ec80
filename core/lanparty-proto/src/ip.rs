//! IP packets in frames: the one view of their headers.
//!
//! Policy, address bindings, flows, MSS, segmentation, "packet too big" and congestion marks all read
//! IP headers here, so they cannot differ about where a header lies or what a length means. There are
//! two validations of the same view:
//!
//! - *lenient* ([`ipv4::Packet::parse`], [`ipv6::Packet::parse`], [`Layout::parse`]): the header is all
//!   there and does not contradict itself. The packet may end early, as in the first overlay fragment
//!   of a frame; then its payload is what is there.
//! - *strict* ([`ipv4::Packet::parse_whole`], [`ipv6::Packet::parse_whole`],
//!   [`ipv6::Packet::upper_strict`]): all the bytes that the header claims are there, too, and a chain
//!   of extension headers is one that a host may send.
//!
//! What both accept they read alike. Bytes behind the claimed length are padding in both.

pub mod ecn;
pub mod ipv4;
pub mod ipv6;
pub mod transport;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::checksum::Sum;
use crate::read::array;
use crate::{EtherType, Frame, Kind};

/// IP protocol and next header numbers (IANA "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// Hop-by-hop options of IPv6.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// The routing header of IPv6.
    pub const ROUTING: u8 = 43;
    /// The fragment header of IPv6.
    pub const FRAGMENT: u8 = 44;
    /// The authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// `ICMPv6`.
    pub const ICMPV6: u8 = 58;
    /// Destination options of IPv6.
    pub const DESTINATION: u8 = 60;
}

/// The version of an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// Where the headers of the IP packet in a frame lie, in bytes from the start of the frame.
///
/// This is the view without a borrow, for those who write into the frame. Its offsets lie inside the
/// frame that it was read from, and inside every copy of that frame's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Which headers they are.
    pub version: Version,
    /// Where the IP header begins.
    pub l3: usize,
    /// Where what follows the IP header, its options and extension headers begins.
    pub l4: usize,
    /// Where the packet ends: by its own length, or where the frame ends before that.
    pub end: usize,
    /// What stands at `l4`.
    pub protocol: u8,
    /// Whether more fragments follow, or this is not the first.
    pub is_fragment: bool,
    /// Whether this is not the first fragment, so that there is no transport header.
    pub is_later_fragment: bool,
    /// Whether an IPv6 routing header with segments left changes the pseudo-header's destination.
    pub is_routed: bool,
    /// Whether all the bytes that the header claims are there.
    pub is_whole: bool,
}

impl Layout {
    /// Reads the IP header in the bytes of a frame, leniently. Returns nothing if there is none, or
    /// one that is broken.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::of(&Frame::parse(bytes).ok()?)
    }

    /// Reads the IP header of `frame`, leniently. Returns nothing if there is none, or one that is
    /// broken.
    pub fn of(frame: &Frame<'_>) -> Option<Self> {
        let l3 = frame.header_len();
        match frame.kind() {
            Kind::Type(EtherType::IPV4) => {
                let packet = ipv4::Packet::parse(frame.payload())?;
                let l4 = l3.saturating_add(packet.header_len());

                Some(Self {
                    version: Version::V4,
                    l3,
                    l4,
                    end: l4.saturating_add(packet.payload().len()),
                    protocol: packet.protocol(),
                    is_fragment: packet.is_fragment(),
                    is_later_fragment: packet.is_later_fragment(),
                    is_routed: false,
                    is_whole: packet.is_whole(),
                })
            }
            Kind::Type(EtherType::IPV6) => {
                let packet = ipv6::Packet::parse(frame.payload())?;
                let upper = packet.upper()?;
                let end = l3
                    .saturating_add(ipv6::HEADER_LEN)
                    .saturating_add(packet.payload().len());

                Some(Self {
                    version: Version::V6,
                    l3,
                    l4: end.saturating_sub(upper.bytes.len()),
                    end,
                    protocol: upper.protocol,
                    is_fragment: upper.is_fragment,
                    is_later_fragment: upper.is_later_fragment,
                    is_routed: upper.is_routed,
                    is_whole: packet.is_whole(),
                })
            }
            Kind::Type(_) | Kind::Length(_) => None,
        }
    }

    /// Returns what follows the IP headers in `frame`, without padding.
    #[inline]
    pub fn transport<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.l4..self.end).unwrap_or_default()
    }

    /// Returns source and destination address in `frame`, 8 or 32 bytes.
    #[inline]
    pub fn addresses<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let (start, end) = match self.version {
            Version::V4 => (12, 20),
            Version::V6 => (8, 40),
        };

        frame
            .get(self.l3.saturating_add(start)..self.l3.saturating_add(end))
            .unwrap_or_default()
    }

    /// Returns source and destination of the IPv4 packet in `frame`.
    pub fn addresses_v4(&self, frame: &[u8]) -> (Ipv4Addr, Ipv4Addr) {
        let both = self.addresses(frame);
        let [source, destination] =
            [0, 4].map(|at| array::<4>(both, at).unwrap_or_default().into());

        (source, destination)
    }

    /// Returns source and destination of the IPv6 packet in `frame`.
    pub fn addresses_v6(&self, frame: &[u8]) -> (Ipv6Addr, Ipv6Addr) {
        let both = self.addresses(frame);
        let [source, destination] =
            [0, 16].map(|at| array::<16>(both, at).unwrap_or_default().into());

        (source, destination)
    }

    /// Returns the sum of the pseudo-header for `len` bytes of transport header and payload.
    pub fn pseudo(&self, frame: &[u8], len: usize) -> Sum {
        match self.version {
            Version::V4 => {
                let (source, destination) = self.addresses_v4(frame);
                let len = u16::try_from(len).unwrap_or(u16::MAX);

                Sum::ZERO.pseudo_v4(source, destination, self.protocol, len)
            }
            Version::V6 => {
                let (source, destination) = self.addresses_v6(frame);
                let len = u32::try_from(len).unwrap_or(u32::MAX);

                Sum::ZERO.pseudo_v6(source, destination, self.protocol, len)
            }
        }
    }
}

/// What an IP packet says of its flow, whatever its version.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// Source and destination address, 8 or 32 bytes.
    pub addresses: &'a [u8],
    /// The number of the protocol of `transport`.
    pub protocol: u8,
    /// What follows the IP headers, without padding; in a later fragment, some bytes of the packet.
    pub transport: &'a [u8],
    /// Whether more fragments follow, or this is not the first.
    pub is_fragment: bool,
    /// Whether this is not the first fragment, so that there is no transport header.
    pub is_later_fragment: bool,
    /// Whether all the bytes that the header claims are there.
    pub is_whole: bool,
}

impl<'a> Headers<'a> {
    /// Reads the IP header of `frame`, leniently. Returns nothing if there is none, or one that is
    /// broken.
    #[inline]
    pub fn of(frame: &Frame<'a>) -> Option<Self> {
        match frame.kind() {
            Kind::Type(EtherType::IPV4) => {
                let packet = ipv4::Packet::parse(frame.payload())?;

                Some(Self {
                    addresses: packet.addresses(),
                    protocol: packet.protocol(),
                    transport: packet.payload(),
                    is_fragment: packet.is_fragment(),
                    is_later_fragment: packet.is_later_fragment(),
                    is_whole: packet.is_whole(),
                })
            }
            Kind::Type(EtherType::IPV6) => {
                let packet = ipv6::Packet::parse(frame.payload())?;
                let upper = packet.upper()?;

                Some(Self {
                    addresses: packet.addresses(),
                    protocol: upper.protocol,
                    transport: upper.bytes,
                    is_fragment: upper.is_fragment,
                    is_later_fragment: upper.is_later_fragment,
                    is_whole: packet.is_whole(),
                })
            }
            Kind::Type(_) | Kind::Length(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
