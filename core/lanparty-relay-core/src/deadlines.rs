//! What a relay does not wait for any longer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lanparty_switch::ConnId;

/// How long a hello may wait for the path's MTU, where the room needs it: path MTU discovery takes
/// about six round trips.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);

/// How long a connection that was told to go has to read why.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The hello.
    Hello,
    /// The path's MTU.
    Settle,
    /// The rest of the message that began then.
    Message(Instant),
    /// The end of a connection that was told to go.
    Linger,
}

/// What is due, and when.
///
/// Each connection has at most one entry of each kind, and one for each message that was in pieces in
/// the last seconds, which the rate of control messages bounds.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeSet<(Instant, ConnId, Due)>);

impl Deadlines {
    /// Sets a deadline. What happened in time makes it void: the taker looks.
    pub(crate) fn set(&mut self, at: Instant, conn: ConnId, due: Due) {
        self.0.insert((at, conn, due));
    }

    /// Returns when the next is.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _, _)| *at)
    }

    /// Takes the next that has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(ConnId, Due)> {
        if self.next()? > now {
            return None;
        }

        self.0.pop_first().map(|(_, conn, due)| (conn, due))
    }
}
