//! Who counts as one: an address, and the network that it is in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::limit::Limit;
use super::share::Over;

/// Whose connections are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// One line: an IPv4 address, or an IPv6 /64, of which every network behind a line has at least one (RFC 6177).
    Address(IpAddr),
    /// One network: an IPv4 /24, the least that is routed on its own, or an IPv6 /48, the most that one site gets (RFC 6177).
    Network(IpAddr),
}

impl Group {
    /// Returns the line of an address.
    pub(super) fn address(address: IpAddr) -> Self {
        Self::Address(prefix(address, 32, 64))
    }

    /// Returns the network of an address.
    pub(super) fn network(address: IpAddr) -> Self {
        Self::Network(prefix(address, 24, 48))
    }

    /// Returns the limit that a group met.
    pub(super) const fn limit(self, over: Over) -> Limit {
        match (self, over) {
            (Self::Address(_), Over::Connections) => Limit::AddressConnections,
            (Self::Address(_), Over::Connects) => Limit::AddressConnects,
            (Self::Address(_), Over::Handshakes) => Limit::AddressHandshakes,
            (Self::Network(_), Over::Connections) => Limit::NetworkConnections,
            (Self::Network(_), Over::Connects) => Limit::NetworkConnects,
            (Self::Network(_), Over::Handshakes) => Limit::NetworkHandshakes,
        }
    }
}

/// Returns an address without what follows its first bits. An IPv4 address is one however it is written.
fn prefix(address: IpAddr, bits_v4: u32, bits_v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX << (32 - bits_v4);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - bits_v6);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_ipv6_line_is_one_address() {
        let one = Group::address(ip("2001:db8:0:1::1"));

        assert_eq!(one, Group::address(ip("2001:db8:0:1:ff::2")));
        assert_ne!(one, Group::address(ip("2001:db8:0:2::1")));
        assert_eq!(
            Group::address(ip("::ffff:192.0.2.1")),
            Group::Address(ip("192.0.2.1"))
        );
    }

    #[test]
    fn a_network_has_many_addresses() {
        assert_eq!(
            Group::network(ip("192.0.2.1")),
            Group::network(ip("::ffff:192.0.2.255"))
        );
        assert_ne!(
            Group::network(ip("192.0.2.1")),
            Group::network(ip("192.0.3.1"))
        );
        assert_eq!(
            Group::network(ip("2001:db8:1:2::1")),
            Group::network(ip("2001:db8:1:ffff::1"))
        );
        assert_ne!(
            Group::network(ip("2001:db8:1::1")),
            Group::network(ip("2001:db8:2::1"))
        );
    }
}
