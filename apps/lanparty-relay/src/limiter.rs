//! Who may connect, before a handshake costs anything.

mod group;
mod share;
mod table;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanparty_net::{AcceptPolicy, Decision, PendingConnection};
use lanparty_queue::Pace;

use self::group::Group;
use self::share::Over;
pub(crate) use self::share::Quota;
use self::table::{Known, Table};
use crate::directory::lock;
use crate::limit::{Limit, Reached};

/// Connections that are a crowd: they leave 5 MiB behind when they go.
const CROWD: usize = 256;

/// What strangers may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// What one address may have.
    pub(crate) address: Quota,
    /// What one network may have.
    pub(crate) network: Quota,
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
pub(crate) struct ConnectionLimiter {
    limits: ConnectionLimits,
    state: Mutex<State>,
    /// Whether memory is scarce.
    is_full: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    connections: usize,
    /// The most connections since [`ConnectionLimiter::has_emptied`] said so last.
    most: usize,
    second: Option<Instant>,
    in_second: u32,
    /// Connections that were let in and whose handshake is not complete.
    handshakes: usize,
    counts: ConnectionCounts,
    reached: Reached,
}

/// What the door did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ConnectionCounts {
    /// Connections let in.
    pub(crate) accepted: u64,
    /// Strangers asked to prove their address.
    pub(crate) retried: u64,
    /// Strangers told no.
    pub(crate) refused: u64,
    /// Strangers not answered.
    pub(crate) ignored: u64,
}

