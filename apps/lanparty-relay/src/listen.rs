//! Where the relay listens.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Where the relay listens: `443/udp`, `0.0.0.0:443`, `[2001:db8::1]:443`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// This port on every address.
    Everywhere(u16),
    /// This address alone.
    At(SocketAddr),
}

impl Listen {
    /// Returns the addresses to try, the first that works being the one.
    ///
    /// A wildcard IPv6 socket takes IPv4 as well; systems without IPv6 get the IPv4 one.
    pub(crate) fn candidates(self) -> Vec<SocketAddr> {
        match self {
            Self::At(address) => vec![address],
            Self::Everywhere(port) => vec![
                (Ipv6Addr::UNSPECIFIED, port).into(),
                (Ipv4Addr::UNSPECIFIED, port).into(),
            ],
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        let port = text.strip_suffix("/udp").unwrap_or(text);

        port.parse()
            .map(Self::Everywhere)
            .map_err(|_not_a_port| "write a port like 443/udp, or an address and port like 192.0.2.1:443 or [2001:db8::1]:443".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_port_and_an_address() {
        assert_eq!("443/udp".parse(), Ok(Listen::Everywhere(443)));
        assert_eq!("443".parse(), Ok(Listen::Everywhere(443)));
        let address: SocketAddr = "[::1]:4433".parse().unwrap();
        assert_eq!("[::1]:4433".parse(), Ok(Listen::At(address)));
        for text in ["", "443/tcp", "udp", "65536/udp", "192.0.2.1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_address_means_both_families() {
        let candidates = Listen::Everywhere(443).candidates();

        assert!(candidates[0].is_ipv6());
        assert!(candidates[1].is_ipv4());
    }
}
