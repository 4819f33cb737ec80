//! Windows.

use std::collections::{BTreeMap, BTreeSet};

use lanparty_win32::{self as win32, Guid, NetworkList, Win32Error, net};

use crate::{
    AdapterId, Added, Category, Family, Interface, Luid, Prefix, Route, RouteSystem,
    RouterDiscovery, Settings, Snapshot, SystemError,
};

/// `ERROR_ACCESS_DENIED` (winerror.h).
const ACCESS_DENIED: u32 = 5;
/// `ERROR_NOT_FOUND` (winerror.h).
const NOT_FOUND: u32 = 1168;
/// `ERROR_OBJECT_ALREADY_EXISTS` (winerror.h).
const ALREADY_EXISTS: u32 = 5010;

/// The routes, interfaces and networks of this PC.
#[derive(Debug)]
pub struct SystemRoutes {
    /// `None` where there is no such service.
    networks: Option<NetworkList>,
}

impl SystemRoutes {
    /// Opens the system's tables.
    ///
    /// # Errors
    ///
    /// Returns [`SystemError::NotAdministrator`] if the process may not change them.
    pub fn open() -> Result<Self, SystemError> {
        if !win32::is_elevated().map_err(error)? {
            return Err(SystemError::NotAdministrator);
        }

        Ok(Self {
            networks: NetworkList::new().ok(),
        })
    }
}

