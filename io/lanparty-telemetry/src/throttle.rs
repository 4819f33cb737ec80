//! Lines that a stranger can trigger, at a bounded rate.

use std::time::{Duration, Instant};

/// Lets a line pass now and then, and counts the others.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # let now = Instant::now();
/// let mut throttle = lanparty_telemetry::Throttle::new(Duration::from_secs(1), 2);
///
/// assert_eq!(throttle.pass(now), Some(0));
/// assert_eq!(throttle.pass(now), Some(0));
/// assert_eq!(throttle.pass(now), None);
/// assert_eq!(throttle.pass(now + Duration::from_secs(1)), Some(1), "one line was left out");
/// ```
#[derive(Debug, Clone)]
pub struct Throttle {
    window: Duration,
    most: u32,
    since: Option<Instant>,
    passed: u32,
    left_out: u64,
}

impl Throttle {
    /// Lets `most` lines pass in every `window`.
    pub const fn new(window: Duration, most: u32) -> Self {
        Self {
            window,
            most,
            since: None,
            passed: 0,
            left_out: 0,
        }
    }

    /// Returns how many lines were left out since the last one that passed, if the line may pass.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        let is_over = self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= self.window);
        if is_over {
            self.since = Some(now);
            self.passed = 0;
        }
        if self.passed >= self.most {
            self.left_out += 1;
            return None;
        }
        self.passed += 1;

        Some(std::mem::take(&mut self.left_out))
    }
}
