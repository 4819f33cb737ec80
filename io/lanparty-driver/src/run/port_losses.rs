//! Frames that are lost between this program and the system, told to a person.

use std::time::{Duration, Instant};

use lanparty_device::Losses;
use lanparty_obs::{PortLoss, StatusLine};

/// How often a person is told at most, and over how long losses are summed up.
const INTERVAL: Duration = Duration::from_mins(1);

/// Fewer in one [`INTERVAL`] are no news: a burst that meets a full queue loses some, and every game bears that.
const NEWS: u64 = 32;

/// What was lost and not told yet.
#[derive(Debug, Default)]
pub(super) struct PortLosses {
    untold: Losses,
    since: Option<Instant>,
    told_at: Option<Instant>,
}

impl PortLosses {
    /// Takes what was dropped since the last call, and returns what to tell, if that is enough and the last word was a while ago.
    ///
    /// Of several causes the gravest is told: an interface that is down explains all others.
    pub(super) fn check(
        &mut self,
        drops: Losses,
        interface: &str,
        now: Instant,
    ) -> Option<StatusLine> {
        let is_over =
            |at: Option<Instant>| at.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL);
        if is_over(self.since) && gravest(self.untold).is_none() {
            self.untold = Losses::default();
            self.since = Some(now);
        }
        self.untold = self.untold.plus(drops);
        let (loss, count) = gravest(self.untold)?;
        if !is_over(self.told_at) {
            return None;
        }
        self.untold = Losses::default();
        self.since = Some(now);
        self.told_at = Some(now);

        Some(StatusLine::PortLoss {
            interface: interface.to_owned(),
            loss,
            count,
        })
    }
}

fn gravest(drops: Losses) -> Option<(PortLoss, u64)> {
    [
        (PortLoss::Down, drops.down),
        (PortLoss::Refused, drops.refused),
        (PortLoss::Busy, drops.busy),
        (PortLoss::Missed, drops.missed),
    ]
    .into_iter()
    .find(|(_, count)| *count >= NEWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Losses = Losses {
        busy: 0,
        down: 0,
        refused: 0,
        missed: 0,
    };

    fn line(loss: PortLoss, count: u64) -> StatusLine {
        StatusLine::PortLoss {
            interface: "eth0".to_owned(),
            loss,
            count,
        }
    }

    #[test]
    fn a_few_lost_frames_are_no_news_and_many_are_told_once_a_minute() {
        let (mut losses, start) = (PortLosses::default(), Instant::now());
        let busy = |busy| Losses { busy, ..NONE };
        let mut check = |drops, after| {
            let now = start + Duration::from_secs(after);
            losses.check(drops, "eth0", now)
        };

        assert_eq!(check(busy(NEWS - 1), 0), None);
        assert_eq!(check(NONE, 59), None);
        // Another minute, another sum.
        assert_eq!(check(busy(NEWS - 1), 60), None);
        assert_eq!(check(busy(1), 61), Some(line(PortLoss::Busy, NEWS)));
        assert_eq!(check(busy(NEWS), 62), None);
        assert_eq!(check(busy(5), 90), None);
        assert_eq!(check(NONE, 121), Some(line(PortLoss::Busy, NEWS + 5)));
    }

    #[test]
    fn an_interface_that_is_down_explains_everything_else() {
        let drops = Losses {
            busy: 900,
            down: 40,
            ..NONE
        };

        let told = PortLosses::default().check(drops, "eth0", Instant::now());

        assert_eq!(told, Some(line(PortLoss::Down, 40)));
    }
}
