//! Where the network and transport headers of a frame lie.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanparty_proto::EtherType;
use lanparty_proto::ethernet::{HEADER_LEN, TAG_LEN};

use crate::bytewise::{u8_at, u16_at};
use lanparty_proto::checksum::Sum;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;

/// Bytes of an IPv4 header without options (RFC 791, 3.1).
pub(crate) const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header (RFC 8200, 3).
pub(crate) const IPV6_LEN: usize = 40;
/// Bytes of a TCP header without options (RFC 9293, 3.1).
pub(crate) const TCP_LEN: usize = 20;
/// Bytes of a UDP header (RFC 768).
pub(crate) const UDP_LEN: usize = 8;

/// How many VLAN tags are looked behind: QinQ has two, one more for those who stack.
const MAX_TAGS: usize = 3;

/// How many IPv6 extension headers are looked behind: each of the four ordinary kinds at most twice (RFC 8200, 4.1).
const MAX_EXTENSIONS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// The network header of a frame, its bounds checked: `l3` plus its fixed part and `l4` lie inside the frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    pub(crate) version: Version,
    /// Where the IP header begins.
    pub(crate) l3: usize,
    /// Where what follows IP header, options and extension headers begins.
    pub(crate) l4: usize,
    /// What that is.
    pub(crate) protocol: u8,
    /// Where the packet ends by its own length field; padding follows. Not beyond the frame.
    pub(crate) end: usize,
    /// More fragments follow, or this is not the first.
    pub(crate) fragment: bool,
    /// This is not the first fragment, so there is no transport header.
    pub(crate) later_fragment: bool,
    /// An IPv6 routing header with segments left changes the pseudo-header's destination.
    pub(crate) routed: bool,
}

/// Finds the EtherType behind VLAN tags and where its payload begins.
pub(crate) fn ether_type(frame: &[u8]) -> Option<(EtherType, usize)> {
    let mut at = HEADER_LEN.checked_sub(2)?;
    for _ in 0..=MAX_TAGS {
        let ether_type = EtherType(u16_at(frame, at)?);
        if !ether_type.is_tag() {
            return Some((ether_type, at.checked_add(2)?));
        }
        at = at.checked_add(TAG_LEN)?;
    }

    None
}

impl Network {
    /// Reads the IP header of `frame`; `None` if there is none or it is broken.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let (kind, l3) = ether_type(frame)?;

        Self::parse_at(frame, kind, l3)
    }

    /// Reads the IP header of `frame` where [`ether_type`] found one of `kind`.
    pub(crate) fn parse_at(frame: &[u8], kind: EtherType, l3: usize) -> Option<Self> {
        match kind {
            EtherType::IPV4 => Self::parse_v4(frame, l3),
            EtherType::IPV6 => Self::parse_v6(frame, l3),
            _ => None,
        }
    }

    fn parse_v4(frame: &[u8], l3: usize) -> Option<Self> {
        let header = frame.get(l3..)?.first_chunk::<IPV4_LEN>()?;
        let [version_ihl, _, _, _, _, _, f0, f1, _, protocol, ..] = *header;
        let header_len = usize::from(version_ihl & 0x0f).checked_mul(4)?;
        if version_ihl >> 4 != 4 || header_len < IPV4_LEN {
            return None;
        }
        let l4 = l3.checked_add(header_len)?;
        let total = usize::from(u16_at(frame, l3.checked_add(2)?)?);
        let end = l3.checked_add(total)?.min(frame.len());
        let fragment = u16::from_be_bytes([f0, f1]);

        (l4 <= frame.len()).then_some(Self {
            version: Version::V4,
            l3,
            l4,
            protocol,
            end,
            fragment: fragment & 0x3fff != 0,
            later_fragment: fragment & 0x1fff != 0,
            routed: false,
        })
    }

    fn parse_v6(frame: &[u8], l3: usize) -> Option<Self> {
        let header = frame.get(l3..)?.first_chunk::<IPV6_LEN>()?;
        let [version, _, _, _, p0, p1, mut protocol, ..] = *header;
        if version >> 4 != 6 {
            return None;
        }
        let mut at = l3.checked_add(IPV6_LEN)?;
        let payload = usize::from(u16::from_be_bytes([p0, p1]));
        let mut network = Self {
            version: Version::V6,
            l3,
            l4: at,
            protocol,
            end: at.checked_add(payload)?.min(frame.len()),
            fragment: false,
            later_fragment: false,
            routed: false,
        };
        for _ in 0..MAX_EXTENSIONS {
            // Hop-by-hop, routing and destination options count in 8 bytes beyond the first (RFC 8200, 4.3-4.6), the
            // fragment header has no length (4.5), authentication counts in 4 bytes minus 2 (RFC 4302, 2.2).
            let len = match protocol {
                0 | 43 | 60 => usize::from(u8_at(frame, at.checked_add(1)?)?)
                    .checked_add(1)?
                    .checked_mul(8)?,
                44 => 8,
                51 => usize::from(u8_at(frame, at.checked_add(1)?)?)
                    .checked_add(2)?
                    .checked_mul(4)?,
                _ => {
                    network.l4 = at;
                    network.protocol = protocol;
                    return Some(network);
                }
            };
            if protocol == 43 {
                network.routed |= u8_at(frame, at.checked_add(3)?)? != 0;
            }
            if protocol == 44 {
                let offset = u16_at(frame, at.checked_add(2)?)?;
                network.fragment = true;
                network.later_fragment |= offset & 0xfff8 != 0;
            }
            protocol = u8_at(frame, at)?;
            at = at.checked_add(len).filter(|at| *at <= frame.len())?;
            if network.later_fragment {
                network.l4 = at;
                network.protocol = protocol;
                return Some(network);
            }
        }

        None
    }

    /// Returns the sum of the pseudo-header for `len` bytes of transport header and payload.
    pub(crate) fn pseudo(&self, frame: &[u8], len: usize) -> Sum {
        match self.version {
            Version::V4 => {
                let (source, destination) = self.addresses_v4(frame);
                Sum::ZERO.pseudo_v4(
                    source,
                    destination,
                    self.protocol,
                    crate::bytewise::saturate_u16(len),
                )
            }
            Version::V6 => {
                let (source, destination) = self.addresses_v6(frame);
                Sum::ZERO.pseudo_v6(
                    source,
                    destination,
                    self.protocol,
                    u32::try_from(len).unwrap_or(u32::MAX),
                )
            }
        }
    }

    /// Returns source and destination of an IPv4 packet.
    pub(crate) fn addresses_v4(&self, frame: &[u8]) -> (Ipv4Addr, Ipv4Addr) {
        let (source, destination) = self.addresses::<4>(frame, 12);

        (source.into(), destination.into())
    }

    /// Returns source and destination of an IPv6 packet.
    pub(crate) fn addresses_v6(&self, frame: &[u8]) -> (Ipv6Addr, Ipv6Addr) {
        let (source, destination) = self.addresses::<16>(frame, 8);

        (source.into(), destination.into())
    }

    fn addresses<const N: usize>(&self, frame: &[u8], offset: usize) -> ([u8; N], [u8; N]) {
        let both = frame
            .get(self.l3.saturating_add(offset)..)
            .unwrap_or_default();
        let source = both.first_chunk().copied().unwrap_or([0; N]);
        let destination = both
            .get(N..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or([0; N]);

        (source, destination)
    }
}
