//! What the party needs, and what is missing for it.

use std::cmp::Reverse;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::{
    AdapterId, Category, Family, Luid, Prefix, Route, RouterDiscovery, Settings, Snapshot, Step,
};

/// The TAP's metric. Broadcasts and multicast leave by the interface with the lowest, and Windows' own choices begin at 5.
const TAP_METRIC: u32 = 1;
/// The smallest IP MTU of an IPv4 interface (RFC 791 says what every host must take; `SetIpInterfaceEntry` refuses less).
const MIN_MTU_V4: u32 = 576;
/// The smallest IP MTU of an IPv6 link (RFC 8200, 5).
const MIN_MTU_V6: u32 = 1280;

/// What the party needs from this PC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredState {
    /// The relay's addresses, to be reached past the TAP whatever the party's LAN says.
    pub relays: Vec<IpAddr>,
    /// The TAP, once it is open.
    pub tap: Option<DesiredTap>,
}

/// What the TAP needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTap {
    /// Its interface.
    pub interface: Luid,
    /// Its adapter.
    pub adapter: AdapterId,
    /// The room's IP MTU.
    pub mtu: u16,
}

/// How a relay address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// By a route of ours.
    Ours(Route),
    /// By a route for exactly this address that was there.
    Existing(Route),
    /// By no route: the address is this PC's own.
    Loopback(IpAddr),
    /// Not at all now: no interface but perhaps the TAP leads there.
    NoRoute(IpAddr),
}

impl Pin {
    /// Returns whether the address is reached past the TAP.
    pub const fn is_pinned(&self) -> bool {
        !matches!(self, Self::NoRoute(_))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(route) => write!(f, "{route}"),
            Self::Existing(route) => write!(f, "{route} (was there)"),
            Self::Loopback(address) => write!(f, "{address} is this PC"),
            Self::NoRoute(address) => write!(f, "{address} cannot be reached now"),
        }
    }
}

/// What is missing, and what is worth knowing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// How each relay address is reached once that is done.
    pub pins: Vec<Pin>,
    /// Whether the TAP's default routes were not ignored yet: the party's LAN could have become this PC's way to the Internet.
    pub default_routes_enabled: bool,
    /// Default routes by the TAP that are in the table, ignored or not.
    pub default_routes: Vec<Route>,
}

/// Compares what is wished for with what is there. `ours` are the routes that we added before.
pub fn plan(desired: &DesiredState, snapshot: &Snapshot, ours: &[Route]) -> Plan {
    let mut plan = Plan::default();
    let tap = desired.tap.as_ref().map(|tap| tap.interface);
    for relay in &desired.relays {
        let pin = pin(*relay, tap, snapshot, ours);
        if let Pin::Ours(route) = pin {
            plan.add_route(route, snapshot);
        }
        plan.pins.push(pin);
    }
    if let Some(tap) = &desired.tap {
        plan.set_up(tap, snapshot);
    }

    plan
}

fn pin(relay: IpAddr, tap: Option<Luid>, snapshot: &Snapshot, ours: &[Route]) -> Pin {
    if relay.is_loopback() {
        return Pin::Loopback(relay);
    }
    let is_ours = |route: &Route| ours.iter().any(|own| own.is_same(route));
    let Some(best) = best_route(snapshot, relay, |route| {
        Some(route.interface) != tap && !is_ours(route)
    }) else {
        return Pin::NoRoute(relay);
    };
    if best.destination == Prefix::host(relay) {
        return Pin::Existing(best);
    }

    Pin::Ours(Route {
        destination: Prefix::host(relay),
        metric: 0,
        ..best
    })
}

