//! Who may connect, before a handshake costs anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanparty_net::{Decision, Gatekeeper, Guest};
use lanparty_queue::Pace;
use lanparty_switch::Rate;

use crate::directory::lock;
use crate::limit::{Limit, Reached};

/// The most addresses that are remembered. With 100 bytes each this is 6.4 MiB.
const MAX_ADDRESSES: usize = 65_536;

/// Connections that are a crowd: they leave 5 MiB behind when they go.
const CROWD: usize = 256;

/// How often the table is searched for addresses that can be forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What strangers may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DoorLimits {
    /// New connections of one address.
    pub(crate) connects: Rate,
    /// Connections of one address at a time; zero is no limit.
    pub(crate) connections: usize,
    /// Handshakes of one address at a time that it has not proved; beyond, it has to.
    pub(crate) address_handshakes: usize,
    /// For how long an address is refused whose member was thrown out for malformed datagrams.
    pub(crate) penalty: Duration,
    /// Handshakes at a time beyond which strangers prove their address first (RFC 9000, 8.1.2).
    pub(crate) handshakes: usize,
    /// New connections a second beyond which they do.
    pub(crate) retry_above: u32,
    /// First packets a second beyond which unproved ones get no answer at all.
    pub(crate) ignore_above: u32,
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
    /// Connections that were let in and whose handshake is not complete.
    handshakes: usize,
    swept: Option<Instant>,
    counts: DoorCounts,
    reached: Reached,
}

/// What is known of an address.
///
/// What it has not proved is counted apart: whoever writes somebody else's address on packets must not use up what that one may do.
#[derive(Debug, Default)]
struct Address {
    /// Connections, but for handshakes that are not proved.
    connections: usize,
    /// Handshakes of which it is not proved that they are its own.
    unproved: usize,
    spent: Spent,
    refused_until: Option<Instant>,
}

