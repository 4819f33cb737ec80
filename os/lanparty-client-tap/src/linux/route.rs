//! Routes that a player's machine has while it is in a party.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanparty_linux::netlink::Route;

/// The smallest metric that IPv6 has for us: the kernel's own routes to groups have 256 (`IP6_RT_PRIO_ADDRCONF`), and 0 means
/// "default".
const PREFERRED_V6: u32 = 1;

/// Why a route was not added.
#[derive(Debug, thiserror::Error)]
#[error("failed to add the route to {destination}/{prefix_len}")]
pub struct RouteError {
    /// Where it would have led.
    pub destination: IpAddr,
    /// How many bits of that count.
    pub prefix_len: u8,
    /// What the kernel said; `AlreadyExists` if another program has the same route.
    #[source]
    pub source: io::Error,
}

/// Routes that send broadcast and multicast into the party, removed when dropped.
///
/// Games announce themselves to 255.255.255.255 and to groups, and the kernel sends that to one interface only: with these,
/// the party's. There is no default route among them. They also go when the interface goes.
#[derive(Debug)]
pub struct RouteGuard {
    added: Vec<Route>,
}

impl RouteGuard {
    /// Adds the routes through the interface with number `interface`, which must be up.
    ///
    /// # Errors
    ///
    /// Returns which route was refused; those added before it are removed again.
    pub fn add(interface: u32) -> Result<Self, RouteError> {
        let route = |destination, prefix_len, metric| Route {
            destination,
            prefix_len,
            interface,
            metric,
        };
        let wanted = [
            route(IpAddr::V4(Ipv4Addr::BROADCAST), 32, 0),
            route(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4, 0),
            route(
                IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)),
                8,
                PREFERRED_V6,
            ),
        ];
        let mut guard = Self { added: Vec::new() };
        for route in wanted {
            match route.add() {
                Ok(()) => guard.added.push(route),
                // A kernel without IPv6 has no groups to send to.
                Err(source) if route.destination.is_ipv6() && is_unsupported(&source) => {}
                Err(source) => {
                    return Err(RouteError {
                        destination: route.destination,
                        prefix_len: route.prefix_len,
                        source,
                    });
                }
            }
        }

        Ok(guard)
    }
}

/// Returns whether the kernel says that it has no IPv6 here, at all or on this interface.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::EACCES | libc::EINVAL)
    )
}

impl Drop for RouteGuard {
    fn drop(&mut self) {
        for route in &self.added {
            // The interface may have gone first, and its routes with it.
            let _gone_before = route.remove().is_err();
        }
    }
}
