//! Packets that cannot pass, told to a person.

use std::time::{Duration, Instant};

use lanparty_obs::{DropReason, Drops, StatusLine};
use lanparty_proto::Refusal;

/// How often a person is told at most: a station that goes on sending what cannot pass does so hundreds of times a second.
const INTERVAL: Duration = Duration::from_mins(1);

/// Whether there is something new to tell.
#[derive(Debug, Default)]
pub(super) struct TooLarge {
    told: u64,
    told_at: Option<Instant>,
}

impl TooLarge {
    /// Returns what to tell if more was dropped than the person knows of, and the last word was a while ago.
    ///
    /// `drops` is what was dropped towards the relay since the start, `mtu` the largest IP packet that passes now.
    pub(super) fn check(&mut self, drops: &Drops, mtu: u16, now: Instant) -> Option<StatusLine> {
        let count =
            drops.get(DropReason::DatagramBudget) + drops.get(DropReason::Policy(Refusal::Jumbo));
        let was_recent = self
            .told_at
            .is_some_and(|at| now.saturating_duration_since(at) < INTERVAL);
        if count <= self.told || was_recent {
            return None;
        }
        self.told = count;
        self.told_at = Some(now);

        Some(StatusLine::TooLarge { mtu })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_is_told_of_the_first_and_then_of_news_once_a_minute() {
        let (mut told, mut drops, start) = (TooLarge::default(), Drops::default(), Instant::now());
        assert_eq!(told.check(&drops, 1280, start), None);

        drops.add(DropReason::Policy(Refusal::Jumbo));
        let line = Some(StatusLine::TooLarge { mtu: 1280 });
        assert_eq!(told.check(&drops, 1280, start), line);
        assert_eq!(told.check(&drops, 1280, start + INTERVAL), None);

        drops.add(DropReason::DatagramBudget);
        let soon = start + Duration::from_secs(1);
        assert_eq!(told.check(&drops, 1280, soon), None);
        assert_eq!(told.check(&drops, 1280, start + INTERVAL), line);
    }
}
