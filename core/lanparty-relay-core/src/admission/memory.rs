//! When memory is scarce, and when free memory is worth giving back.

use std::time::{Duration, Instant};

/// Connections that are a crowd: they leave 5 MiB behind when they go.
const CROWD: usize = 256;

/// How far apart free memory is given back while it is scarce: workers that want some wait for that,
/// milliseconds at a time.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// Watches over the memory of a relay.
#[derive(Debug, Default)]
pub(super) struct Memory {
    is_scarce: bool,
    /// When free memory was given back last because it was scarce.
    trimmed: Option<Instant>,
    /// The most connections since a crowd went.
    most: usize,
}

impl Memory {
    pub(super) const fn is_scarce(&self) -> bool {
        self.is_scarce
    }

    /// Takes note of how many connections there are.
    pub(super) fn handle_connections(&mut self, count: usize) {
        self.most = self.most.max(count);
    }

    /// Takes a measurement of `resident` bytes against a limit, zero being none. Returns whether free
    /// memory is to be given back: a crowd has gone, so that a relay is no larger than its parties for
    /// long; or memory is scarce, and would stay so with what a rush has left behind. Whether memory is
    /// scarce is then decided by the measurement that follows.
    pub(super) fn handle_measured(
        &mut self,
        resident: Option<u64>,
        limit: u64,
        connections: usize,
        now: Instant,
    ) -> bool {
        let is_scarce = limit > 0 && resident.is_some_and(|resident| resident > limit / 5 * 4);
        let has_emptied = self.most >= CROWD && connections < self.most / 2;
        if has_emptied {
            self.most = connections;
        }
        let is_due = self
            .trimmed
            .is_none_or(|last| now.saturating_duration_since(last) >= TRIM_INTERVAL);
        let is_trim_due = is_scarce && is_due;
        if is_trim_due {
            self.trimmed = Some(now);
        } else {
            self.is_scarce = is_scarce;
        }

        has_emptied || is_trim_due
    }
}
