//! When address bindings are worth writing down.

use std::time::{Duration, Instant};

use lanparty_guard::Event;

/// How often they are written without a change: leases are renewed and routers learnt without an event.
const INTERVAL: Duration = Duration::from_mins(1);

/// How often they are written at most, however many change.
const LEAST: Duration = Duration::from_secs(1);

/// What was written when.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    has_changed: bool,
    last: Option<Instant>,
}

impl Memory {
    pub(crate) fn handle_event(&mut self, event: Event) {
        self.has_changed |= matches!(event, Event::Bound { .. } | Event::Lost { .. });
    }

    /// Returns whether it is time to write.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let last = *self.last.get_or_insert(now);
        let passed = now.saturating_duration_since(last);
        let is_due = passed >= INTERVAL || (self.has_changed && passed >= LEAST);
        if is_due {
            self.has_changed = false;
            self.last = Some(now);
        }

        is_due
    }
}
