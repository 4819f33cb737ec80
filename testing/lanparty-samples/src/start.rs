//! The time at which tests begin.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How far a test can look back from [`start`]: further than any memory that a table has.
const PAST: Duration = Duration::from_hours(24);

static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() + PAST);

/// Returns the instant from which a test counts its virtual time: the same in every call, so that
/// helpers of one test agree. There is a day before it.
pub fn start() -> Instant {
    *START
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_returns_the_same_instant_with_a_past() {
        assert_eq!(start(), start());
        assert!(start().checked_sub(PAST).is_some());
    }
}
