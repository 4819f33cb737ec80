//! Where the relay is: what a person may write, and the addresses it stands for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// The UDP port of a relay whose address names none.
pub const DEFAULT_PORT: u16 = 443;

/// A relay's DNS name or IP address, and its UDP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Ip(IpAddr),
}

impl RelayAddress {
    /// Returns the UDP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the DNS name or address alone, which is also the name to expect in a public certificate.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        }
    }

    /// Asks the system for every address, in the order to try them: as the resolver prefers, families in turn (RFC 8305, 4).
    ///
    /// This blocks while the system's resolver works.
    ///
    /// # Errors
    ///
    /// Returns an error if the name has no address or the resolver fails.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = match &self.host {
            Host::Ip(ip) => vec![SocketAddr::new(*ip, self.port)],
            Host::Name(name) => (name.as_str(), self.port)
                .to_socket_addrs()
                .map_err(|source| ResolveError::Failed {
                    name: name.clone(),
                    source,
                })?
                .collect(),
        };
        if found.is_empty() {
            return Err(ResolveError::NoAddress(self.host()));
        }

        Ok(interleave(found))
    }
}

/// Orders addresses so that families take turns, beginning with the family of the first.
fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());

    let mut ordered: Vec<SocketAddr> = Vec::new();
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

impl FromStr for RelayAddress {
    type Err = ParseAddressError;

    /// Reads `name`, `name:port`, `192.0.2.1`, `192.0.2.1:port`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // A link has a scheme, and what follows its colon is no port.
        if text.contains('/') {
            return Err(ParseAddressError::Host);
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Self {
                host: Host::Ip(ip.into()),
                port: DEFAULT_PORT,
            });
        }

        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, after) = rest.split_once(']').ok_or(ParseAddressError::Host)?;
                let ip: Ipv6Addr = ip.parse().map_err(|_no_address| ParseAddressError::Host)?;
                let port = match after.strip_prefix(':') {
                    Some(port) => Some(port),
                    None if after.is_empty() => None,
                    None => return Err(ParseAddressError::Host),
                };
                (Host::Ip(ip.into()), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host_of(host)?, Some(port)),
                None => (host_of(text)?, None),
            },
        };
        let port = match port {
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(ParseAddressError::Port)?,
            None => DEFAULT_PORT,
        };

        Ok(Self { host, port })
    }
}

fn host_of(text: &str) -> Result<Host, ParseAddressError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    let is_name = !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));

    if is_name {
        Ok(Host::Name(text.to_owned()))
    } else {
        Err(ParseAddressError::Host)
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
        }
    }
}

/// Why a text is no relay address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressError {
    /// The host is neither a name nor an address.
    #[error(
        "a relay is a name or an IP address and no link, with a port if it is not {DEFAULT_PORT}: party.example, 192.0.2.1:4433, [2001:db8::1]:4433"
    )]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

/// Why a relay's name has no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's resolver failed.
    #[error("cannot find the address of {name}; check the name and the Internet connection")]
    Failed {
        /// The name asked for.
        name: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The name exists and has no address.
    #[error("{0} has no address; check the name")]
    NoAddress(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<RelayAddress>().unwrap().to_string()
    }

    #[test]
    fn a_bare_host_means_port_443() {
        assert_eq!(shown("party.example"), "party.example:443");
        assert_eq!(shown("192.0.2.1"), "192.0.2.1:443");
        assert_eq!(shown("2001:db8::1"), "[2001:db8::1]:443");
        assert_eq!(shown("[2001:db8::1]"), "[2001:db8::1]:443");
    }

    #[test]
    fn takes_a_port_behind_any_of_them() {
        assert_eq!(shown("party.example:4433"), "party.example:4433");
        assert_eq!(shown("192.0.2.1:4433"), "192.0.2.1:4433");
        assert_eq!(shown("[2001:db8::1]:4433"), "[2001:db8::1]:4433");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            ":443",
            "[::1",
            "[::1]x",
            "a b",
            "https://party.example",
            "name:0",
            "name:70000",
            "name:",
        ] {
            assert!(text.parse::<RelayAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_is_answered_with_what_a_relay_looks_like() {
        for link in ["https://party.example", "party.example/room"] {
            assert_eq!(link.parse::<RelayAddress>(), Err(ParseAddressError::Host));
        }
    }

    #[test]
    fn families_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (v6a, v6b, v4) = (
            address("[::1]:1"),
            address("[::2]:1"),
            address("127.0.0.1:1"),
        );

        assert_eq!(interleave(vec![v6a, v6b, v4, v6a]), [v6a, v4, v6b]);
    }

    #[test]
    fn a_literal_needs_no_resolver() {
        let relay: RelayAddress = "127.0.0.1:9".parse().unwrap();

        assert_eq!(relay.resolve().unwrap(), ["127.0.0.1:9".parse().unwrap()]);
    }
}
