//! Who may connect, before a handshake costs anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanparty_net::{Decision, Gatekeeper};
use lanparty_queue::Pace;
use lanparty_switch::Rate;

use crate::directory::lock;

/// New connections a second beyond which strangers prove their address first (RFC 9000, 8.1.2).
///
/// A relay that restarts has its members back within some seconds; 200 a second is ten times a large party's rush.
const RETRY_ABOVE: u32 = 200;

/// First packets a second beyond which unproved ones get no answer at all.
const IGNORE_ABOVE: u32 = 2000;

/// The most addresses that are remembered. With 100 bytes each this is 6.4 MiB.
const MAX_ADDRESSES: usize = 65_536;

/// For how long an address is refused whose member was thrown out for malformed datagrams.
const PENALTY: Duration = Duration::from_mins(1);

/// Connections that are a crowd: they leave 5 MiB behind when they go.
const CROWD: usize = 256;

/// How often the table is searched for addresses that can be forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What one address may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DoorLimits {
    /// New connections.
    pub(crate) connects: Rate,
    /// Connections at a time; zero is no limit.
    pub(crate) connections: usize,
}

/// The door that all workers share. One lock, taken once for every new connection and its end.
#[derive(Debug)]
pub(crate) struct Door {
    limits: DoorLimits,
    state: Mutex<State>,
    /// Whether memory is scarce.
    is_full: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    addresses: BTreeMap<IpAddr, Address>,
    connections: usize,
    /// The most connections since [`Door::has_emptied`] said so last.
    most: usize,
    second: Option<Instant>,
    in_second: u32,
    swept: Option<Instant>,
    counts: DoorCounts,
}

#[derive(Debug, Default)]
struct Address {
    connections: usize,
    spent_until: Option<Instant>,
    refused_until: Option<Instant>,
}

/// What the door did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DoorCounts {
    /// Connections let in.
    pub(crate) accepted: u64,
    /// Strangers asked to prove their address.
    pub(crate) retried: u64,
    /// Strangers told no.
    pub(crate) refused: u64,
    /// Strangers not answered.
    pub(crate) ignored: u64,
}

impl Door {
    pub(crate) fn new(limits: DoorLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            is_full: AtomicBool::new(false),
        }
    }

    /// Takes note of whether memory is scarce.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Returns whether memory is scarce.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Returns, once, that a crowd has gone: less than half of its connections is left.
    pub(crate) fn has_emptied(&self) -> bool {
        let mut state = lock(&self.state);
        let has_emptied = state.most >= CROWD && state.connections < state.most / 2;
        if has_emptied {
            state.most = state.connections;
        }

        has_emptied
    }

    /// Refuses an address for a while.
    pub(crate) fn punish(&self, remote: SocketAddr, now: Instant) {
        let mut state = lock(&self.state);
        if let Some(address) = state.addresses.get_mut(&group(remote.ip())) {
            address.refused_until = now.checked_add(PENALTY);
        }
    }

    /// Returns what the door did.
    pub(crate) fn counts(&self) -> DoorCounts {
        lock(&self.state).counts
    }

    fn decide(
        &self,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Decision {
        let mut state = lock(&self.state);
        let in_second = state.tick(now);
        let decision = if !validated && in_second > IGNORE_ABOVE {
            Decision::Ignore
        } else if !validated && may_retry && in_second > RETRY_ABOVE {
            Decision::Retry
        } else if self.is_full() {
            Decision::Refuse
        } else {
            state.enter(group(remote.ip()), self.limits, now)
        };
        let counts = &mut state.counts;
        let count = match decision {
            Decision::Accept { .. } => &mut counts.accepted,
            Decision::Retry => &mut counts.retried,
            Decision::Refuse => &mut counts.refused,
            Decision::Ignore => &mut counts.ignored,
        };
        *count += 1;

        decision
    }

    fn leave(&self, remote: SocketAddr) {
        let mut state = lock(&self.state);
        if let Some(address) = state.addresses.get_mut(&group(remote.ip())) {
            address.connections = address.connections.saturating_sub(1);
        }
        state.connections = state.connections.saturating_sub(1);
    }
}

impl State {
    /// Counts a first packet, and returns how many there were in this second.
    fn tick(&mut self, now: Instant) -> u32 {
        let is_over = self
            .second
            .is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1));
        if is_over {
            self.second = Some(now);
            self.in_second = 0;
        }
        self.in_second = self.in_second.saturating_add(1);

        self.in_second
    }

    /// Lets a connection of `group` in, if its limits allow that. One over the rate is not answered: QUIC asks again by itself.
    fn enter(&mut self, group: IpAddr, limits: DoorLimits, now: Instant) -> Decision {
        if !self.addresses.contains_key(&group) && self.addresses.len() >= MAX_ADDRESSES {
            self.sweep(now);
            if self.addresses.len() >= MAX_ADDRESSES {
                return Decision::Ignore;
            }
        }

        let address = self.addresses.entry(group).or_default();
        if address.refused_until.is_some_and(|until| now < until) {
            return Decision::Refuse;
        }
        if limits.connections > 0 && address.connections >= limits.connections {
            return Decision::Refuse;
        }
        if !address.take(limits.connects, now) {
            return Decision::Ignore;
        }
        address.connections += 1;
        self.connections += 1;
        self.most = self.most.max(self.connections);

        Decision::Accept { pace: Pace::Auto }
    }

    /// Forgets addresses that have no connection and nothing against them.
    fn sweep(&mut self, now: Instant) {
        let is_due = self
            .swept
            .is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_INTERVAL);
        if is_due {
            self.swept = Some(now);
            self.addresses.retain(|_, address| address.is_needed(now));
        }
    }
}

