//! How long to wait before the next attempt.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait before jitter: a player who looks at the screen sees something happen.
const LONGEST: Duration = Duration::from_secs(5);

/// The longest wait during the first [`EAGER`] attempts. With the repetitions of an attempt's first packet a relay that comes back hears
/// from every member within 2.5 s: each costs it one packet a second.
const LONGEST_AT_FIRST: Duration = Duration::from_secs(2);

/// How many attempts those are: they take two minutes, in which whatever can be put right by itself is. Later the line that nobody
/// answers on, and the relay that everybody waits for, are spared.
const EAGER: u32 = 25;

/// How long the first attempt to connect may take. A relay that has just come back answers in one round trip, but the first packet,
/// sent while it was away, is repeated by QUIC only after a second.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);

/// The longest an attempt to connect may take: the third repetition of a lost packet has had time.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3);

/// Waits that grow by 1.6, each shifted by up to 30 %, so that a party does not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            random: seed,
        }
    }

    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns how long to wait after one more failure.
    pub(super) fn next_wait(&mut self) -> Duration {
        let longest = if self.failures < EAGER {
            LONGEST_AT_FIRST
        } else {
            LONGEST
        };
        let wait = grown(FIRST, longest, self.failures);
        self.failures = self.failures.saturating_add(1);

        self.jitter(wait)
    }

    /// Returns `wait`, shifted by up to 30 %.
    pub(super) fn jitter(&mut self, wait: Duration) -> Duration {
        // Thousandths from 700 to 1300.
        let permille = 700 + self.next_random() % 601;
        let permille = u32::try_from(permille).unwrap_or(1000);

        wait * permille / 1000
    }

    /// Returns how long the next attempt to connect may take.
    pub(super) fn patience(&self) -> Duration {
        grown(FIRST_PATIENCE, LONGEST_PATIENCE, self.failures)
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014).
    pub(super) const fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.random;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);

        z ^ (z >> 31)
    }
}

/// Returns `first` times 1.6 for every failure, at most `longest`.
fn grown(first: Duration, longest: Duration, failures: u32) -> Duration {
    // After twenty steps either bound is long reached.
    let mut wait = first;
    for _ in 0..failures.min(20) {
        wait = (wait * 8 / 5).min(longest);
    }

    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_two_and_later_to_five_seconds_and_stay_within_thirty_percent() {
        let mut backoff = Backoff::new(7);
        let mut grown = FIRST;
        let mut spent = Duration::ZERO;
        for number in 0..40 {
            let longest = if number < EAGER {
                LONGEST_AT_FIRST
            } else {
                LONGEST
            };
            let expected = grown.min(longest);
            let patience = backoff.patience();
            let wait = backoff.next_wait();
            assert!(
                wait >= expected * 7 / 10 && wait <= expected * 13 / 10,
                "{wait:?}"
            );
            if number < EAGER {
                spent += patience + wait;
            }
            grown = (grown * 8 / 5).min(LONGEST);
        }
        assert!((90..150).contains(&spent.as_secs()), "{spent:?}");

        backoff.reset();
        assert!(backoff.next_wait() <= FIRST * 13 / 10);
    }

    #[test]
    fn two_members_do_not_wait_equally_long() {
        let (mut one, mut two) = (Backoff::new(1), Backoff::new(2));

        assert_ne!(one.next_wait(), two.next_wait());
    }
}
