//! Lines that a peer can trigger, at a bounded rate.

use std::time::{Duration, Instant};

use lanparty_bounds::{Rate, TokenBucket};

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
    rate: Rate,
    /// Tokens for one line.
    cost: u64,
    bucket: TokenBucket,
    left_out: u64,
}

impl Throttle {
    /// Lets `most` lines pass at once, and as many in every `window` after that. The window is
    /// whole seconds, one at least.
    pub const fn new(window: Duration, most: u64) -> Self {
        // A line costs as many tokens as the window has seconds.
        let seconds = window.as_secs();

        Self {
            rate: Rate {
                per_second: most,
                burst: most.saturating_mul(seconds),
            },
            cost: seconds,
            bucket: TokenBucket::FULL,
            left_out: 0,
        }
    }

    /// Returns how many lines were left out since the last one that passed, if the line may pass.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        if !self.bucket.take(self.rate, self.cost, now) {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }

        Some(std::mem::take(&mut self.left_out))
    }
}
