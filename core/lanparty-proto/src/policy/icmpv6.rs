//! ICMPv6 and neighbour discovery from remote clients (RFC 4443, 4861, 3810).

use super::Refusal;
use crate::ip::ipv6::Packet;
use crate::read::{array, byte};
use crate::{Frame, MacAddr};

/// ICMPv6 types (IANA "ICMPv6 Parameters").
pub(crate) mod kind {
    pub(crate) const MLD_QUERY: u8 = 130;
    pub(crate) const ROUTER_SOLICITATION: u8 = 133;
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(crate) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(crate) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(crate) const REDIRECT: u8 = 137;
}

/// Bytes of the shortest ICMPv6 message.
const MIN_LEN: usize = 8;

/// The flag by which a neighbour claims to be a router (RFC 4861, 4.4).
const ROUTER_FLAG: u8 = 0x80;

/// The hop limit that only a neighbour can send (RFC 4861, 6.1 and 7.1).
const ON_LINK: u8 = 255;

pub(super) fn check(frame: &Frame<'_>, packet: &Packet<'_>, bytes: &[u8]) -> Result<(), Refusal> {
    let Some(kind) = byte(bytes, 0) else {
        return Err(Refusal::TransportMalformed);
    };

    match kind {
        kind::ROUTER_ADVERTISEMENT => Err(Refusal::RouterAdvertisement),
        kind::REDIRECT => Err(Refusal::Redirect),
        kind::MLD_QUERY => Err(Refusal::MulticastQuery),
        151..=153 => Err(Refusal::MulticastRouter),
        kind::ROUTER_SOLICITATION => check_neighbor(frame, packet, bytes, 8),
        kind::NEIGHBOR_SOLICITATION => check_neighbor(frame, packet, bytes, 24),
        kind::NEIGHBOR_ADVERTISEMENT => {
            if byte(bytes, 4).is_none_or(|flags| flags & ROUTER_FLAG != 0) {
                return Err(Refusal::NdRouter);
            }
            check_neighbor(frame, packet, bytes, 24)
        }
        // Errors, echo, and what a listener reports.
        1..=4 | 128 | 129 | 131 | 132 | 143 if bytes.len() >= MIN_LEN => Ok(()),
        1..=4 | 128 | 129 | 131 | 132 | 143 => Err(Refusal::TransportMalformed),
        _ => Err(Refusal::Icmpv6Type),
    }
}

/// Neighbour discovery comes from a neighbour, and in its own name.
fn check_neighbor(
    frame: &Frame<'_>,
    packet: &Packet<'_>,
    bytes: &[u8],
    options_at: usize,
) -> Result<(), Refusal> {
    if packet.hop_limit() != ON_LINK || byte(bytes, 1) != Some(0) {
        return Err(Refusal::NdMalformed);
    }
    let Some(options) = bytes.get(options_at..) else {
        return Err(Refusal::NdMalformed);
    };

    check_options(options, frame.source())
}

/// Every link-layer address must be the sender's (RFC 4861, 4.6.1).
fn check_options(mut options: &[u8], sender: MacAddr) -> Result<(), Refusal> {
    const SOURCE_LINK_LAYER: u8 = 1;
    const TARGET_LINK_LAYER: u8 = 2;

    while !options.is_empty() {
        let Some([kind, units]) = array(options, 0) else {
            return Err(Refusal::NdMalformed);
        };
        let len = usize::from(units).saturating_mul(8);
        let (Some(rest), true) = (options.get(len..), len > 0) else {
            return Err(Refusal::NdMalformed);
        };
        let is_address = matches!(kind, SOURCE_LINK_LAYER | TARGET_LINK_LAYER);
        if is_address && (units != 1 || array(options, 2) != Some(sender.0)) {
            return Err(Refusal::NdSender);
        }
        options = rest;
    }

    Ok(())
}