/// Until when a rate is used up.
#[derive(Debug, Default, Clone, Copy)]
struct Spent(Option<Instant>);

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
            address.refused_until = now.checked_add(self.limits.penalty);
        }
    }

    /// Returns what the door did.
    pub(crate) fn counts(&self) -> DoorCounts {
        lock(&self.state).counts
    }

    /// Counts that somebody met a limit that others watch over, and tells the operator.
    pub(crate) fn note(&self, limit: Limit, remote: SocketAddr, now: Instant) {
        lock(&self.state).reached.note(limit, remote, now);
    }

    /// Returns how often each limit was reached.
    pub(crate) fn reached(&self) -> Vec<(Limit, u64)> {
        lock(&self.state).reached.counts().collect()
    }

    fn decide(
        &self,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Decision {
        let mut state = lock(&self.state);
        let answered = self.answer(&mut state, remote, validated, may_retry, now);
        let decision = answered.unwrap_or_else(|(decision, limit)| {
            state.reached.note(limit, remote, now);
            decision
        });
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

    /// Returns what a stranger gets, with the limit that it met.
    fn answer(
        &self,
        state: &mut State,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Result<Decision, (Decision, Limit)> {
        let limits = &self.limits;
        let in_second = state.tick(now);
        if !validated && in_second > limits.ignore_above {
            return Err((Decision::Ignore, Limit::Flood));
        }
        if !validated && may_retry && in_second > limits.retry_above {
            return Err((Decision::Retry, Limit::Rush));
        }
        if !validated && may_retry && state.handshakes >= limits.handshakes {
            return Err((Decision::Retry, Limit::Handshakes));
        }
        if self.is_full() {
            return Err((Decision::Refuse, Limit::Memory));
        }
        let address = state.address(group(remote.ip()), now)?;
        if address.refused_until.is_some_and(|until| now < until) {
            return Ok(Decision::Refuse);
        }
        let entered = if validated {
            address.enter(limits, now)
        } else {
            address.enter_unproved(limits, may_retry, now)
        };
        entered?;
        state.handshakes += 1;
        state.connections += 1;
        state.most = state.most.max(state.connections);

        Ok(Decision::Accept { pace: Pace::Auto })
    }

    fn connected(&self, guest: Guest, now: Instant) {
        let mut state = lock(&self.state);
        state.handshakes = state.handshakes.saturating_sub(1);
        if let Some(address) = state.addresses.get_mut(&group(guest.remote.ip()))
            && !guest.was_validated
        {
            address.unproved = address.unproved.saturating_sub(1);
            address.connections += 1;
            address.spent.take(self.limits.connects, now);
        }
    }

    fn leave(&self, guest: Guest) {
        let mut state = lock(&self.state);
        if !guest.is_connected {
            state.handshakes = state.handshakes.saturating_sub(1);
        }
        if let Some(address) = state.addresses.get_mut(&group(guest.remote.ip())) {
            let count = if guest.is_connected || guest.was_validated {
                &mut address.connections
            } else {
                &mut address.unproved
            };
            *count = count.saturating_sub(1);
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

    /// Returns what is known of `group`, if there is room to know it.
    fn address(&mut self, group: IpAddr, now: Instant) -> Result<&mut Address, (Decision, Limit)> {
        if !self.addresses.contains_key(&group) && self.addresses.len() >= MAX_ADDRESSES {
            self.sweep(now);
            if self.addresses.len() >= MAX_ADDRESSES {
                return Err((Decision::Ignore, Limit::Addresses));
            }
        }

        Ok(self.addresses.entry(group).or_default())
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
    /// Lets a connection in whose address is proved. One over the rate is not answered: QUIC asks again by itself.
    fn enter(&mut self, limits: &DoorLimits, now: Instant) -> Result<(), (Decision, Limit)> {
        if limits.connections > 0 && self.connections >= limits.connections {
            return Err((Decision::Refuse, Limit::AddressConnections));
        }
        if !self.spent.has_room(limits.connects, 1, now) {
            return Err((Decision::Ignore, Limit::AddressConnects));
        }
        self.spent.take(limits.connects, now);
        self.connections += 1;

        Ok(())
    }

    /// Lets a connection in whose address may be anybody's, as long as there are few. Then it is asked for a proof.
    fn enter_unproved(
        &mut self,
        limits: &DoorLimits,
        may_retry: bool,
        now: Instant,
    ) -> Result<(), (Decision, Limit)> {
        let otherwise = if may_retry {
            Decision::Retry
        } else {
            Decision::Ignore
        };
        if limits.connections > 0 && self.connections >= limits.connections {
            return Err((otherwise, Limit::AddressConnections));
        }
        if self.unproved >= limits.address_handshakes {
            return Err((otherwise, Limit::AddressHandshakes));
        }
        // What becomes a connection is taken off the rate then; what never does costs the address nothing.
        let coming = self.unproved.saturating_add(1);
        if !self.spent.has_room(limits.connects, coming, now) {
            return Err((otherwise, Limit::AddressConnects));
        }
        self.unproved = coming;

        Ok(())
    }

    fn is_needed(&self, now: Instant) -> bool {
        let is_ahead = |time: Option<Instant>| time.is_some_and(|time| now < time);

        self.connections > 0
            || self.unproved > 0
            || is_ahead(self.spent.0)
            || is_ahead(self.refused_until)
    }
}

impl Spent {
    /// Returns whether `count` more are within the rate.
    fn has_room(&self, rate: Rate, count: usize, now: Instant) -> bool {
        let Some(one) = interval(rate) else {
            return true;
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let until = self.from(now) + one.saturating_mul(count);

        until.saturating_duration_since(now) <= one.saturating_mul(u32_of(rate.burst))
    }

    /// Takes one off the rate.
    fn take(&mut self, rate: Rate, now: Instant) {
        if let Some(one) = interval(rate) {
            self.0 = Some(self.from(now) + one);
        }
    }

    fn from(&self, now: Instant) -> Instant {
        self.0.map_or(now, |until| until.max(now))
    }
}

/// Returns the time in which one of `rate` is earned, unless there is no limit.
fn interval(rate: Rate) -> Option<Duration> {
    Duration::from_secs(1).checked_div(u32_of(rate.per_second))
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

    fn handle_connected(&mut self, guest: Guest, now: Instant) {
        self.0.connected(guest, now);
    }

    fn handle_gone(&mut self, guest: Guest, _now: Instant) {
        self.0.leave(guest);
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
        address_handshakes: 16,
        penalty: Duration::from_mins(1),
        handshakes: 1000,
        retry_above: 200,
        ignore_above: 2000,
    };

    /// A connection from [`from`] as it is when it goes.
    fn guest(number: u32, was_validated: bool, is_connected: bool) -> Guest {
        Guest {
            remote: from(number),
            was_validated,
            is_connected,
        }
    }

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
        door.leave(guest(1, true, true));
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
    fn whoever_forges_an_address_does_not_keep_its_owner_out() {
        let door = Door::new(LIMITS);
        let now = Instant::now();
        let forged: Vec<_> = (0..500)
            .map(|_| door.decide(from(1), false, true, now))
            .collect();

        assert_eq!(forged.iter().filter(|d| is_accepted(**d)).count(), 16);
        assert!(forged[16..].iter().all(|d| *d == Decision::Retry));
        // The owner proves that it is there, and has all of its own.
        let own = (0..100).filter(|_| is_accepted(door.decide(from(1), true, false, now)));
        assert_eq!(own.count(), 40);
    }

    #[test]
    fn a_handshake_becomes_a_connection_or_is_forgotten() {
        let door = Door::new(DoorLimits {
            connections: 1,
            ..LIMITS
        });
        let now = Instant::now();
        let try_again = || door.decide(from(1), false, true, now);

        assert!(is_accepted(try_again()));
        door.leave(guest(1, false, false));
        assert!(is_accepted(try_again()));
        door.connected(guest(1, false, true), now);
        assert_eq!(try_again(), Decision::Retry, "the address has its one");
        door.leave(guest(1, false, true));
        assert!(is_accepted(try_again()));
    }

    #[test]
    fn many_handshakes_at_a_time_have_strangers_prove_their_addresses() {
        let door = Door::new(DoorLimits {
            handshakes: 2,
            ..LIMITS
        });
        let now = Instant::now();
        let stranger = |number| door.decide(from(number), false, true, now);

        assert!(is_accepted(stranger(1)) && is_accepted(stranger(2)));
        assert_eq!(stranger(3), Decision::Retry);
        assert!(is_accepted(door.decide(from(3), true, false, now)));
        door.connected(guest(3, true, true), now);
        door.connected(guest(1, false, true), now);
        assert!(is_accepted(stranger(4)));
        let reached = |limit| door.reached().into_iter().find(|(l, _)| *l == limit);
        assert_eq!(reached(Limit::Handshakes), Some((Limit::Handshakes, 1)));
    }

    #[test]
    fn an_address_is_refused_after_garbage_and_forgiven_later() {
        let door = Door::new(LIMITS);
        let now = Instant::now();
        assert!(is_accepted(door.decide(from(1), true, false, now)));

        door.punish(from(1), now);
        assert_eq!(door.decide(from(1), true, false, now), Decision::Refuse);

        let later = now + LIMITS.penalty;
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
        let go = |count| (0..count).for_each(|number| door.leave(guest(number, true, true)));

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
            door.leave(guest(number, true, true));
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
