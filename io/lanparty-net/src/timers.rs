//! When which link wants to be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many links, of which each changes with every packet.
///
/// Moving a deadline back costs nothing: the old entry stays, and when it comes up the link is asked again. So a busy link has one
/// entry most of the time, and the heap at most one for each time that a deadline moved forward.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, usize)>>);

impl Timers {
    /// Makes sure that `slot` comes up at `deadline` or earlier; `armed` is the slot's own memory.
    pub(crate) fn arm(
        &mut self,
        slot: usize,
        deadline: Option<Instant>,
        armed: &mut Option<Instant>,
    ) {
        let Some(deadline) = deadline else {
            return;
        };
        if armed.is_none_or(|armed| deadline < armed) {
            *armed = Some(deadline);
            self.0.push(Reverse((deadline, slot)));
        }
    }

    /// Returns when the next slot comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes a slot whose time has come, with the deadline it was armed for.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let Reverse((deadline, slot)) = *self.0.peek()?;
        if deadline > now {
            return None;
        }
        self.0.pop();

        Some((slot, deadline))
    }
}
