//! One destination as a whole: the queue, the pace, and the cap on bytes in flight.

use crate::control::{AckBatch, HARD_CAP, RateController};
use crate::fq::{Enqueued, FqCodel, FqConfig, QUANTUM, QUANTUM_SLOW};
use crate::item::{QueueCounts, QueueItem};
use crate::rate::BitRate;
use crate::shaper::{OVERHEAD_IPV4, SPARSE_DEBT_BYTES, Shaper};
use lanparty_proto::TrafficClass;
use std::time::{Duration, Instant};

/// Most segments in one train: what the kernel takes in one call with UDP GSO (`UDP_MAX_SEGMENTS`, include/linux/udp.h).
pub const MAX_TRAIN: usize = 64;

/// Outer headers that the QUIC library does not count: IPv4 20 and UDP 8.
const IP_UDP_OVERHEAD: u16 = 28;

/// Below this rate the queue's quantum is [`QUANTUM_SLOW`] (RFC 8290 section 5.2.4).
const SLOW: u64 = 10_000_000;

/// How long nothing must have been queued before the queue's memory is given back: longer than the pauses of a game that is played.
pub const RELEASE_AFTER: Duration = Duration::from_secs(5);

/// How one direction of a link is limited: [`crate::PaceSetting`] as seen from the sending end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The rate controller finds out.
    Auto,
    /// No pacing, only the cap on bytes in flight.
    Off,
    /// Shaped to this rate.
    Fixed(BitRate),
}

/// What an egress queue is built with.
#[derive(Debug, Clone, Copy)]
pub struct EgressConfig {
    /// The queue.
    pub queue: FqConfig,
    /// How sending is limited.
    pub pace: Pace,
    /// Outer bytes per datagram: [`crate::shaper::OVERHEAD_IPV4`] or [`crate::shaper::OVERHEAD_IPV6`].
    pub overhead: u16,
    /// UDP payload that the path carries at first.
    pub mtu: u16,
}

impl EgressConfig {
    /// Defaults for `pace` on a path of 1200 bytes, QUIC's least (RFC 9000 section 14).
    pub fn new(pace: Pace) -> Self {
        Self {
            queue: FqConfig::default(),
            pace,
            overhead: OVERHEAD_IPV4,
            mtu: 1200,
        }
    }
}

/// A destination: [`FqCodel`], then [`Shaper`], then the cap on bytes in flight.
///
/// Order of calls in one turn, all with the same `now`: `handle_ack_batch` and `handle_loss` for what came back, `enqueue` for what
/// came in, `poll_transmit` until it gives nothing, everything it gave into the QUIC library's datagram queue, `handle_sent` for what the
/// library then sent. `poll_timeout` says when to come again if nothing else happens.
#[derive(Debug)]
pub struct EgressQueue<T> {
    queue: FqCodel<T>,
    pace: Pace,
    shaper: Shaper,
    overhead: u16,
    controller: RateController,
    /// Bytes handed out in this turn that `handle_sent` has not yet seen.
    pending: u64,
    turn: Option<Instant>,
    /// Whether something has waited for the shaper since the last turn.
    has_waited: bool,
    /// Bytes that the shaper was charged and that left, since the QUIC library's queue was last empty.
    charged: u64,
    left: u64,
    /// When something was queued last, unless the queue's memory has been given back since.
    last_queued: Option<Instant>,
}

impl<T: QueueItem> EgressQueue<T> {
    /// An empty egress queue.
    pub fn new(config: EgressConfig) -> Self {
        let controller = RateController::new(config.mtu);
        let mut egress = Self {
            queue: FqCodel::new(config.queue),
            pace: config.pace,
            shaper: Shaper::new(BitRate::MAX, config.overhead),
            overhead: config.overhead,
            controller,
            pending: 0,
            turn: None,
            has_waited: false,
            charged: 0,
            left: 0,
            last_queued: None,
        };
        egress.set_pace(config.pace);
        egress
    }

