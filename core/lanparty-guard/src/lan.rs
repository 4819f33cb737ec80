//! What is known of the LAN: protected addresses and stations.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_bounds::AgeingMap;
use lanparty_proto::MacAddr;

use crate::event::{Owner, Role};

/// Most protected addresses: a LAN has a router or two, a DHCP server, and a handful of resolvers.
const MAX_PROTECTED: usize = 64;

/// Most addresses of the gateway box itself: a few cards, with an IPv4 address and some IPv6 ones each.
const MAX_OWN: usize = 64;

/// How long an address stays protected after it was last named.
///
/// Leases of a day are common, and nothing is lost by protecting an address for longer.
const PROTECTED_LIFETIME: Duration = Duration::from_hours(24);

/// Most stations: a large party on a /22 and their IPv6 addresses.
const MAX_STATIONS: usize = 4096;

/// How long a station is remembered; ARP caches forget within minutes, so that a live one is heard again.
const STATION_LIFETIME: Duration = Duration::from_mins(15);

/// What is known of the LAN.
#[derive(Debug, Default)]
pub(crate) struct Lan {
    /// Not an [`AgeingMap`]: what the operator names never expires and is never evicted.
    protected: BTreeMap<IpAddr, (Role, Option<Instant>)>,
    /// A full table of live stations protects those; the newcomer is still protected by its own ARP.
    stations: AgeingMap<IpAddr, MacAddr, MAX_STATIONS>,
    /// Sorted.
    own: Vec<IpAddr>,
}

impl Lan {
    /// Protects an address; for ever, if the operator names it.
    pub(crate) fn protect(&mut self, address: IpAddr, role: Role, now: Instant) {
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return;
        }
        let until = (role != Role::Operator).then(|| now + PROTECTED_LIFETIME);
        if let Some((known, expiry)) = self.protected.get_mut(&address) {
            *known = role.min(*known);
            *expiry = expiry.and(until);
            return;
        }
        if self.protected.len() >= MAX_PROTECTED {
            let oldest = self
                .protected
                .iter()
                .filter_map(|(&address, &(_, until))| Some((until?, address)))
                .min();
            let Some((_, oldest)) = oldest else {
                return;
            };
            self.protected.remove(&oldest);
        }
        self.protected.insert(address, (role, until));
    }

    /// Takes the addresses of the gateway box itself, in place of the last ones.
    pub(crate) fn set_own(&mut self, addresses: &[IpAddr]) {
        self.own.clear();
        self.own.extend(addresses.iter().take(MAX_OWN));
        self.own.sort_unstable();
    }

    /// Notes that a station uses an address.
    pub(crate) fn hear(&mut self, address: IpAddr, station: MacAddr, now: Instant) {
        if address.is_unspecified() || address.is_multicast() {
            return;
        }
        self.stations
            .insert(address, station, now + STATION_LIFETIME, now);
    }

    /// Returns whether a station that was heard has that MAC. Walks all of them: at most a few times a second.
    pub(crate) fn has(&self, mac: MacAddr, now: Instant) -> bool {
        let mut stations = self.stations.iter(now);

        stations.any(|(_, &station)| station == mac)
    }

    /// Forgets who uses an address, because the DHCP server gave it to somebody else.
    pub(crate) fn forget(&mut self, address: IpAddr) {
        self.stations.remove(&address);
    }

    /// Returns the role that an address is protected for.
    pub(crate) fn role_of(&self, address: IpAddr, now: Instant) -> Option<Role> {
        if self.own.binary_search(&address).is_ok() {
            return Some(Role::Gateway);
        }

        self.protected
            .get(&address)
            .filter(|(_, until)| until.is_none_or(|until| until > now))
            .map(|&(role, _)| role)
    }

    /// Returns who on the LAN an address belongs to.
    pub(crate) fn owner_of(&self, address: IpAddr, now: Instant) -> Option<Owner> {
        let protected = self.role_of(address, now).map(Owner::Protected);

        protected.or_else(|| {
            let station = self.stations.get(&address, now);
            station.map(|&station| Owner::Lan(station))
        })
    }

    /// Forgets what has not been heard of for long.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.stations.expire(now);
        self.protected
            .retain(|_, &mut (_, until)| until.is_none_or(|until| until > now));
    }

    /// Returns the addresses that are protected because they were learnt.
    pub(crate) fn learnt(&self) -> impl Iterator<Item = (IpAddr, Role)> + '_ {
        self.protected
            .iter()
            .filter(|(_, (role, _))| *role != Role::Operator)
            .map(|(&address, &(role, _))| (address, role))
    }
}
