//! The `CoDel` control law of one flow (RFC 8289 section 5, with the re-entry rule of its pseudo-code).

use std::time::{Duration, Instant};

/// Parameters of `CoDel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodelParams {
    /// Acceptable standing delay. 5 ms: RFC 8289 section 4.3.
    pub target: Duration,
    /// Time in which a sender can react, a worst-case round trip. 100 ms: RFC 8289 section 4.2.
    pub interval: Duration,
}

impl Default for CodelParams {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        }
    }
}

/// What to do with the packet at the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodelDecision {
    Pass,
    /// Drop it, or mark it when that is possible.
    Signal,
}

/// State of one flow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Codel {
    /// When the delay will have been above target for an interval; none while it is below.
    first_above: Option<Instant>,
    /// When the next signal is due; set while signalling.
    drop_next: Option<Instant>,
    /// End of the last signalling period, for the re-entry rule.
    last_drop_next: Option<Instant>,
    count: u32,
    last_count: u32,
}

impl Codel {
    /// Judges the head of a flow that waited for `sojourn` and leaves `backlog` bytes (itself included) in the flow.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        sojourn: Duration,
        backlog: usize,
        mtu: usize,
        params: &CodelParams,
    ) -> CodelDecision {
        let ok_to_drop = self.above(now, sojourn, backlog, mtu, params);
        match self.drop_next {
            Some(_) if !ok_to_drop => {
                self.last_drop_next = self.drop_next.take();
                CodelDecision::Pass
            }
            Some(due) if now >= due => {
                self.count = self.count.saturating_add(1);
                self.drop_next = Some(due + spacing(params, self.count));
                CodelDecision::Signal
            }
            None if ok_to_drop => {
                self.enter(now, params);
                CodelDecision::Signal
            }
            Some(_) | None => CodelDecision::Pass,
        }
    }

    fn above(
        &mut self,
        now: Instant,
        sojourn: Duration,
        backlog: usize,
        mtu: usize,
        params: &CodelParams,
    ) -> bool {
        // A queue of one packet is not a standing queue (RFC 8289 section 4.4).
        if sojourn < params.target || backlog <= mtu {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now + params.interval);
                false
            }
            Some(at) => now >= at,
        }
    }

    fn enter(&mut self, now: Instant, params: &CodelParams) {
        // Soon after the last period the old drop rate is a better guess than one (RFC 8289 section 5.4).
        let delta = self.count.saturating_sub(self.last_count);
        let recent = self
            .last_drop_next
            .is_some_and(|end| now.saturating_duration_since(end) < params.interval * 16);
        self.count = if recent && delta > 1 { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = Some(now + spacing(params, self.count));
    }
}

fn spacing(params: &CodelParams, count: u32) -> Duration {
    params.interval.div_f64(f64::from(count.max(1)).sqrt())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to count from"
)]
mod tests {
    use super::*;

    const MTU: usize = 1514;

    #[test]
    fn short_queues_and_short_waits_are_never_signalled() {
        let mut codel = Codel::default();
        let params = CodelParams::default();
        let start = Instant::now();
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            assert_eq!(
                codel.judge(now, Duration::from_millis(4), 100_000, MTU, &params),
                CodelDecision::Pass
            );
            assert_eq!(
                codel.judge(now, Duration::from_millis(50), 1000, MTU, &params),
                CodelDecision::Pass
            );
        }
    }

    #[test]
    fn a_standing_queue_is_signalled_after_one_interval_and_then_ever_faster() {
        let mut codel = Codel::default();
        let params = CodelParams::default();
        let start = Instant::now();
        let signals: Vec<u64> = (0..1000)
            .filter(|ms| {
                let now = start + Duration::from_millis(*ms);
                codel.judge(now, Duration::from_millis(20), 100_000, MTU, &params)
                    == CodelDecision::Signal
            })
            .collect();
        assert_eq!(signals.first(), Some(&100));
        let gaps: Vec<u64> = signals.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps.windows(2).all(|pair| pair[1] <= pair[0] + 1),
            "{gaps:?}"
        );
        assert!(gaps.last() < gaps.first(), "{gaps:?}");
    }
}