    /// Changes how sending is limited, for example when a member tells its rate.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        match pace {
            // The controller counts UDP payload, as the QUIC library does.
            Pace::Auto => self
                .shaper
                .set_overhead(self.overhead.saturating_sub(IP_UDP_OVERHEAD)),
            Pace::Off => {}
            Pace::Fixed(rate) => {
                self.shaper.set_overhead(self.overhead);
                self.set_rate(rate);
            }
        }
        self.follow();
    }

    /// The limit in force.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// The queue, to look at.
    pub const fn queue(&self) -> &FqCodel<T> {
        &self.queue
    }

    /// The controller, to look at. It learns in every mode.
    pub const fn controller(&self) -> &RateController {
        &self.controller
    }

    /// Drops and marks since the last call of this function.
    pub const fn take_counts(&mut self) -> QueueCounts {
        self.queue.take_counts()
    }

    /// Queues `item` of the flow that hashes to `flow` from the sender `source`; see [`FqCodel::enqueue`].
    pub fn enqueue(
        &mut self,
        item: T,
        flow: u32,
        source: u16,
        class: TrafficClass,
        now: Instant,
    ) -> Enqueued {
        self.last_queued = Some(now);
        self.queue.enqueue(item, flow, source, class, now)
    }

    /// The next item that may leave now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<T> {
        if self.turn != Some(now) {
            self.turn = Some(now);
            self.pending = 0;
        }
        let Some(len) = self.queue.peek_len() else {
            self.has_waited = false;
            self.note_app_limited(now);
            return None;
        };
        let sparse = self.queue.next_is_sparse();
        if self.pace != Pace::Off && !self.shaper.may_send(now, sparse) {
            self.has_waited = true;
            return None;
        }
        if !self.fits(now, len, sparse) {
            self.has_waited = false;
            return None;
        }
        let item = self.queue.dequeue(now)?;
        let len = item.wire_len();
        if self.pace != Pace::Off {
            self.shaper.sent(now, len, self.has_waited);
            let overhead = u64::from(self.shaper.overhead());
            self.charged = self.charged.saturating_add(len as u64 + overhead);
        }
        self.pending = self.pending.saturating_add(len as u64);
        Some(item)
    }

    /// When [`Self::poll_transmit`] may give something although nothing was enqueued or acknowledged meanwhile.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let len = self.queue.peek_len().unwrap_or(0);
        let sparse = self.queue.next_is_sparse();
        let paced = self.paced_until(sparse);
        if self.fits(now, len, sparse) {
            return Some(paced.map_or(now, |at| at.max(now)));
        }
        // Acknowledgements wake us; only their absence needs a timer.
        let probe = self.controller.next_probe(now)?;
        Some(paced.map_or(probe, |at| at.max(probe)))
    }

    /// The QUIC library sent `bytes` of UDP payload in so many `packets`; `is_all` if nothing is left in its queue.
    pub fn handle_sent(&mut self, now: Instant, bytes: u64, packets: u64, is_all: bool) {
        self.pending = self.pending.saturating_sub(bytes);
        self.controller.handle_sent(now, bytes);
        let outer = match self.pace {
            Pace::Fixed(_) => packets.saturating_mul(IP_UDP_OVERHEAD.into()),
            Pace::Auto | Pace::Off => 0,
        };
        self.left = self.left.saturating_add(bytes).saturating_add(outer);
        if is_all {
            let (charged, left) = (
                std::mem::take(&mut self.charged),
                std::mem::take(&mut self.left),
            );
            if charged > 0 {
                self.shaper.settle(charged, left);
            }
        }
    }

    /// Acknowledgements arrived.
    pub fn handle_ack_batch(&mut self, now: Instant, batch: &AckBatch) {
        self.controller.handle_ack_batch(now, batch);
        self.follow();
    }

    /// `bytes` were declared lost.
    pub fn handle_loss(&mut self, now: Instant, bytes: u64) {
        self.controller.handle_loss(now, bytes);
    }

    /// The path now carries `mtu` bytes of UDP payload.
    pub fn handle_mtu(&mut self, mtu: u16) {
        self.controller.handle_mtu(mtu);
    }

    /// Most datagrams of `segment` bytes in one train: 64, and about 1 ms of the rate.
    pub fn max_train(&self, segment: usize) -> usize {
        if self.pace == Pace::Off {
            return MAX_TRAIN;
        }
        let bytes = self.shaper.rate().bytes_in(crate::shaper::BURST);
        let segments = bytes / (segment as u64).max(1);
        usize::try_from(segments)
            .unwrap_or(MAX_TRAIN)
            .clamp(1, MAX_TRAIN)
    }

    /// Gives the queue's memory back if nothing waits and nothing was queued for [`RELEASE_AFTER`]: for peers that nobody talks to.
    ///
    /// It costs two comparisons where there is nothing to do; call it after each turn.
    pub fn release_if_idle(&mut self, now: Instant) {
        let is_idle = self
            .last_queued
            .is_some_and(|last| now.saturating_duration_since(last) >= RELEASE_AFTER);
        if is_idle && self.queue.is_empty() {
            self.queue.release_if_empty();
            self.last_queued = None;
        }
    }

    /// Whether `len` more bytes may be in flight; a sparse packet may pass the window by as much as it may pass the shaper.
    fn fits(&self, now: Instant, len: usize, sparse: bool) -> bool {
        let outstanding = self.controller.in_flight().saturating_add(self.pending);
        let allowed = if self.controller.is_silent(now) || self.pace == Pace::Auto {
            self.controller
                .sendable(now)
                .saturating_add(self.controller.in_flight())
        } else {
            HARD_CAP
        };
        let debt = if sparse && !self.controller.is_silent(now) {
            SPARSE_DEBT_BYTES
        } else {
            0
        };
        outstanding.saturating_add(len as u64) <= allowed.saturating_add(debt).min(HARD_CAP)
    }

    fn paced_until(&self, sparse: bool) -> Option<Instant> {
        if self.pace == Pace::Off {
            None
        } else {
            self.shaper.earliest(sparse)
        }
    }

    fn note_app_limited(&mut self, now: Instant) {
        if self.paced_until(false).is_none_or(|at| at <= now) {
            self.controller.handle_app_limited();
        }
    }

    fn follow(&mut self) {
        if self.pace == Pace::Auto {
            self.set_rate(self.controller.pacing_rate());
        }
    }

    fn set_rate(&mut self, rate: BitRate) {
        self.shaper.set_rate(rate);
        let slow = rate.bits_per_second() < SLOW;
        self.queue
            .set_quantum(if slow { QUANTUM_SLOW } else { QUANTUM });
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may read the clock")]
mod tests {
    use super::*;

    struct Packet(usize);

    impl QueueItem for Packet {
        fn wire_len(&self) -> usize {
            self.0
        }

        fn mark_ce(&mut self) -> bool {
            false
        }
    }

    #[test]
    fn memory_goes_back_once_nobody_talks_and_not_before() {
        let mut egress = EgressQueue::new(EgressConfig::new(Pace::Off));
        let start = Instant::now();
        let later = start + RELEASE_AFTER;
        let put = |egress: &mut EgressQueue<Packet>, now| {
            let _none = egress.enqueue(Packet(100), 1, 1, TrafficClass::Normal, now);
        };

        put(&mut egress, start);
        egress.release_if_idle(later);
        assert!(egress.poll_transmit(later).is_some(), "what waits stays");
        put(&mut egress, later);
        assert!(egress.poll_transmit(later).is_some());
        egress.release_if_idle(later);
        assert!(egress.queue.owns_memory(), "somebody has just talked");
        egress.release_if_idle(later + RELEASE_AFTER);
        assert!(!egress.queue.owns_memory());
    }
}
