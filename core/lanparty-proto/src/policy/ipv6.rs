//! IPv6 from remote clients (RFC 8200), with the whole chain of extension headers.
//!
//! In the spirit of RFC 7112, 7113 (RA-Guard) and 7610 (DHCPv6-Shield), and simpler: what is not understood is refused, and
//! so is every fragment.

use super::read::array;
use super::{Policy, Refusal, icmpv6, transport};
use crate::Frame;

/// Bytes of the fixed IPv6 header.
pub(crate) const HEADER_LEN: usize = 40;

/// The most extension headers in one chain.
///
/// RFC 8200, 4.1 lists six kinds of which one may come twice; nothing on a LAN comes near.
pub(crate) const MAX_EXTENSIONS: usize = 8;

/// The most bytes of extension headers: a hop-by-hop header with a router alert has 8 (RFC 2711).
pub(crate) const MAX_CHAIN_LEN: usize = 256;

/// Next header numbers (IANA "Protocol Numbers").
pub(crate) mod next {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const AUTHENTICATION: u8 = 51;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const DESTINATION: u8 = 60;
}

/// An IPv6 header whose payload length is true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    pub(crate) header: [u8; HEADER_LEN],
    /// What the payload length says is there, without Ethernet padding.
    pub(crate) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the header at the start of a frame's payload.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = array::<HEADER_LEN>(bytes, 0)?;
        let [version, _, _, _, l0, l1, ..] = header;
        if version >> 4 != 6 {
            return None;
        }
        let payload = bytes
            .get(HEADER_LEN..)?
            .get(..usize::from(u16::from_be_bytes([l0, l1])))?;

        Some(Self { header, payload })
    }

    #[inline]
    pub(crate) const fn next_header(&self) -> u8 {
        let [_, _, _, _, _, _, next, ..] = self.header;

        next
    }

    #[inline]
    pub(crate) const fn hop_limit(&self) -> u8 {
        let [_, _, _, _, _, _, _, hop_limit, ..] = self.header;

        hop_limit
    }

    pub(crate) fn source(&self) -> [u8; 16] {
        let [_, _, _, _, _, _, _, _, rest @ ..] = self.header;

        rest.first_chunk().copied().unwrap_or_default()
    }

    pub(crate) fn destination(&self) -> [u8; 16] {
        self.header.last_chunk().copied().unwrap_or_default()
    }
}

/// What stands behind a chain of extension headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upper<'a> {
    /// The protocol number.
    pub(crate) protocol: u8,
    /// Its header and what follows.
    pub(crate) bytes: &'a [u8],
    /// Whether a fragment header with an offset of 0 stood in the chain.
    pub(crate) first_fragment: bool,
}

/// Where a chain ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chain<'a> {
    /// At an upper-layer header.
    Upper(Upper<'a>),
    /// At a fragment header with an offset: the rest is in another packet.
    LaterFragment,
}

/// Walks the chain of extension headers.
///
/// # Errors
///
/// Returns [`Refusal::Ipv6Chain`] if it is truncated, over its limits, out of order, or holds a type 0 routing header.
pub(crate) fn walk<'a>(packet: &Packet<'a>) -> Result<Chain<'a>, Refusal> {
    let mut protocol = packet.next_header();
    let mut bytes = packet.payload;
    let mut first_fragment = false;

    for index in 0..=MAX_EXTENSIONS {
        let is_extension = matches!(
            protocol,
            next::HOP_BY_HOP
                | next::ROUTING
                | next::FRAGMENT
                | next::AUTHENTICATION
                | next::DESTINATION
        );
        if !is_extension {
            return Ok(Chain::Upper(Upper {
                protocol,
                bytes,
                first_fragment,
            }));
        }
        // Hop-by-hop options come first or not at all (RFC 8200, 4.1).
        if protocol == next::HOP_BY_HOP && index > 0 {
            return Err(Refusal::Ipv6Chain);
        }

        let extension = Extension::read(protocol, bytes).ok_or(Refusal::Ipv6Chain)?;
        if extension.later_fragment {
            return Ok(Chain::LaterFragment);
        }
        first_fragment |= protocol == next::FRAGMENT;
        protocol = extension.next;
        bytes = extension.rest;
        if packet.payload.len().saturating_sub(bytes.len()) > MAX_CHAIN_LEN {
            break;
        }
    }

    Err(Refusal::Ipv6Chain)
}

/// One extension header.
struct Extension<'a> {
    next: u8,
    later_fragment: bool,
    rest: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Reads an extension header of the given kind, unless it is truncated or deprecated.
    fn read(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        let [next, length, third, fourth] = array(bytes, 0)?;
        let len = match kind {
            next::FRAGMENT => 8,
            // In units of 4 bytes, less 2 (RFC 4302, 2.2).
            next::AUTHENTICATION => usize::from(length).saturating_add(2).saturating_mul(4),
            // In units of 8 bytes, less 1 (RFC 8200, 4.3 to 4.6).
            _ => usize::from(length).saturating_add(1).saturating_mul(8),
        };
        // Type 0 of the routing header is deprecated (RFC 5095).
        if kind == next::ROUTING && third == 0 {
            return None;
        }
        // Not even room for an index and a sequence number.
        if kind == next::AUTHENTICATION && length == 0 {
            return None;
        }
        let offset = u16::from_be_bytes([third, fourth]) >> 3;

        Some(Self {
            next,
            later_fragment: kind == next::FRAGMENT && offset != 0,
            rest: bytes.get(len..)?,
        })
    }
}

/// Decides about a remote client's IPv6.
#[inline]
pub(super) fn check(policy: Policy, frame: &Frame<'_>) -> Result<(), Refusal> {
    let Some(packet) = Packet::parse(frame.payload()) else {
        return Err(Refusal::Ipv6Malformed);
    };
    check_addresses(&packet)?;

    match packet.next_header() {
        next::UDP => transport::check_udp(frame, packet.payload),
        next::TCP => transport::check_tcp(packet.payload),
        _ => check_chain(policy, frame, &packet),
    }
}

/// Multicast and loopback addresses send nothing; nothing is sent to loopback or to nobody (RFC 4291, 2.5 and 2.7).
#[inline]
fn check_addresses(packet: &Packet<'_>) -> Result<(), Refusal> {
    let source = u128::from_be_bytes(packet.source());
    let destination = u128::from_be_bytes(packet.destination());
    let is_multicast = source >> 120 == 0xff;
    if is_multicast || source == 1 || destination <= 1 {
        return Err(Refusal::IpAddress);
    }

    Ok(())
}

#[inline(never)]
fn check_chain(policy: Policy, frame: &Frame<'_>, packet: &Packet<'_>) -> Result<(), Refusal> {
    let upper = match walk(packet)? {
        Chain::Upper(upper) if !upper.first_fragment => upper,
        Chain::Upper(_) | Chain::LaterFragment => return Err(Refusal::Ipv6Fragment),
    };

    match upper.protocol {
        next::UDP => transport::check_udp(frame, upper.bytes),
        next::TCP => transport::check_tcp(upper.bytes),
        next::ICMPV6 => icmpv6::check(frame, packet, upper.bytes),
        other => transport::check_protocol(policy, other),
    }
}
