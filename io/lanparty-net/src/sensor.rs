//! quinn's congestion controller as a sensor: it watches, and never holds anything back.
//!
//! What may leave is decided in front of the library, where frames still can be reordered and dropped (`lanparty-queue`). The
//! library's own window is open and its pacer off, so its queue is empty between turns. Acknowledgements are gathered
//! here and fetched by the link once a turn; the lock is taken once for an ACK frame and never contended.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lanparty_queue::AckBatch;
use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};

use crate::black_hole::BASE;

/// One thing the sensor saw, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Report {
    /// What one ACK frame acknowledged.
    Ack {
        /// When it came.
        now: Instant,
        /// What the rate controller wants to know of it.
        batch: AckBatch,
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

/// Makes the sensor of one connection.
#[derive(Debug, Default)]
pub(crate) struct SensorFactory(pub(crate) Reports);

impl ControllerFactory for SensorFactory {
    fn build(self: Arc<Self>, _now: Instant, _current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Sensor {
            reports: self.0.clone(),
            batch: AckBatch::default(),
            newest_large: None,
        })
    }
}

#[derive(Debug, Clone)]
struct Sensor {
    reports: Reports,
    batch: AckBatch,
    newest_large: Option<Instant>,
}

impl Controller for Sensor {
    fn on_ack(
        &mut self,
        _now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
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
