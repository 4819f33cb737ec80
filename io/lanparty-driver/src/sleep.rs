//! Whether the system slept: the clock of the loop may stand still meanwhile, and the relay's does not.

use std::time::Duration;

/// A shorter sleep is none: the relay misses nobody so soon.
const SHORTEST: Duration = Duration::from_secs(1);

/// Notices sleeps.
#[derive(Debug)]
pub(crate) struct SleepDetector {
    time_asleep: fn() -> Duration,
    known: Option<Duration>,
}

impl SleepDetector {
    /// Makes one for a system that says how long it has slept since it was started.
    pub(crate) const fn new(time_asleep: fn() -> Duration) -> Self {
        Self {
            time_asleep,
            known: None,
        }
    }

    /// Returns whether the system slept since the last call.
    pub(crate) fn has_slept(&mut self) -> bool {
        let asleep = (self.time_asleep)();

        self.advance(asleep)
    }

    fn advance(&mut self, asleep: Duration) -> bool {
        let before = self.known.unwrap_or(asleep);
        // A look that was interrupted errs to the short side, and must not make the next one a sleep.
        self.known = Some(before.max(asleep));

        asleep.saturating_sub(before) >= SHORTEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_noticed_once_and_jitter_never() {
        let mut sleep = SleepDetector::new(|| Duration::ZERO);
        let hour = Duration::from_hours(1);

        assert!(!sleep.advance(hour));
        assert!(!sleep.advance(hour + Duration::from_millis(3)));
        assert!(sleep.advance(hour + Duration::from_secs(8)));
        assert!(!sleep.advance(hour));
        assert!(!sleep.advance(hour + Duration::from_secs(8)));
        assert!(!sleep.has_slept());
    }
}