/// Returns the route that packets for `address` take among those that `may` says: the longest prefix, then the smallest metric.
///
/// Routes by interfaces that are not connected take no packets.
pub fn best_route(
    snapshot: &Snapshot,
    address: IpAddr,
    may: impl Fn(&Route) -> bool,
) -> Option<Route> {
    let family = Family::of(address);
    let usable = snapshot.routes.iter().filter(|route| {
        let interface = snapshot.interfaces.get(&(route.interface, family));
        route.destination.contains(address)
            && interface.is_none_or(|interface| interface.connected)
            && may(route)
    });

    usable
        .min_by_key(|route| {
            let interface = snapshot.interfaces.get(&(route.interface, family));
            let own = interface.map_or(0, |interface| interface.settings.metric);
            (
                Reverse(route.destination.len),
                own.saturating_add(route.metric),
            )
        })
        .copied()
}

impl Plan {
    fn add_route(&mut self, route: Route, snapshot: &Snapshot) {
        let is_there = snapshot.routes.iter().any(|other| other.is_same(&route));
        let step = Step::AddRoute(route);
        if !is_there && !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    fn set_up(&mut self, tap: &DesiredTap, snapshot: &Snapshot) {
        for family in Family::ALL {
            self.set_interface(tap, family, snapshot);
        }
        if snapshot
            .interfaces
            .contains_key(&(tap.interface, Family::V4))
        {
            for destination in BROADCASTS {
                let route = Route {
                    destination,
                    next_hop: Ipv4Addr::UNSPECIFIED.into(),
                    interface: tap.interface,
                    metric: 0,
                };
                self.add_route(route, snapshot);
            }
        }
        if let Some(from @ Category::Public) = snapshot.category {
            self.steps.push(Step::SetCategory {
                adapter: tap.adapter.clone(),
                from,
                to: Category::Private,
            });
        }
        let by_tap = snapshot.routes.iter().filter(|route| {
            route.interface == tap.interface
                && route.destination.len == 0
                && !route.next_hop.is_unspecified()
        });
        self.default_routes.extend(by_tap);
    }

    fn set_interface(&mut self, tap: &DesiredTap, family: Family, snapshot: &Snapshot) {
        let Some(interface) = snapshot.interfaces.get(&(tap.interface, family)) else {
            return;
        };
        let from = interface.settings;
        let to = Settings {
            mtu: u32::from(tap.mtu).max(match family {
                Family::V4 => MIN_MTU_V4,
                Family::V6 => MIN_MTU_V6,
            }),
            automatic_metric: false,
            metric: TAP_METRIC,
            default_routes_disabled: true,
            router_discovery: RouterDiscovery::Disabled,
        };
        self.default_routes_enabled |= !from.default_routes_disabled;
        if from != to {
            self.steps.push(Step::SetInterface {
                interface: tap.interface,
                family,
                from,
                to,
            });
        }
    }
}

/// Where games announce themselves: the limited broadcast address (RFC 919) and multicast (RFC 5771).
const BROADCASTS: [Prefix; 2] = [
    Prefix {
        address: IpAddr::V4(Ipv4Addr::BROADCAST),
        len: 32,
    },
    Prefix {
        address: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)),
        len: 4,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::{ETHERNET, TAP, default_route, desired, home, route};

    #[test]
    fn the_relay_is_pinned_by_the_way_that_leads_there_now() {
        let plan = plan(&desired(), &home(), &[]);
        let pinned = route("203.0.113.7", 32, "192.168.1.1", ETHERNET, 0);

        assert_eq!(plan.steps[0], Step::AddRoute(pinned));
        assert_eq!(plan.pins, [Pin::Ours(pinned)]);
    }

    #[test]
    fn a_route_for_exactly_the_relay_is_used_and_left_alone() {
        let mut snapshot = home();
        let own = route("203.0.113.7", 32, "192.168.1.254", ETHERNET, 5);
        snapshot.routes.push(own);
        let plan = plan(&desired(), &snapshot, &[]);

        assert_eq!(plan.pins, [Pin::Existing(own)]);
        assert!(!plan.steps.contains(&Step::AddRoute(own)));
    }

