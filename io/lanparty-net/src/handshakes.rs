//! Handshakes that are not complete yet, and how long they may take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::link::LinkId;

/// Links that a relay has let in, in the order in which their time is up.
///
/// A link that is connected or gone by then stays in the list until its turn: it has one entry, and there are no more entries than the
/// gatekeeper has let in during one handshake's time.
#[derive(Debug)]
pub(crate) struct Handshakes {
    patience: Duration,
    due: VecDeque<(Instant, LinkId)>,
}

impl Handshakes {
    pub(crate) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            due: VecDeque::new(),
        }
    }

    /// Takes note of a handshake that begins.
    pub(crate) fn begin(&mut self, link: LinkId, now: Instant) {
        if let Some(at) = now.checked_add(self.patience) {
            self.due.push_back((at, link));
        }
    }

    /// Returns when the next has to be complete.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Takes a link whose handshake has to be complete by now.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<LinkId> {
        self.next().filter(|at| *at <= now)?;

        self.due.pop_front().map(|(_, link)| link)
    }
}
