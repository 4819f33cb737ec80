//! Rates and token buckets.

use std::time::Instant;

/// How much may pass: so many tokens a second on average, and so many at once.
///
/// A rate slower than one event a second is a cost of several tokens for each event: one event in
/// six seconds, ten at once, are one token a second, a burst of 60, and a cost of 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; zero means without limit.
    pub per_second: u64,
    /// Tokens that a full bucket holds.
    pub burst: u64,
}

impl Rate {
    /// No limit at all.
    pub const UNLIMITED: Self = Self {
        per_second: 0,
        burst: 0,
    };

    /// Returns how many tokens large items leave to small items: a quarter of the burst, or less
    /// if an item of `amount` needs more.
    ///
    /// ```
    /// use lanparty_bounds::Rate;
    ///
    /// let rate = Rate { per_second: 64, burst: 128 };
    /// assert_eq!(rate.reserve(8), 32);
    /// assert_eq!(rate.reserve(100), 28);
    /// ```
    pub const fn reserve(self, amount: u64) -> u64 {
        let quarter = self.burst / 4;
        let rest = self.burst.saturating_sub(amount);

        if quarter < rest { quarter } else { rest }
    }

    /// Returns `tokens` in the unit in which a bucket counts.
    const fn debt_of(tokens: u64) -> u128 {
        tokens as u128 * NANOSECONDS as u128
    }
}

/// Nanoseconds of a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// A token bucket (RFC 2697, 2), full at first.
///
/// In any time `t` it gives at most `burst + per_second * t` tokens. The arithmetic is exact: the
/// bucket counts in tokens times nanoseconds, and divides nothing.
///
/// One bucket goes with one [`Rate`]: pass the same to every call.
///
/// ```
/// # use std::time::{Duration, Instant};
/// use lanparty_bounds::{Rate, TokenBucket};
///
/// const RATE: Rate = Rate { per_second: 10, burst: 2 };
///
/// let mut bucket = TokenBucket::default();
/// # let now = Instant::now();
/// assert!(bucket.take(RATE, 1, now));
/// assert!(bucket.take(RATE, 1, now));
/// assert!(!bucket.take(RATE, 1, now), "the burst is used up");
/// assert!(bucket.take(RATE, 1, now + Duration::from_millis(100)));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    /// What was missing from a full bucket at [`Self::at`], in tokens times nanoseconds.
    debt: u128,
    /// When tokens were last taken.
    at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket, for constants.
    pub const FULL: Self = Self { debt: 0, at: None };

    /// Takes `amount` tokens. Takes none and returns `false` if there are too few.
    pub fn take(&mut self, rate: Rate, amount: u64, now: Instant) -> bool {
        self.take_leaving(rate, amount, 0, now)
    }

    /// Takes `amount` tokens if at least `reserve` stay. Takes none and returns `false` otherwise.
    pub fn take_leaving(&mut self, rate: Rate, amount: u64, reserve: u64, now: Instant) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        let debt = self.debt(rate, now).saturating_add(Rate::debt_of(amount));
        if debt > Rate::debt_of(rate.burst.saturating_sub(reserve)) {
            return false;
        }
        self.set(debt, now);

        true
    }

    /// Takes `amount` tokens even if there are too few: what follows waits for longer.
    pub fn charge(&mut self, rate: Rate, amount: u64, now: Instant) {
        if rate.per_second > 0 {
            let debt = self.debt(rate, now).saturating_add(Rate::debt_of(amount));
            self.set(debt, now);
        }
    }

    /// Returns whether [`Self::take`] would take `amount` tokens.
    pub fn has(&self, rate: Rate, amount: u64, now: Instant) -> bool {
        let debt = self.debt(rate, now).saturating_add(Rate::debt_of(amount));

        rate.per_second == 0 || debt <= Rate::debt_of(rate.burst)
    }

    /// Returns whether the bucket is full, so that it makes no difference to forget it.
    pub fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.debt(rate, now) == 0
    }

    /// Returns what is missing from a full bucket, in tokens times nanoseconds.
    fn debt(&self, rate: Rate, now: Instant) -> u128 {
        let Some(at) = self.at else {
            return 0;
        };
        let passed = now.saturating_duration_since(at).as_nanos();
        // 584 years in nanoseconds, so the product fits.
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);

        self.debt
            .saturating_sub(u128::from(passed) * u128::from(rate.per_second))
    }

    fn set(&mut self, debt: u128, now: Instant) {
        self.debt = debt;
        // An instant before the last one earns nothing twice.
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 64,
        burst: 128,
    };

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn gives_the_burst_at_once_and_then_the_rate() {
        let now = start();
        let mut bucket = TokenBucket::default();

        let at_once = (0..1000).filter(|_| bucket.take(RATE, 1, now)).count();
        let later = now + Duration::from_secs(1);
        let a_second_later = (0..1000).filter(|_| bucket.take(RATE, 1, later)).count();

        assert_eq!((at_once, a_second_later), (128, 64));
    }

    #[test]
    fn a_rest_earns_no_more_than_the_burst() {
        let now = start();
        let mut bucket = TokenBucket::default();
        bucket.take(RATE, 1, now);

        let later = now + Duration::from_hours(1);

        assert_eq!(
            (0..1000).filter(|_| bucket.take(RATE, 1, later)).count(),
            128
        );
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut bucket = TokenBucket::default();

        assert!(bucket.take(Rate::UNLIMITED, u64::MAX, start()));
        assert!(bucket.has(Rate::UNLIMITED, u64::MAX, start()));
    }

    #[test]
    fn the_reserve_of_large_items_is_there_for_small_ones() {
        let now = start();
        let mut bucket = TokenBucket::default();
        let large = (0..1000)
            .filter(|_| bucket.take_leaving(RATE, 8, RATE.reserve(8), now))
            .count();
        let small = (0..1000).filter(|_| bucket.take(RATE, 1, now)).count();

        assert_eq!((large * 8, small), (96, 32));
    }

    #[test]
    fn what_passes_a_full_bucket_passes_it_whatever_the_reserve() {
        let now = start();
        for amount in [1, 96, 97, 127, 128] {
            let mut bucket = TokenBucket::default();
            assert!(bucket.take_leaving(RATE, amount, RATE.reserve(amount), now));
        }
    }

    #[test]
    fn what_is_larger_than_the_burst_never_passes_and_costs_nothing() {
        let now = start();
        let mut bucket = TokenBucket::default();

        assert!(!bucket.take(RATE, u64::MAX, now));
        assert!(bucket.take(RATE, 128, now));
    }

    #[test]
    fn a_charge_beyond_the_burst_is_waited_for_and_a_full_bucket_is_known() {
        let now = start();
        let mut bucket = TokenBucket::default();
        bucket.charge(RATE, 192, now);

        let a_second = now + Duration::from_secs(1);
        assert!(!bucket.take(RATE, 1, a_second));
        assert!(bucket.has(RATE, 1, a_second + Duration::from_secs(1) / 64));
        assert!(!bucket.is_full(RATE, now + Duration::from_nanos(2_999_999_999)));
        assert!(bucket.is_full(RATE, now + Duration::from_secs(3)));
    }

    #[test]
    fn time_that_goes_back_earns_nothing_twice() {
        let before = start();
        let now = before + Duration::from_secs(2);
        let mut bucket = TokenBucket::default();
        assert!(bucket.take(RATE, 128, now));
        bucket.charge(RATE, 0, before);

        assert!(!bucket.take(RATE, 1, now));
    }
}
