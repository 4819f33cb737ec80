//! A system in memory, with faults and crashes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use crate::{
    AdapterId, Added, Category, DesiredState, DesiredTap, Family, Interface, Journal, JournalError,
    JournalStore, Luid, Prefix, Route, RouteSystem, RouterDiscovery, Settings, Snapshot,
    SystemError,
};

pub(crate) const ETHERNET: Luid = Luid(6 << 48 | 1 << 24);
pub(crate) const TAP: Luid = Luid(53 << 48 | 2 << 24);
pub(crate) const ADAPTER: &str = "{5C0FF1A7-0000-4000-8000-000000000007}";

pub(crate) fn route(address: &str, len: u8, next_hop: &str, interface: Luid, metric: u32) -> Route {
    Route {
        destination: Prefix {
            address: address.parse().unwrap(),
            len,
        },
        next_hop: next_hop.parse().unwrap(),
        interface,
        metric,
    }
}

pub(crate) fn default_route(next_hop: &str, interface: Luid, metric: u32) -> Route {
    route("0.0.0.0", 0, next_hop, interface, metric)
}

pub(crate) fn desired() -> DesiredState {
    DesiredState {
        relays: vec!["203.0.113.7".parse().unwrap()],
        tap: Some(DesiredTap {
            interface: TAP,
            adapter: AdapterId(ADAPTER.into()),
            mtu: 1400,
        }),
    }
}

/// A PC at home: one wired interface with a router, and a TAP as Windows sets it up.
pub(crate) fn home() -> Snapshot {
    let interface = |metric, router_discovery| Interface {
        settings: Settings {
            mtu: 1500,
            automatic_metric: true,
            metric,
            default_routes_disabled: false,
            router_discovery,
        },
        connected: true,
    };

    Snapshot {
        routes: vec![
            default_route("192.168.1.1", ETHERNET, 0),
            route("192.168.1.0", 24, "0.0.0.0", ETHERNET, 256),
            route("255.255.255.255", 32, "0.0.0.0", ETHERNET, 256),
            route("224.0.0.0", 4, "0.0.0.0", ETHERNET, 256),
        ],
        interfaces: BTreeMap::from([
            ((ETHERNET, Family::V4), interface(25, RouterDiscovery::Dhcp)),
            (
                (ETHERNET, Family::V6),
                interface(25, RouterDiscovery::Enabled),
            ),
            ((TAP, Family::V4), interface(35, RouterDiscovery::Dhcp)),
            ((TAP, Family::V6), interface(35, RouterDiscovery::Enabled)),
        ]),
        category: Some(Category::Public),
    }
}

/// What goes wrong at the `at`th change to system or journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// That change fails, and the next works again.
    Fault { at: usize },
    /// The program ends there: nothing that it does afterwards has an effect. `after` says whether that change still had its.
    Crash { at: usize, after: bool },
}

/// System and journal, which outlive the program that uses them.
#[derive(Debug, Clone)]
pub(crate) struct World(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    state: Snapshot,
    journal: Journal,
    trouble: Trouble,
    changes: usize,
    log: Vec<String>,
}

impl World {
    pub(crate) fn new(state: Snapshot) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            state,
            journal: Journal::default(),
            trouble: Trouble::None,
            changes: 0,
            log: Vec::new(),
        })))
    }

    pub(crate) fn expect(&self, trouble: Trouble) {
        let mut inner = self.0.borrow_mut();
        inner.trouble = trouble;
        inner.changes = 0;
    }

    pub(crate) fn state(&self) -> Snapshot {
        self.0.borrow().state.clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.0.borrow_mut().state);
    }

    pub(crate) fn journal(&self) -> Journal {
        self.0.borrow().journal.clone()
    }

    /// Says what was changed, one line each.
    pub(crate) fn log(&self) -> Vec<String> {
        self.0.borrow().log.clone()
    }

    /// Counts a change and carries it out, or not.
    fn attempt(&self, line: &str, effect: impl FnOnce(&mut Inner)) -> io::Result<()> {
        let inner = &mut *self.0.borrow_mut();
        inner.changes += 1;
        let (works, returns) = match inner.trouble {
            Trouble::None => (true, true),
            Trouble::Fault { at } => (inner.changes != at, inner.changes != at),
            Trouble::Crash { at, after } => (
                inner.changes < at || after && inner.changes == at,
                inner.changes < at,
            ),
        };
        if works {
            effect(inner);
            inner.log.push(line.to_owned());
        }

        returns
            .then_some(())
            .ok_or_else(|| io::Error::other("made up"))
    }

    fn change_system(
        &self,
        line: &str,
        effect: impl FnOnce(&mut Inner),
    ) -> Result<(), SystemError> {
        self.attempt(line, effect)
            .map_err(|source| SystemError::Failed {
                call: "a change",
                source,
            })
    }
}

impl RouteSystem for World {
    fn snapshot(&mut self, _: Option<(Luid, &AdapterId)>) -> Result<Snapshot, SystemError> {
        Ok(self.state())
    }

    fn interface(&mut self, luid: Luid, family: Family) -> Result<Option<Interface>, SystemError> {
        Ok(self.state().interfaces.get(&(luid, family)).copied())
    }

    fn add_route(&mut self, route: &Route) -> Result<Added, SystemError> {
        if self.state().routes.iter().any(|other| other.is_same(route)) {
            return Ok(Added::Existed);
        }
        self.change_system(&format!("add {route}"), |inner| {
            inner.state.routes.push(*route);
        })?;

        Ok(Added::New)
    }

    fn delete_route(&mut self, route: &Route) -> Result<(), SystemError> {
        self.change_system(&format!("delete {route}"), |inner| {
            inner.state.routes.retain(|other| !other.is_same(route));
        })
    }

    fn set_interface(
        &mut self,
        luid: Luid,
        family: Family,
        settings: &Settings,
    ) -> Result<(), SystemError> {
        let line = format!(
            "set {family} mtu={} metric={}",
            settings.mtu, settings.metric
        );
        self.change_system(&line, |inner| {
            if let Some(interface) = inner.state.interfaces.get_mut(&(luid, family)) {
                interface.settings = *settings;
            }
        })
    }

    fn category(&mut self, _: &AdapterId) -> Result<Option<Category>, SystemError> {
        Ok(self.state().category)
    }

    fn set_category(&mut self, _: &AdapterId, category: Category) -> Result<(), SystemError> {
        self.change_system(&format!("category {category}"), |inner| {
            inner.state.category = Some(category);
        })
    }
}

impl JournalStore for World {
    fn load(&mut self) -> Result<Journal, JournalError> {
        Ok(self.journal())
    }

    fn save(&mut self, journal: &Journal) -> Result<(), JournalError> {
        self.attempt("journal", |inner| inner.journal = journal.clone())
            .map_err(|source| JournalError::Write {
                path: "journal".into(),
                source,
            })
    }
}