impl Address {
    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let Some(one) = Duration::from_secs(1).checked_div(u32_of(rate.per_second)) else {
            return true;
        };
        let from = self.spent_until.map_or(now, |until| until.max(now));
        let until = from + one;
        if until.saturating_duration_since(now) > one * u32_of(rate.burst) {
            return false;
        }
        self.spent_until = Some(until);

        true
    }

    fn is_needed(&self, now: Instant) -> bool {
        let is_ahead = |time: Option<Instant>| time.is_some_and(|time| now < time);

        self.connections > 0 || is_ahead(self.spent_until) || is_ahead(self.refused_until)
    }
}

fn u32_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns whom an address belongs to: an IPv4 address is one line's, an IPv6 line has at least a /56 (RFC 6177).
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - 56);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// One worker's hold on the door.
#[derive(Debug)]
pub(crate) struct Doorkeeper(pub(crate) Arc<Door>);

impl Gatekeeper for Doorkeeper {
    fn decide(
        &mut self,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Decision {
        self.0.decide(remote, validated, may_retry, now)
    }

    fn handle_gone(&mut self, remote: SocketAddr, _now: Instant) {
        self.0.leave(remote);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DoorLimits = DoorLimits {
        connects: Rate {
            per_second: 20,
            burst: 40,
        },
        connections: 60,
    };

    fn from(number: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from_bits(0x0a00_0000 + number), 5000).into()
    }

    fn is_accepted(decision: Decision) -> bool {
        matches!(decision, Decision::Accept { .. })
    }

    #[test]
    fn one_address_connects_at_its_rate_and_holds_so_many() {
        let door = Door::new(LIMITS);
        let mut now = Instant::now();
        let accepted = |now| {
            (0..100)
                .filter(|_| is_accepted(door.decide(from(1), true, false, now)))
                .count()
        };

        assert_eq!(accepted(now), 40);
        now += Duration::from_secs(5);
        assert_eq!(accepted(now), 20, "60 connections at a time");
        assert!(is_accepted(door.decide(from(2), true, false, now)));
        door.leave(from(1));
        now += Duration::from_secs(5);
        assert_eq!(accepted(now), 1);
    }

    #[test]
    fn a_rush_of_strangers_proves_its_addresses_and_a_flood_gets_no_answer() {
        let door = Door::new(LIMITS);
        let now = Instant::now();
        let decisions: Vec<_> = (0..3000)
            .map(|number| door.decide(from(number), false, true, now))
            .collect();

        assert!(decisions[..200].iter().all(|d| is_accepted(*d)));
        assert_eq!(decisions[200], Decision::Retry);
        assert_eq!(decisions[2999], Decision::Ignore);
        assert!(is_accepted(door.decide(from(5000), true, false, now)));
        assert_eq!(door.counts().retried, 1800);
    }

    #[test]
    fn an_address_is_refused_after_garbage_and_forgiven_later() {
        let door = Door::new(LIMITS);
        let now = Instant::now();
        assert!(is_accepted(door.decide(from(1), true, false, now)));

        door.punish(from(1), now);
        assert_eq!(door.decide(from(1), true, false, now), Decision::Refuse);

        let later = now + PENALTY;
        assert!(is_accepted(door.decide(from(1), true, false, later)));
    }

    #[test]
    fn nobody_new_comes_in_while_memory_is_scarce() {
        let door = Door::new(LIMITS);
        door.set_full(true);

        let decision = door.decide(from(1), true, false, Instant::now());

        assert_eq!(decision, Decision::Refuse);
    }

    #[test]
    fn a_crowd_that_has_gone_is_noticed_once() {
        let door = Door::new(LIMITS);
        let now = Instant::now();
        let come = |count| {
            for number in 0..count {
                assert!(is_accepted(door.decide(from(number), true, false, now)));
            }
        };
        let go = |count| (0..count).for_each(|number| door.leave(from(number)));

        come(200);
        go(200);
        assert!(!door.has_emptied(), "few");
        come(400);
        assert!(!door.has_emptied(), "they are there");
        go(300);
        assert!(door.has_emptied());
        assert!(!door.has_emptied());
    }

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let door = Door::new(LIMITS);
        let mut now = Instant::now();
        for number in 0..70_000 {
            now += Duration::from_millis(1);
            door.decide(from(number), true, false, now);
            door.leave(from(number));
        }

        assert!(lock(&door.state).addresses.len() <= MAX_ADDRESSES);
        assert!(is_accepted(door.decide(from(80_000), true, false, now)));
    }

    #[test]
    fn one_ipv6_line_is_one_address() {
        let one: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let same: IpAddr = "2001:db8:0:ff::2".parse().unwrap();
        let other: IpAddr = "2001:db8:0:100::1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();

        assert_eq!(group(one), group(same));
        assert_ne!(group(one), group(other));
        assert_eq!(group(mapped), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
