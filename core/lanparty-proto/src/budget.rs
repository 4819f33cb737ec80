//! From the datagram budget of a connection to the MTU of a TAP, and back (`docs/protocol.md`, clause 5).

use crate::{ethernet, overlay};

/// Bytes of every datagram that are not IP: overlay header and Ethernet header.
pub const OVERHEAD: usize = overlay::HEADER_LEN + ethernet::HEADER_LEN;

/// The MTU of a LAN and of a TAP in full-frame mode.
pub const FULL_IP_MTU: u16 = 1500;

/// The smallest MTU a room may have: the least that IPv4 hosts can be asked for in practice.
///
/// QUIC guarantees 1200 bytes of UDP payload (RFC 9000, 14), which leaves 1162 bytes of DATAGRAM payload with 8-byte
/// connection ids and so an IP MTU of 1136. Anything under this bound is no path that QUIC runs on.
pub const MIN_IP_MTU: u16 = 1100;

/// Returns the IP MTU that `budget` bytes of datagram can carry untagged, at most 1500.
pub fn ip_mtu(budget: usize) -> u16 {
    let room = budget
        .saturating_sub(OVERHEAD)
        .min(usize::from(FULL_IP_MTU));

    u16::try_from(room).unwrap_or(FULL_IP_MTU)
}

/// Returns the budget that an untagged frame with `ip_mtu` bytes of payload needs.
pub const fn datagram_len(ip_mtu: u16) -> usize {
    ip_mtu as usize + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_and_mtu_are_each_others_inverse() {
        for mtu in MIN_IP_MTU..=FULL_IP_MTU {
            assert_eq!(ip_mtu(datagram_len(mtu)), mtu);
        }
    }

    #[test]
    fn no_budget_carries_more_than_ethernet_or_less_than_nothing() {
        assert_eq!(ip_mtu(65_535), FULL_IP_MTU);
        assert_eq!(ip_mtu(0), 0);
        assert_eq!(ip_mtu(1434), 1408);
    }
}
