//! How often a loop turns: as network cards moderate their interrupts, a busy loop lets a batch gather.

use std::time::{Duration, Instant};

/// A loop that turns all the time turns once in this time. At 1 Gbit/s 18 full frames gather meanwhile, and share the cost of a turn
/// (waiting, system calls, a packet's protection); a frame waits 0.1 ms on average, and only beside bulk traffic.
pub const PERIOD: Duration = Duration::from_micros(200);

/// Turns that may follow each other at once after a rest: a game's tick towards and from some players, with the answers.
pub const BURST: u32 = 8;

/// The tempo of one loop: a bucket of [`BURST`] turns that fills by one each [`PERIOD`].
///
/// Sparse traffic never waits: up to 5,000 turns a second come without a pause.
#[derive(Debug, Default)]
pub struct Tempo {
    /// Time saved for turns to come; none before the first turn.
    saved: Option<(Instant, Duration)>,
}

impl Tempo {
    /// A turn began at `now` and is done. Returns how long to rest before the next wait, if it should.
    pub fn handle_turn(&mut self, now: Instant) -> Option<Duration> {
        let most = PERIOD * BURST;
        let saved = self.saved.map_or(most, |(last, saved)| {
            saved
                .saturating_add(now.saturating_duration_since(last))
                .min(most)
        });
        if let Some(left) = saved.checked_sub(PERIOD) {
            self.saved = Some((now, left));
            return None;
        }
        let missing = PERIOD.saturating_sub(saved);
        // The rest itself pays for this turn.
        self.saved = now
            .checked_add(missing)
            .map(|rested| (rested, Duration::ZERO));

        Some(missing)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to count from"
)]
mod tests {
    use super::*;

    #[test]
    fn sparse_turns_never_rest() {
        let mut tempo = Tempo::default();
        let start = Instant::now();
        for turn in 0..1000 {
            assert_eq!(tempo.handle_turn(start + PERIOD * turn), None);
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_loop_keeps_its_period() {
        let mut tempo = Tempo::default();
        let mut now = Instant::now();
        for _ in 0..BURST {
            assert_eq!(tempo.handle_turn(now), None);
        }
        let start = now;
        for _ in 0..1000 {
            if let Some(rest) = tempo.handle_turn(now) {
                assert!(rest <= PERIOD);
                now += rest;
            }
            now += Duration::from_micros(10);
        }
        let took = now - start;
        assert!(took >= PERIOD * 990 && took <= PERIOD * 1010, "{took:?}");
    }

    #[test]
    fn a_rest_fills_the_bucket_no_further_than_a_burst() {
        let mut tempo = Tempo::default();
        let start = Instant::now();
        assert_eq!(tempo.handle_turn(start), None);
        let later = start + Duration::from_mins(1);
        let rests = (0..2 * BURST).filter(|_| tempo.handle_turn(later).is_some());
        assert_eq!(rests.count(), BURST as usize);
    }
}
