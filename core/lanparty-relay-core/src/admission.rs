//! Admission control: who may connect, before a handshake costs anything.
//!
//! An [`AdmissionControl`] counts connections by address, by network and altogether. Drive it like
//! this:
//!
//! 1. [`AdmissionControl::handle_initial`] for the first packet of every connection; do what it says.
//! 2. [`AdmissionControl::handle_connected`] when the handshake of an accepted connection is complete,
//!    and [`AdmissionControl::handle_gone`] when it is gone.
//! 3. [`AdmissionControl::handle_memory`] every second.
//!
//! An address that is not validated counts apart: a peer that writes somebody else's address on its
//! packets must not use up what that one may do.

mod group;
mod limit;
mod memory;
mod pending;
mod share;
mod table;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::group::Group;
pub use self::limit::Limit;
use self::limit::Reached;
use self::memory::Memory;
pub use self::pending::Pending;
use self::share::Over;
pub use self::share::Quota;
pub use self::table::MAX_GROUPS;
use self::table::Table;

/// What connections are admitted.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// What one address may have.
    pub address: Quota,
    /// What one network may have.
    pub network: Quota,
    /// For how long an address is banned whose member was removed for malformed datagrams.
    pub penalty: Duration,
    /// Handshakes at a time beyond which peers validate their address first (RFC 9000, 8.1.2).
    pub handshakes: usize,
    /// New connections a second beyond which they do.
    pub retry_above: u32,
    /// First packets a second beyond which those of unvalidated addresses get no answer at all.
    pub ignore_above: u32,
    /// Resident memory in bytes beyond four fifths of which no connection is accepted; zero is no
    /// limit.
    pub memory: u64,
}

/// What to do with the first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Shake hands.
    Accept,
    /// Ask the peer to validate its address first (RFC 9000, 8.1.2).
    Retry,
    /// Tell it no.
    Refuse,
    /// Do not answer at all.
    Ignore,
}

/// What admission control did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections accepted.
    pub accepted: u64,
    /// Peers asked to validate their address.
    pub retried: u64,
    /// Connections refused.
    pub refused: u64,
    /// First packets not answered.
    pub ignored: u64,
}

/// Who may connect to a relay; its workers share one. See the module's documentation.
#[derive(Debug)]
pub struct AdmissionControl {
    limits: ConnectionLimits,
    table: Table,
    connections: usize,
    second: Option<Instant>,
    in_second: u32,
    /// Connections that were accepted and whose handshake is not complete.
    handshakes: usize,
    memory: Memory,
    counts: ConnectionCounts,
    reached: Reached,
}

