//! The part of a system's network state that we know of.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Names an interface for as long as its adapter is installed (`NET_LUID`, ifdef.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Luid(pub u64);

/// Names an adapter: the GUID as the registry has it, `{01234567-89AB-CDEF-0123-456789ABCDEF}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AdapterId(pub String);

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prefix {
    /// Its address.
    pub address: IpAddr,
    /// Bits of the address that name the network.
    pub len: u8,
}

impl Prefix {
    /// Returns the network of one address alone.
    pub const fn host(address: IpAddr) -> Self {
        Self {
            address,
            len: Family::of(address).bits(),
        }
    }

    /// Returns whether `address` is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (bits_of(self.address), bits_of(address));
        if Family::of(self.address) != Family::of(address) {
            return false;
        }
        let rest = Family::of(address).bits().saturating_sub(self.len);

        (own ^ other).checked_shr(u32::from(rest)).unwrap_or(0) == 0
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where packets are for.
    pub destination: Prefix,
    /// Who passes them on; unspecified where the destination is on the link.
    pub next_hop: IpAddr,
    /// The interface they leave by.
    pub interface: Luid,
    /// Added to the interface's metric: the smallest sum wins.
    pub metric: u32,
}

impl Route {
    /// Returns whether Windows takes both for the same route: it may have one with this destination, next hop and interface.
    pub fn is_same(&self, other: &Self) -> bool {
        self.destination == other.destination
            && self.next_hop == other.next_hop
            && self.interface == other.interface
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.next_hop.is_unspecified() {
            write!(f, "{} on the link", self.destination)
        } else {
            write!(f, "{} through {}", self.destination, self.next_hop)
        }
    }
}

/// Whether routers on the link may say where packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouterDiscovery {
    /// They may not.
    Disabled,
    /// They may.
    Enabled,
    /// They may if DHCP says so.
    Dhcp,
}

/// What an interface does for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The IP MTU.
    pub mtu: u32,
    /// Whether Windows chooses the metric by link speed.
    pub automatic_metric: bool,
    /// Added to each route's metric.
    pub metric: u32,
    /// Whether default routes by this interface are ignored.
    pub default_routes_disabled: bool,
    /// Whether routers on the link are listened to.
    pub router_discovery: RouterDiscovery,
}

impl Settings {
    /// Takes `to` back to `from` where this still has what `to` brought; what has been changed since stays.
    #[must_use]
    pub fn restored(self, from: &Self, to: &Self) -> Self {
        let mut settings = self;
        put_back(&mut settings.mtu, &from.mtu, &to.mtu);
        put_back(
            &mut settings.default_routes_disabled,
            &from.default_routes_disabled,
            &to.default_routes_disabled,
        );
        put_back(
            &mut settings.router_discovery,
            &from.router_discovery,
            &to.router_discovery,
        );
        // One choice in two fields.
        let mut metric = settings.metric_choice();
        put_back(&mut metric, &from.metric_choice(), &to.metric_choice());
        (settings.automatic_metric, settings.metric) = metric;

        settings
    }

    const fn metric_choice(&self) -> (bool, u32) {
        (self.automatic_metric, self.metric)
    }
}

fn put_back<T: PartialEq + Copy>(now: &mut T, from: &T, to: &T) {
    if now == to {
        *now = *from;
    }
}

/// An interface, as far as one family goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// What it does.
    pub settings: Settings,
    /// Whether packets can pass.
    pub connected: bool,
}

/// What a network is to Windows' firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Category {
    /// Others cannot reach this PC.
    Public,
    /// Others can, as far as the firewall's rules for private networks go.
    Private,
    /// A company's domain.
    Domain,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Domain => "domain",
        })
    }
}

/// The state at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every route.
    pub routes: Vec<Route>,
    /// Every interface that a route names, and the TAP's; absent for families that it does not have.
    pub interfaces: BTreeMap<(Luid, Family), Interface>,
    /// The category of the TAP's network; `None` while it is in none, and where the system cannot tell.
    pub category: Option<Category>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_contains_what_shares_its_bits() {
        let prefix = |address: &str, len| Prefix {
            address: address.parse().unwrap(),
            len,
        };

        assert!(prefix("192.0.2.0", 24).contains("192.0.2.255".parse().unwrap()));
        assert!(!prefix("192.0.2.0", 24).contains("192.0.3.0".parse().unwrap()));
        assert!(prefix("0.0.0.0", 0).contains("192.0.2.1".parse().unwrap()));
        assert!(!prefix("0.0.0.0", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(prefix("::", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(prefix("2001:db8::", 32).contains("2001:db8:1::1".parse().unwrap()));
        assert!(
            Prefix::host("2001:db8::1".parse().unwrap()).contains("2001:db8::1".parse().unwrap())
        );
    }
}