impl ConnectionLimiter {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
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
        if let Some(address) = state.table.get_mut(Group::address(remote.ip())) {
            address.refused_until = now.checked_add(self.limits.penalty);
        }
    }

    /// Returns what the door did.
    pub(crate) fn counts(&self) -> ConnectionCounts {
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
        let is_refused = |known: &Known| known.is_refused(now);
        if state
            .table
            .get(Group::address(remote.ip()))
            .is_some_and(is_refused)
        {
            return Ok(Decision::Refuse);
        }
        self.enter(&mut state.table, remote, validated, may_retry, now)?;
        state.handshakes += 1;
        state.connections += 1;
        state.most = state.most.max(state.connections);

        Ok(Decision::Accept { pace: Pace::Auto })
    }

    /// Counts a connection with its address and its network, if both have room for it.
    fn enter(
        &self,
        table: &mut Table,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Result<(), (Decision, Limit)> {
        let groups = self.groups(remote);
        for (group, quota) in groups {
            if let Some(known) = table.get(group)
                && let Err(over) = known.share.check(quota, validated, now)
            {
                let decision = match over {
                    _ if !validated && may_retry => Decision::Retry,
                    Over::Connections if validated => Decision::Refuse,
                    // QUIC asks again by itself.
                    Over::Connections | Over::Connects | Over::Handshakes => Decision::Ignore,
                };
                return Err((decision, group.limit(over)));
            }
        }
        if !table.has_room(&groups.map(|(group, _)| group), now) {
            return Err((Decision::Ignore, Limit::Addresses));
        }
        for (group, quota) in groups {
            table.remember(group).share.enter(quota, validated, now);
        }

        Ok(())
    }

    /// Returns whom an address belongs to, with what they may have.
    fn groups(&self, remote: SocketAddr) -> [(Group, &Quota); 2] {
        [
            (Group::address(remote.ip()), &self.limits.address),
            (Group::network(remote.ip()), &self.limits.network),
        ]
    }

    fn connected(&self, guest: PendingConnection, now: Instant) {
        let mut state = lock(&self.state);
        state.handshakes = state.handshakes.saturating_sub(1);
        for (group, quota) in self.groups(guest.remote) {
            if let Some(known) = state.table.get_mut(group) {
                known.share.handle_connected(quota, guest, now);
            }
        }
    }

    fn leave(&self, guest: PendingConnection) {
        let mut state = lock(&self.state);
        if !guest.is_connected {
            state.handshakes = state.handshakes.saturating_sub(1);
        }
        for (group, _) in self.groups(guest.remote) {
            if let Some(known) = state.table.get_mut(group) {
                known.share.leave(guest);
            }
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
}

/// One worker's hold on the door.
#[derive(Debug)]
pub(crate) struct LimiterHandle(pub(crate) Arc<ConnectionLimiter>);

impl AcceptPolicy for LimiterHandle {
    fn decide(
        &mut self,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Decision {
        self.0.decide(remote, validated, may_retry, now)
    }

    fn handle_connected(&mut self, guest: PendingConnection, now: Instant) {
        self.0.connected(guest, now);
    }

    fn handle_gone(&mut self, guest: PendingConnection, _now: Instant) {
        self.0.leave(guest);
    }
}

#[cfg(test)]
mod tests {
    use lanparty_switch::Rate;

    use super::table::MAX_GROUPS;
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        address: Quota {
            connects: Rate {
                per_second: 20,
                burst: 40,
            },
            connections: 60,
            handshakes: 16,
        },
        network: Quota {
            connects: Rate {
                per_second: 1000,
                burst: 1000,
            },
            connections: 1000,
            handshakes: 1000,
        },
        penalty: Duration::from_mins(1),
        handshakes: 1000,
        retry_above: 200,
        ignore_above: 2000,
    };

    /// A connection from [`from`] as it is when it goes.
    fn guest(number: u32, was_validated: bool, is_connected: bool) -> PendingConnection {
        PendingConnection {
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
        let limiter = ConnectionLimiter::new(LIMITS);
        let mut now = Instant::now();
        let accepted = |now| {
            (0..100)
                .filter(|_| is_accepted(limiter.decide(from(1), true, false, now)))
                .count()
        };

        assert_eq!(accepted(now), 40);
        now += Duration::from_secs(5);
        assert_eq!(accepted(now), 20, "60 connections at a time");
        assert!(is_accepted(limiter.decide(from(2), true, false, now)));
        limiter.leave(guest(1, true, true));
        now += Duration::from_secs(5);
        assert_eq!(accepted(now), 1);
    }

    #[test]
    fn a_rush_of_strangers_proves_its_addresses_and_a_flood_gets_no_answer() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let now = Instant::now();
        let decisions: Vec<_> = (0..3000)
            .map(|number| limiter.decide(from(number), false, true, now))
            .collect();

        assert!(decisions[..200].iter().all(|d| is_accepted(*d)));
        assert_eq!(decisions[200], Decision::Retry);
        assert_eq!(decisions[2999], Decision::Ignore);
        assert!(is_accepted(limiter.decide(from(5000), true, false, now)));
        assert_eq!(limiter.counts().retried, 1800);
    }

    #[test]
    fn whoever_forges_an_address_does_not_keep_its_owner_out() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let now = Instant::now();
        let forged: Vec<_> = (0..500)
            .map(|_| limiter.decide(from(1), false, true, now))
            .collect();

        assert_eq!(forged.iter().filter(|d| is_accepted(**d)).count(), 16);
        assert!(forged[16..].iter().all(|d| *d == Decision::Retry));
        // The owner proves that it is there, and has all of its own.
        let own = (0..100).filter(|_| is_accepted(limiter.decide(from(1), true, false, now)));
        assert_eq!(own.count(), 40);
    }

    #[test]
    fn a_handshake_becomes_a_connection_or_is_forgotten() {
        let limiter = ConnectionLimiter::new(ConnectionLimits {
            address: Quota {
                connections: 1,
                ..LIMITS.address
            },
            ..LIMITS
        });
        let now = Instant::now();
        let try_again = || limiter.decide(from(1), false, true, now);

        assert!(is_accepted(try_again()));
        limiter.leave(guest(1, false, false));
        assert!(is_accepted(try_again()));
        limiter.connected(guest(1, false, true), now);
        assert_eq!(try_again(), Decision::Retry, "the address has its one");
        limiter.leave(guest(1, false, true));
        assert!(is_accepted(try_again()));
    }

    #[test]
    fn many_handshakes_at_a_time_have_strangers_prove_their_addresses() {
        let limiter = ConnectionLimiter::new(ConnectionLimits {
            handshakes: 2,
            ..LIMITS
        });
        let now = Instant::now();
        let stranger = |number| limiter.decide(from(number), false, true, now);

        assert!(is_accepted(stranger(1)) && is_accepted(stranger(2)));
        assert_eq!(stranger(3), Decision::Retry);
        assert!(is_accepted(limiter.decide(from(3), true, false, now)));
        limiter.connected(guest(3, true, true), now);
        limiter.connected(guest(1, false, true), now);
        assert!(is_accepted(stranger(4)));
        let reached = |limit| limiter.reached().into_iter().find(|(l, _)| *l == limit);
        assert_eq!(reached(Limit::Handshakes), Some((Limit::Handshakes, 1)));
    }

    #[test]
    fn an_address_is_refused_after_garbage_and_forgiven_later() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let now = Instant::now();
        assert!(is_accepted(limiter.decide(from(1), true, false, now)));

        limiter.punish(from(1), now);
        assert_eq!(limiter.decide(from(1), true, false, now), Decision::Refuse);

        let later = now + LIMITS.penalty;
        assert!(is_accepted(limiter.decide(from(1), true, false, later)));
    }

    #[test]
    fn nobody_new_comes_in_while_memory_is_scarce() {
        let limiter = ConnectionLimiter::new(LIMITS);
        limiter.set_full(true);

        let decision = limiter.decide(from(1), true, false, Instant::now());

        assert_eq!(decision, Decision::Refuse);
    }

    #[test]
    fn a_crowd_that_has_gone_is_noticed_once() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let now = Instant::now();
        let come = |count| {
            for number in 0..count {
                assert!(is_accepted(limiter.decide(from(number), true, false, now)));
            }
        };
        let go = |count| (0..count).for_each(|number| limiter.leave(guest(number, true, true)));

        come(200);
        go(200);
        assert!(!limiter.has_emptied(), "few");
        come(400);
        assert!(!limiter.has_emptied(), "they are there");
        go(300);
        assert!(limiter.has_emptied());
        assert!(!limiter.has_emptied());
    }

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let mut now = Instant::now();
        for number in 0..70_000 {
            now += Duration::from_millis(1);
            limiter.decide(from(number), true, false, now);
            limiter.leave(guest(number, true, true));
        }

        assert!(lock(&limiter.state).table.len() <= MAX_GROUPS);
        assert!(is_accepted(limiter.decide(from(80_000), true, false, now)));
    }

    /// A door that lets four from one network in at a time, of which two need not prove their addresses.
    fn narrow() -> ConnectionLimiter {
        ConnectionLimiter::new(ConnectionLimits {
            network: Quota {
                connects: Rate {
                    per_second: 1,
                    burst: 5,
                },
                connections: 4,
                handshakes: 2,
            },
            ..LIMITS
        })
    }

    fn times(limiter: &ConnectionLimiter, limit: Limit) -> u64 {
        let mut reached = limiter.reached().into_iter();

        reached.find(|(found, _)| *found == limit).unwrap().1
    }

    #[test]
    fn one_network_holds_so_many_and_another_is_not_concerned() {
        let limiter = narrow();
        let mut now = Instant::now();
        let come = |number, now| limiter.decide(from(number), true, false, now);
        for number in 0..4 {
            assert!(is_accepted(come(number, now)));
        }

        assert_eq!(come(4, now), Decision::Refuse);
        assert_eq!(times(&limiter, Limit::NetworkConnections), 1);
        assert!(is_accepted(come(256, now)), "another network");

        limiter.leave(guest(0, true, true));
        assert!(is_accepted(come(4, now)));
        limiter.leave(guest(1, true, true));
        assert_eq!(come(5, now), Decision::Ignore, "five at once");
        assert_eq!(times(&limiter, Limit::NetworkConnects), 1);
        now += Duration::from_secs(1);
        assert!(is_accepted(come(5, now)), "one a second");
    }

    #[test]
    fn many_handshakes_of_one_network_have_it_prove_its_addresses() {
        let limiter = narrow();
        let now = Instant::now();
        let come = |number| limiter.decide(from(number), false, true, now);

        assert!(is_accepted(come(0)) && is_accepted(come(1)));
        assert_eq!(come(2), Decision::Retry);
        assert_eq!(times(&limiter, Limit::NetworkHandshakes), 1);
        assert!(is_accepted(come(256)), "another network");
        assert!(is_accepted(limiter.decide(from(2), true, false, now)));
        limiter.connected(guest(0, false, true), now);
        limiter.leave(guest(1, false, false));
        assert!(is_accepted(come(3)));
    }

    #[test]
    fn who_is_not_let_in_is_not_remembered() {
        let limiter = narrow();
        let now = Instant::now();
        for number in 0..100 {
            limiter.decide(from(number), false, true, now);
        }

        assert_eq!(
            lock(&limiter.state).table.len(),
            3,
            "two addresses, one network"
        );
    }
}
