//! How long the system slept.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns how long the system has slept since it was started.
///
/// `CLOCK_MONOTONIC` stands still while Linux is suspended and `CLOCK_BOOTTIME` does not
/// (`clock_gettime(2)`): the time between them is the time that was slept.
pub(crate) fn time_asleep() -> Duration {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order the difference errs to the short side.
    let boottime = read(ClockId::Boottime);

    boottime.saturating_sub(read(ClockId::Monotonic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_is_awake_does_not_fall_asleep_between_two_looks() {
        let before = time_asleep();

        assert!(time_asleep().abs_diff(before) < Duration::from_secs(1));
    }
}