impl AdmissionControl {
    /// Makes one that has seen no connection.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            table: Table::default(),
            connections: 0,
            second: None,
            in_second: 0,
            handshakes: 0,
            memory: Memory::default(),
            counts: ConnectionCounts::default(),
            reached: Reached::default(),
        }
    }

    /// Decides about a new connection from `remote`; `is_validated` tells whether the address was
    /// validated, `may_retry` whether the peer can be asked to.
    ///
    /// Returns the decision, and the limit that was the reason for it.
    pub fn handle_initial(
        &mut self,
        remote: SocketAddr,
        is_validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> (Decision, Option<Limit>) {
        let (decision, limit) = match self.decide(remote, is_validated, may_retry, now) {
            Ok(decision) => (decision, None),
            Err((decision, limit)) => (decision, Some(limit)),
        };
        if let Some(limit) = limit {
            self.reached.add(limit);
        }
        let counts = &mut self.counts;
        let count = match decision {
            Decision::Accept => &mut counts.accepted,
            Decision::Retry => &mut counts.retried,
            Decision::Refuse => &mut counts.refused,
            Decision::Ignore => &mut counts.ignored,
        };
        *count += 1;

        (decision, limit)
    }

    /// Takes that the handshake of an accepted connection is complete.
    pub fn handle_connected(&mut self, pending: Pending, now: Instant) {
        self.handshakes = self.handshakes.saturating_sub(1);
        for (group, quota) in self.groups(pending.remote) {
            if let Some(known) = self.table.get_mut(group) {
                known.share.handle_connected(&quota, pending, now);
            }
        }
    }

    /// Takes that an accepted connection is gone.
    pub fn handle_gone(&mut self, pending: Pending) {
        if !pending.is_connected {
            self.handshakes = self.handshakes.saturating_sub(1);
        }
        for (group, _) in self.groups(pending.remote) {
            if let Some(known) = self.table.get_mut(group) {
                known.share.leave(pending);
            }
        }
        self.connections = self.connections.saturating_sub(1);
    }

    /// Takes a measurement of resident memory in bytes, if the system gives one. No connection is
    /// accepted while memory is scarce.
    ///
    /// Returns whether to give free memory back; measure again after that.
    pub fn handle_memory(&mut self, resident: Option<u64>, now: Instant) -> bool {
        let limit = self.limits.memory;

        self.memory
            .handle_measured(resident, limit, self.connections, now)
    }

    /// Returns whether memory is scarce.
    pub const fn is_memory_scarce(&self) -> bool {
        self.memory.is_scarce()
    }

    /// Refuses an address for a while.
    pub fn ban(&mut self, remote: SocketAddr, now: Instant) {
        if let Some(address) = self.table.get_mut(Group::address(remote.ip())) {
            address.banned_until = now.checked_add(self.limits.penalty);
        }
    }

    /// Counts that a peer reached a limit that somebody else watches over.
    pub fn count_reached(&mut self, limit: Limit) {
        self.reached.add(limit);
    }

    /// Returns what was done.
    pub const fn counts(&self) -> ConnectionCounts {
        self.counts
    }

    /// Gives every limit with how often it was reached.
    pub fn reached(&self) -> impl Iterator<Item = (Limit, u64)> + '_ {
        self.reached.iter()
    }

    /// Returns how many addresses and networks are remembered: at most [`MAX_GROUPS`].
    pub fn remembered(&self) -> usize {
        self.table.len()
    }

    /// Returns what a peer gets, with the limit that it reached.
    fn decide(
        &mut self,
        remote: SocketAddr,
        is_validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Result<Decision, (Decision, Limit)> {
        let in_second = self.tick(now);
        if !is_validated && in_second > self.limits.ignore_above {
            return Err((Decision::Ignore, Limit::Flood));
        }
        if !is_validated && may_retry && in_second > self.limits.retry_above {
            return Err((Decision::Retry, Limit::Rush));
        }
        if !is_validated && may_retry && self.handshakes >= self.limits.handshakes {
            return Err((Decision::Retry, Limit::Handshakes));
        }
        if self.is_memory_scarce() {
            return Err((Decision::Refuse, Limit::Memory));
        }
        let address = self.table.get(Group::address(remote.ip()));
        if address.is_some_and(|known| known.is_banned(now)) {
            return Ok(Decision::Refuse);
        }
        self.enter(remote, is_validated, may_retry, now)?;
        self.handshakes += 1;
        self.connections += 1;
        self.memory.handle_connections(self.connections);

        Ok(Decision::Accept)
    }

    /// Counts a connection with its address and its network, if both have room for it.
    fn enter(
        &mut self,
        remote: SocketAddr,
        is_validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Result<(), (Decision, Limit)> {
        let groups = self.groups(remote);
        for (group, quota) in &groups {
            if let Some(known) = self.table.get(*group)
                && let Err(over) = known.share.check(quota, is_validated, now)
            {
                let decision = match over {
                    _ if !is_validated && may_retry => Decision::Retry,
                    Over::Connections if is_validated => Decision::Refuse,
                    // QUIC asks again by itself.
                    Over::Connections | Over::Connects | Over::Handshakes => Decision::Ignore,
                };
                return Err((decision, group.limit(over)));
            }
        }
        if !self.table.has_room(&groups, now) {
            return Err((Decision::Ignore, Limit::Addresses));
        }
        for (group, quota) in &groups {
            self.table
                .remember(*group)
                .share
                .enter(quota, is_validated, now);
        }

        Ok(())
    }

    /// Returns whom an address belongs to, with what they may have.
    fn groups(&self, remote: SocketAddr) -> [(Group, Quota); 2] {
        [
            (Group::address(remote.ip()), self.limits.address),
            (Group::network(remote.ip()), self.limits.network),
        ]
    }

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