impl RouteSystem for SystemRoutes {
    fn snapshot(&mut self, tap: Option<(Luid, &AdapterId)>) -> Result<Snapshot, SystemError> {
        let routes: Vec<Route> = net::routes()
            .map_err(error)?
            .iter()
            .map(from_route)
            .collect();
        let named = routes.iter().map(|route| route.interface);
        let luids: BTreeSet<Luid> = named.chain(tap.map(|(luid, _)| luid)).collect();
        let mut interfaces = BTreeMap::new();
        for luid in luids {
            for family in Family::ALL {
                // Where the call is missing, routes are all there is to go by.
                match self.interface(luid, family) {
                    Ok(Some(interface)) => {
                        interfaces.insert((luid, family), interface);
                    }
                    Ok(None) => {}
                    Err(error) if error.is_missing() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let category = tap.and_then(|(_, adapter)| self.category(adapter).ok().flatten());

        Ok(Snapshot {
            routes,
            interfaces,
            category,
        })
    }

    fn interface(&mut self, luid: Luid, family: Family) -> Result<Option<Interface>, SystemError> {
        let interface = net::ip_interface(luid.0, to_family(family)).map_err(error)?;

        Ok(interface.map(|interface| Interface {
            settings: Settings {
                mtu: interface.mtu,
                automatic_metric: interface.automatic_metric,
                metric: interface.metric,
                default_routes_disabled: interface.default_routes_disabled,
                router_discovery: match interface.router_discovery {
                    net::RouterDiscovery::Disabled => RouterDiscovery::Disabled,
                    net::RouterDiscovery::Enabled => RouterDiscovery::Enabled,
                    net::RouterDiscovery::Dhcp => RouterDiscovery::Dhcp,
                },
            },
            connected: interface.connected,
        }))
    }

    fn add_route(&mut self, route: &Route) -> Result<Added, SystemError> {
        match net::create_route(&to_route(route)) {
            Ok(()) => Ok(Added::New),
            Err(failed) if failed.is(ALREADY_EXISTS) => Ok(Added::Existed),
            Err(failed) => Err(error(failed)),
        }
    }

    fn delete_route(&mut self, route: &Route) -> Result<(), SystemError> {
        match net::delete_route(&to_route(route)) {
            Err(failed) if !failed.is(NOT_FOUND) => Err(error(failed)),
            _ => Ok(()),
        }
    }

    fn set_interface(
        &mut self,
        luid: Luid,
        family: Family,
        settings: &Settings,
    ) -> Result<(), SystemError> {
        let wanted = net::IpInterface {
            mtu: settings.mtu,
            automatic_metric: settings.automatic_metric,
            metric: settings.metric,
            default_routes_disabled: settings.default_routes_disabled,
            router_discovery: match settings.router_discovery {
                RouterDiscovery::Disabled => net::RouterDiscovery::Disabled,
                RouterDiscovery::Enabled => net::RouterDiscovery::Enabled,
                RouterDiscovery::Dhcp => net::RouterDiscovery::Dhcp,
            },
            connected: true,
        };

        match net::set_ip_interface(luid.0, to_family(family), &wanted) {
            Ok(_is_there) => Ok(()),
            Err(failed) => Err(error(failed)),
        }
    }

    fn category(&mut self, adapter: &AdapterId) -> Result<Option<Category>, SystemError> {
        let (Some(networks), Some(guid)) = (&self.networks, guid(adapter)) else {
            return Ok(None);
        };
        let category = networks.category(guid).map_err(error)?;

        Ok(category.map(|category| match category {
            win32::Category::Public => Category::Public,
            win32::Category::Private => Category::Private,
            win32::Category::Domain => Category::Domain,
        }))
    }

    fn set_category(&mut self, adapter: &AdapterId, category: Category) -> Result<(), SystemError> {
        let (Some(networks), Some(guid)) = (&self.networks, guid(adapter)) else {
            return Ok(());
        };
        let category = match category {
            Category::Public => win32::Category::Public,
            Category::Private => win32::Category::Private,
            Category::Domain => win32::Category::Domain,
        };

        match networks.set_category(guid, category) {
            Ok(_is_connected) => Ok(()),
            Err(failed) => Err(error(failed)),
        }
    }
}

fn guid(adapter: &AdapterId) -> Option<Guid> {
    adapter.0.parse().ok()
}

const fn to_family(family: Family) -> win32::Family {
    match family {
        Family::V4 => win32::Family::V4,
        Family::V6 => win32::Family::V6,
    }
}

const fn to_route(route: &Route) -> net::Route {
    net::Route {
        destination: route.destination.address,
        prefix_len: route.destination.len,
        next_hop: route.next_hop,
        interface: route.interface.0,
        metric: route.metric,
    }
}

const fn from_route(route: &net::Route) -> Route {
    Route {
        destination: Prefix {
            address: route.destination,
            len: route.prefix_len,
        },
        next_hop: route.next_hop,
        interface: Luid(route.interface),
        metric: route.metric,
    }
}

fn error(failed: Win32Error) -> SystemError {
    match failed {
        Win32Error::Missing { call } => SystemError::MissingCall { call },
        failed if failed.is(ACCESS_DENIED) => SystemError::NotAdministrator,
        Win32Error::Failed { call, source } => SystemError::Failed { call, source },
        // `Win32Error` may grow.
        _ => SystemError::MissingCall { call: "a call" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::{DesiredState, DesiredTap, FileStore, RouteManager, best_route};

    /// The interface that leads outside plays the TAP: it is one that this system has.
    #[test]
    fn a_whole_run_leaves_the_system_as_it_was() {
        let mut system = SystemRoutes::open().unwrap();
        let start = system.snapshot(None).unwrap();
        let outside = best_route(&start, "192.0.2.1".parse().unwrap(), |_| true)
            .expect("a route to anywhere, as a test machine has");
        let mut desired = DesiredState {
            relays: vec!["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            tap: None,
        };
        let store = FileStore::new(std::env::temp_dir().join("softlan-route-test.json"));
        let (mut manager, _) = RouteManager::open(system, store).unwrap();

        let pinned = manager.ensure(&desired).unwrap();
        assert!(pinned.pins.iter().all(crate::Pin::is_pinned), "{pinned:?}");
        desired.tap = Some(DesiredTap {
            interface: outside.interface,
            adapter: AdapterId("{00000000-0000-0000-0000-00000000DEAD}".into()),
            mtu: 1400,
        });
        desired.relays.clear();
        let report = manager.ensure(&desired).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert!(manager.ensure(&desired).unwrap().done.is_empty());

        assert!(manager.restore().unwrap().left.is_empty());
        let mut system = SystemRoutes::open().unwrap();
        assert_eq!(system.snapshot(None).unwrap(), start);
    }
}
