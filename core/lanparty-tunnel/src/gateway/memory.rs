//! What a gateway tells the process that takes over from it, and when its address bindings are worth writing down.

use std::time::{Duration, Instant};

use lanparty_guard::{Event, Snapshot};
use serde::{Deserialize, Serialize};

use super::blocks::SavedBlock;

/// What is told. A file holds the bindings alone: nobody knows how old it is when it is read, and a block is for a minute or ten.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    #[serde(flatten)]
    bindings: Snapshot,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<SavedBlock>,
}

/// Returns bindings and blocks as text.
pub(crate) fn write(bindings: Snapshot, blocks: Vec<SavedBlock>) -> Option<String> {
    serde_json::to_string(&Told { bindings, blocks }).ok()
}

/// Reads what [`write`] has made.
pub(crate) fn read(text: &str) -> Option<(Snapshot, Vec<SavedBlock>)> {
    let told: Told = serde_json::from_str(text).ok()?;

    Some((told.bindings, told.blocks))
}

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
        self.has_changed |= matches!(
            event,
            Event::Bound { .. } | Event::Proven { .. } | Event::Lost { .. }
        );
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
