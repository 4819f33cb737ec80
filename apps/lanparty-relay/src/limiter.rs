//! Admission control behind a lock: the QUIC endpoints of all workers ask it who may connect.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanparty_net::{AcceptPolicy, Decision, PendingConnection};
use lanparty_queue::Pace;
use lanparty_relay_core::admission::{AdmissionControl, Decision as Decided, Pending};
pub(crate) use lanparty_relay_core::admission::{ConnectionCounts, ConnectionLimits, Limit, Quota};
use lanparty_telemetry::Throttle;

use crate::directory::lock;

/// How often the operator is told of the same limit.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// Admission control that all workers share. One lock, taken once for every new connection and its
/// end.
#[derive(Debug)]
pub(crate) struct ConnectionLimiter {
    state: Mutex<State>,
    /// Whether memory is scarce, for workers to read without the lock.
    is_full: AtomicBool,
}

#[derive(Debug)]
struct State {
    control: AdmissionControl,
    lines: [Throttle; Limit::ALL.len()],
}

impl ConnectionLimiter {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            state: Mutex::new(State {
                control: AdmissionControl::new(limits),
                lines: std::array::from_fn(|_| Throttle::new(TELL_INTERVAL, 1)),
            }),
            is_full: AtomicBool::new(false),
        }
    }

    /// Takes a measurement of resident memory. Returns whether to give free memory back, and measure
    /// again.
    pub(crate) fn handle_memory(&self, resident: Option<u64>, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let is_trim_due = state.control.handle_memory(resident, now);
        let is_full = state.control.is_memory_scarce();
        self.is_full.store(is_full, Ordering::Relaxed);

        is_trim_due
    }

    /// Returns whether memory is scarce.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Refuses an address for a while.
    pub(crate) fn ban(&self, remote: SocketAddr, now: Instant) {
        lock(&self.state).control.ban(remote, now);
    }

    /// Counts that a peer reached a limit that a worker watches over, and tells the operator.
    pub(crate) fn handle_reached(&self, limit: Limit, remote: SocketAddr, now: Instant) {
        let mut state = lock(&self.state);
        state.control.count_reached(limit);
        state.tell(limit, remote, now);
    }

    /// Returns what was done with connections.
    pub(crate) fn counts(&self) -> ConnectionCounts {
        lock(&self.state).control.counts()
    }

    /// Returns how often each limit was reached.
    pub(crate) fn reached(&self) -> Vec<(Limit, u64)> {
        lock(&self.state).control.reached().collect()
    }
}

impl State {
    /// Tells the operator now and then that a limit was reached.
    fn tell(&mut self, limit: Limit, remote: SocketAddr, now: Instant) {
        let line = self.lines.get_mut(limit as usize);
        if let Some(left_out) = line.and_then(|line| line.pass(now)) {
            tracing::info!(
                limit = limit.as_str(),
                option = limit.option(),
                %remote,
                left_out,
                "a limit was reached"
            );
        }
    }
}

/// One worker's handle on admission control.
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
        let mut state = lock(&self.0.state);
        let control = &mut state.control;
        let (decided, limit) = control.handle_initial(remote, validated, may_retry, now);
        if let Some(limit) = limit {
            state.tell(limit, remote, now);
        }

        match decided {
            Decided::Accept => Decision::Accept { pace: Pace::Auto },
            Decided::Retry => Decision::Retry,
            Decided::Refuse => Decision::Refuse,
            Decided::Ignore => Decision::Ignore,
        }
    }

    fn handle_connected(&mut self, guest: PendingConnection, now: Instant) {
        let control = &mut lock(&self.0.state).control;
        control.handle_connected(pending(guest), now);
    }

    fn handle_gone(&mut self, guest: PendingConnection, _now: Instant) {
        lock(&self.0.state).control.handle_gone(pending(guest));
    }
}

const fn pending(connection: PendingConnection) -> Pending {
    Pending {
        remote: connection.remote,
        was_validated: connection.was_validated,
        is_connected: connection.is_connected,
    }
}
