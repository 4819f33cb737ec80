//! Whether the system slept.
//!
//! `CLOCK_MONOTONIC` stands still while Linux is suspended and `CLOCK_BOOTTIME` does not (`clock_gettime(2)`): what lies between them
//! grows by the time that was slept. Other systems tell in another way.

use std::time::Duration;

/// A sleep so short is none: less than the relay takes to miss anybody.
const SHORTEST: Duration = Duration::from_secs(1);

/// Notices sleeps.
#[derive(Debug, Default)]
pub(crate) struct Sleep {
    slept: Option<Duration>,
}

impl Sleep {
    /// Returns whether the system slept since the last call.
    pub(crate) fn has_slept(&mut self) -> bool {
        self.advance(slept())
    }

    /// Takes how long the system has slept since it was started.
    fn advance(&mut self, slept: Duration) -> bool {
        let before = self.slept.unwrap_or(slept);
        // A look that was interrupted errs to the short side, and must not make the next one a sleep.
        self.slept = Some(before.max(slept));

        slept.saturating_sub(before) >= SHORTEST
    }
}

#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order the difference errs to the short side.
    let boottime = read(ClockId::Boottime);

    boottime.saturating_sub(read(ClockId::Monotonic))
}

#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_noticed_once_and_jitter_never() {
        let mut sleep = Sleep::default();
        let hour = Duration::from_hours(1);

        assert!(!sleep.advance(hour));
        assert!(!sleep.advance(hour + Duration::from_millis(3)));
        assert!(sleep.advance(hour + Duration::from_secs(8)));
        assert!(!sleep.advance(hour));
        assert!(!sleep.advance(hour + Duration::from_secs(8)));
        assert!(!sleep.has_slept() || slept() > hour);
    }
}
