//! quinn's congestion controller as a sensor: it watches, and never holds anything back.
//!
//! What may leave is decided in front of the library, where frames still can be reordered and dropped (`lanparty-queue`). The
//! library's own window is open and its pacer off, so its queue is empty between turns. Acknowledgements are gathered
//! here and fetched by the link once a turn; the lock is taken once for an ACK frame and never contended.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanparty_queue::AckBatch;
use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};

use crate::black_hole::BASE;
use crate::transport::MAX_ACK_DELAY;

/// One thing the sensor saw, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Report {
    /// What one ACK frame acknowledged.
    Ack {
        /// When it came.
        now: Instant,
        /// What the rate controller wants to know of it.
        batch: AckBatch,
        /// The smoothed round trip before it.
        smoothed: Duration,
        /// When the newest packet was sent that a black hole would have swallowed.
        newest_large: Option<Instant>,
    },
    /// Packets were found lost.
    Loss {
        /// When that was found.
        now: Instant,
        /// When the newest of them was sent.
        sent: Instant,
        /// Their bytes; 0 for a router's mark (ECN).
        bytes: u64,
    },
}

/// How many reports wait for the link at most. One turn reads a few hundred packets, of which few carry an ACK.
const MAX_REPORTS: usize = 1024;

/// Where a connection's sensor leaves its reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<Report>>>);

impl Reports {
    fn push(&self, report: Report) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() < MAX_REPORTS {
            reports.push(report);
        }
    }

    /// Moves what was reported into `into`.
    pub(crate) fn drain_into(&self, into: &mut Vec<Report>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Tells every acknowledgement among `reports` how long the peer says to have kept it; `smoothed` is the round trip after the last.
///
/// The library does not hand on the delay, but smooths round trips without it: one eighth of each sample (RFC 9002, 5.3). What it smoothed
/// is therefore known from before and after.
pub(crate) fn tell_delays(reports: &mut [Report], mut smoothed: Duration) {
    for report in reports.iter_mut().rev() {
        if let Report::Ack {
            now,
            batch,
            smoothed: before,
            ..
        } = report
        {
            let newest = batch.newest_sent.unwrap_or(*now);
            batch.ack_delay = delay(now.saturating_duration_since(newest), *before, smoothed);
            smoothed = *before;
        }
    }
}

/// Returns the delay that makes of a round trip `rtt` the sample which moved the smoothed one from `before` to `after`; none if that is no
/// delay that a peer of ours would have.
fn delay(rtt: Duration, before: Duration, after: Duration) -> Duration {
    if before == after {
        return Duration::ZERO;
    }
    let sample = after
        .saturating_mul(8)
        .saturating_sub(before.saturating_mul(7));
    let delay = rtt.saturating_sub(sample);

    if delay <= MAX_ACK_DELAY * 2 {
        delay
    } else {
        Duration::ZERO
    }
}

/// Makes the sensor of one connection.
#[derive(Debug, Default)]
pub(crate) struct SensorFactory(pub(crate) Reports);

impl ControllerFactory for SensorFactory {
    fn build(self: Arc<Self>, _now: Instant, _current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Sensor {
            reports: self.0.clone(),
            batch: AckBatch::default(),
            smoothed: Duration::ZERO,
            newest_large: None,
        })
    }
}

#[derive(Debug, Clone)]
struct Sensor {
    reports: Reports,
    batch: AckBatch,
    smoothed: Duration,
    newest_large: Option<Instant>,
}

impl Controller for Sensor {
    fn on_ack(
        &mut self,
        _now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.smoothed = rtt.get();
        self.batch.add(sent, bytes);
        if bytes > BASE {
            self.newest_large = self.newest_large.max(Some(sent));
        }
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        _app_limited: bool,
        _largest: Option<u64>,
    ) {
        let mut batch = std::mem::take(&mut self.batch);
        let newest_large = self.newest_large.take();
        if batch.newest_sent.is_some() {
            batch.in_flight = in_flight;
            self.reports.push(Report::Ack {
                now,
                batch,
                smoothed: self.smoothed,
                newest_large,
            });
        }
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, _persistent: bool, bytes: u64) {
        self.reports.push(Report::Loss { now, sent, bytes });
    }

    fn on_mtu_update(&mut self, _new_mtu: u16) {}

    fn window(&self) -> u64 {
        u64::MAX
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        u64::MAX
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the library does with a sample (RFC 9002, 5.3).
    fn smooth(before: Duration, sample: Duration) -> Duration {
        (before * 7 + sample) / 8
    }

    #[test]
    fn the_delay_is_what_the_library_left_out() {
        let rtt = Duration::from_micros(5300);
        for told in [0, 1, 800, 5000] {
            let told = Duration::from_micros(told);
            let before = Duration::from_micros(777);
            let found = delay(rtt, before, smooth(before, rtt.saturating_sub(told)));
            assert!(found.abs_diff(told) < Duration::from_nanos(16), "{found:?}");
        }
    }

    #[test]
    fn what_was_not_smoothed_tells_nothing() {
        let (rtt, before) = (Duration::from_millis(6), Duration::from_millis(333));

        assert_eq!(delay(rtt, before, before), Duration::ZERO);
        // The first sample replaces what was assumed.
        assert_eq!(
            delay(Duration::from_millis(40), before, Duration::from_millis(40)),
            Duration::ZERO
        );
    }
}