    #[test]
    fn a_relay_on_the_same_link_is_pinned_to_the_link() {
        let near = DesiredState {
            relays: vec!["192.168.1.77".parse().unwrap()],
            tap: None,
        };
        let pinned = route("192.168.1.77", 32, "0.0.0.0", ETHERNET, 0);

        assert_eq!(plan(&near, &home(), &[]).pins, [Pin::Ours(pinned)]);
    }

    #[test]
    fn the_party_does_not_lead_to_the_relay() {
        let mut snapshot = home();
        snapshot.routes.push(default_route("10.77.0.1", TAP, 0));
        snapshot
            .routes
            .push(route("203.0.113.0", 24, "10.77.0.1", TAP, 0));
        let plan = plan(&desired(), &snapshot, &[]);

        assert_eq!(
            plan.pins,
            [Pin::Ours(route(
                "203.0.113.7",
                32,
                "192.168.1.1",
                ETHERNET,
                0
            ))]
        );
        assert_eq!(plan.default_routes, [default_route("10.77.0.1", TAP, 0)]);
        assert!(plan.default_routes_enabled);
    }

    #[test]
    fn the_pin_follows_the_way_to_the_internet() {
        let mut snapshot = home();
        let old = route("203.0.113.7", 32, "192.168.1.1", ETHERNET, 0);
        snapshot.routes.push(old);
        assert!(
            plan(&desired(), &snapshot, &[old])
                .pins
                .contains(&Pin::Ours(old))
        );

        snapshot.routes[0] = default_route("172.20.10.1", Luid(9), 0);
        let new = route("203.0.113.7", 32, "172.20.10.1", Luid(9), 0);
        assert_eq!(plan(&desired(), &snapshot, &[old]).pins, [Pin::Ours(new)]);
    }

    #[test]
    fn broadcasts_leave_by_the_tap_and_nothing_else_does() {
        let plan = plan(&desired(), &home(), &[]);
        let [v4, v6] = Family::ALL.map(|family| {
            plan.steps.iter().find_map(|step| match step {
                Step::SetInterface { family: of, to, .. } if *of == family => Some(*to),
                Step::AddRoute(_) | Step::SetInterface { .. } | Step::SetCategory { .. } => None,
            })
        });

        for settings in [v4.unwrap(), v6.unwrap()] {
            assert_eq!((settings.automatic_metric, settings.metric), (false, 1));
            assert!(settings.default_routes_disabled);
            assert_eq!(settings.router_discovery, RouterDiscovery::Disabled);
            assert_eq!(settings.mtu, 1400);
        }
        for address in ["255.255.255.255", "239.255.255.250"] {
            let mut after = home();
            after
                .routes
                .extend(plan.steps.iter().filter_map(|step| match step {
                    Step::AddRoute(route) => Some(*route),
                    Step::SetInterface { .. } | Step::SetCategory { .. } => None,
                }));
            let best = best_route(&after, address.parse().unwrap(), |_| true);
            assert_eq!(best.unwrap().interface, TAP);
        }
    }

    #[test]
    fn ipv6_keeps_the_mtu_that_it_cannot_do_without() {
        let mut small = desired();
        small.tap.as_mut().unwrap().mtu = 1200;
        let mtus: Vec<u32> = plan(&small, &home(), &[])
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::SetInterface { to, .. } => Some(to.mtu),
                Step::AddRoute(_) | Step::SetCategory { .. } => None,
            })
            .collect();

        assert_eq!(mtus, [1200, 1280]);
    }

    #[test]
    fn a_domain_and_an_unknown_network_stay_what_they_are() {
        for category in [None, Some(Category::Private), Some(Category::Domain)] {
            let mut snapshot = home();
            snapshot.category = category;
            let plan = plan(&desired(), &snapshot, &[]);
            assert!(!plan.steps.iter().any(Step::is_optional));
        }
    }
}
