//! Rates and token buckets.

use std::time::{Duration, Instant};

/// How much may pass: so many a second on average, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; zero means without limit.
    pub per_second: u64,
    /// Tokens that a bucket which rested holds.
    pub burst: u64,
}

impl Rate {
    /// No limit at all.
    pub const UNLIMITED: Self = Self {
        per_second: 0,
        burst: 0,
    };

    /// Returns how long it takes to earn `amount` tokens.
    fn time_for(self, amount: u64) -> Duration {
        let rate = self.per_second.max(1);
        // Most amounts need no wide division.
        let nanoseconds = amount.checked_mul(NANOSECONDS).map_or_else(
            || u128::from(amount) * u128::from(NANOSECONDS) / u128::from(rate),
            |tokens| (tokens / rate).into(),
        );

        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Returns how many tokens large items leave to small ones: a quarter of the burst, or less if one of `amount` needs more.
    pub(crate) fn spare(self, amount: u64) -> u64 {
        (self.burst / 4).min(self.burst.saturating_sub(amount))
    }
}

/// Nanoseconds of a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// A token bucket, kept as the instant up to which its tokens are spent.
///
/// The same as counting tokens (it is ITU-T I.371's virtual scheduling), but in one field, and exact at every rate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    spent_until: Option<Instant>,
}

impl Bucket {
    /// Takes `amount` tokens, or none and returns `false` if there are too few.
    pub(crate) fn take(&mut self, rate: Rate, amount: u64, now: Instant) -> bool {
        self.take_sparing(rate, amount, 0, now)
    }

    /// Takes `amount` tokens if `spared` of a full bucket's stay, or none and returns `false`.
    pub(crate) fn take_sparing(
        &mut self,
        rate: Rate,
        amount: u64,
        spared: u64,
        now: Instant,
    ) -> bool {
        if rate.per_second == 0 {
            return true;
        }

        let from = self.spent_until.map_or(now, |until| until.max(now));
        let Some(until) = from.checked_add(rate.time_for(amount)) else {
            return false;
        };
        if until.saturating_duration_since(now) > rate.time_for(rate.burst.saturating_sub(spared)) {
            return false;
        }
        self.spent_until = Some(until);

        true
    }
}

#[cfg(test)]
mod tests {
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
        let mut bucket = Bucket::default();

        let at_once = (0..1000).filter(|_| bucket.take(RATE, 1, now)).count();
        let later = now + Duration::from_secs(1);
        let a_second_later = (0..1000).filter(|_| bucket.take(RATE, 1, later)).count();

        assert_eq!((at_once, a_second_later), (128, 64));
    }

    #[test]
    fn a_rest_earns_no_more_than_the_burst() {
        let now = start();
        let mut bucket = Bucket::default();
        bucket.take(RATE, 1, now);

        let later = now + Duration::from_hours(1);

        assert_eq!(
            (0..1000).filter(|_| bucket.take(RATE, 1, later)).count(),
            128
        );
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut bucket = Bucket::default();

        assert!(bucket.take(Rate::UNLIMITED, u64::MAX, start()));
    }

    #[test]
    fn what_large_items_spare_is_there_for_small_ones() {
        let now = start();
        let mut bucket = Bucket::default();
        let large = (0..1000)
            .filter(|_| bucket.take_sparing(RATE, 8, RATE.spare(8), now))
            .count();
        let small = (0..1000).filter(|_| bucket.take(RATE, 1, now)).count();

        assert_eq!((large * 8, small), (96, 32));
    }

    #[test]
    fn what_passes_a_rested_bucket_passes_it_whatever_is_spared() {
        let now = start();
        for amount in [1, 96, 97, 127, 128] {
            let mut bucket = Bucket::default();
            assert!(bucket.take_sparing(RATE, amount, RATE.spare(amount), now));
        }
    }

    #[test]
    fn times_are_exact_where_the_wide_division_begins() {
        let rate = Rate {
            per_second: NANOSECONDS,
            burst: 0,
        };
        for amount in [0, 1, u64::MAX / NANOSECONDS, u64::MAX / NANOSECONDS + 1] {
            assert_eq!(rate.time_for(amount), Duration::from_nanos(amount));
        }
    }

    #[test]
    fn what_is_larger_than_the_burst_never_passes_and_costs_nothing() {
        let now = start();
        let mut bucket = Bucket::default();

        assert!(!bucket.take(RATE, u64::MAX, now));
        assert!(bucket.take(RATE, 128, now));
    }
}
