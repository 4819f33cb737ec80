//! The rate controller of `--rate auto`: how fast a path carries, found from delivery rate and delay, with loss as the last resort.
//!
//! The model is that of BBR (draft-ietf-ccwg-bbr): the path is a maximum delivery rate and a minimum round trip. It differs where a
//! game decides: delay ends every probe and shortens every queue within a round, loss without delay is noise, and bytes in flight
//! stay within a few milliseconds of the bandwidth-delay product. `docs/queueing.md` derives every constant.

mod estimate;
mod phase;

use crate::rate::BitRate;
use estimate::{Estimate, Sample};
use phase::Phase;
use std::time::{Duration, Instant};

/// Bytes in flight never exceed this: 8 MB is 2.5 Gbit/s over 25 ms, and bounds what the QUIC library remembers of a vanished peer.
pub const HARD_CAP: u64 = 8_000_000;

/// In flight before the first sample: RFC 9002 section 7.2 asks for 10 datagrams; 32 are one full acknowledgement interval.
const INITIAL_DATAGRAMS: u64 = 32;

/// Pacing before startup knows better: the initial window within 20 ms at 1400 bytes.
const INITIAL_RATE: BitRate = match BitRate::constant(18_000_000) {
    Some(rate) => rate,
    None => BitRate::MIN,
};

/// Never pace slower: one datagram in 12 ms still finds out that a path is better than it looked.
const FLOOR_RATE: u64 = 1_000_000;

/// Round trip assumed before the first sample (RFC 9002 section 6.2.2: 333 ms; a relay is nearer).
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// The peer's delay of acknowledgements that a timeout has to grant: 10 ms is what we ask for, doubled.
const ACK_DELAY: Duration = Duration::from_millis(20);

/// Silence is noticed after this many probe timeouts, as RFC 9002 section 7.6 takes three for persistent congestion.
const SILENT_PTOS: u32 = 3;

/// While the peer is silent one datagram goes out in this time, so that a path that comes back is noticed at once.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);

/// Acknowledgements that arrived together.
#[derive(Debug, Clone, Copy, Default)]
pub struct AckBatch {
    /// Bytes newly acknowledged.
    pub bytes: u64,
    /// When the newest of the acknowledged packets was sent.
    pub newest_sent: Option<Instant>,
    /// Bytes in flight after this batch, as the QUIC library counts them.
    pub in_flight: u64,
    /// How long the peer kept the newest before it acknowledged, as it says (RFC 9000 section 13.2.5). Not time of the path.
    pub ack_delay: Duration,
}

impl AckBatch {
    /// Adds one acknowledged packet.
    pub fn add(&mut self, sent: Instant, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.newest_sent = self.newest_sent.max(Some(sent));
    }
}

/// Delay- and loss-aware controller of one path. It does no I/O and reads no clock.
///
/// Call [`Self::handle_sent`] for what was sent, [`Self::handle_ack_batch`] and [`Self::handle_loss`] for what came back, and
/// [`Self::handle_app_limited`] when there was leave to send but nothing to send. [`Self::sendable`] and [`Self::pacing_rate`]
/// say what may go.
#[derive(Debug)]
pub struct RateController {
    estimate: Estimate,
    phase: Phase,
    mtu: u64,
    in_flight: u64,
    round_lost: u64,
    round_acked: u64,
    /// When the peer was last heard, or when the first packet of the present flight left.
    heard: Option<Instant>,
    last_probe: Option<Instant>,
    smoothed_rtt: Duration,
    rtt_variation: Duration,
}

impl RateController {
    /// A controller for a path with `mtu` bytes of UDP payload.
    pub fn new(mtu: u16) -> Self {
        Self {
            estimate: Estimate::new(),
            phase: Phase::new(),
            mtu: u64::from(mtu),
            in_flight: 0,
            round_lost: 0,
            round_acked: 0,
            heard: None,
            last_probe: None,
            smoothed_rtt: INITIAL_RTT,
            rtt_variation: INITIAL_RTT / 2,
        }
    }

    /// `bytes` of UDP payload left now.
    pub fn handle_sent(&mut self, now: Instant, bytes: u64) {
        if self.in_flight == 0 {
            self.heard = Some(now);
        }
        if self.is_silent(now) {
            self.last_probe = Some(now);
        }
        self.estimate.sent(now, self.in_flight == 0);
        self.in_flight = self.in_flight.saturating_add(bytes);
    }

    /// Acknowledgements arrived.
    pub fn handle_ack_batch(&mut self, now: Instant, batch: &AckBatch) {
        self.heard = Some(now);
        self.last_probe = None;
        self.in_flight = batch.in_flight;
        self.round_acked = self.round_acked.saturating_add(batch.bytes);
        let Some(newest) = batch.newest_sent else {
            return;
        };
        self.smooth(now.saturating_duration_since(newest));
        let sample = self.estimate.acked(now, newest, batch);
        if let Sample::Round(round) = sample {
            let sum = self.round_acked.saturating_add(self.round_lost);
            let lost_permille = self.round_lost.saturating_mul(1000) / sum.max(1);
            self.round_acked = 0;
            self.round_lost = 0;
            self.phase
                .end_round(now, &round, lost_permille, &mut self.estimate);
        } else {
            self.phase.within_round(now, &self.estimate);
        }
    }

    /// `bytes` were declared lost; none for a mark by ECN, which counts as delay would.
    pub fn handle_loss(&mut self, _now: Instant, bytes: u64) {
        self.round_lost = self.round_lost.saturating_add(bytes);
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }

    /// There was leave to send and nothing to send: what is in flight now says nothing about the path's limit.
    pub fn handle_app_limited(&mut self) {
        self.estimate.app_limited(self.in_flight);
    }

    /// The path now carries `mtu` bytes of UDP payload.
    pub fn handle_mtu(&mut self, mtu: u16) {
        self.mtu = u64::from(mtu);
    }

    /// The pace of sending, in UDP payload; none before there is a reason to hold back.
    pub fn pacing_rate(&self) -> BitRate {
        let floor = if self.phase.is_startup() {
            INITIAL_RATE.bits_per_second()
        } else {
            FLOOR_RATE
        };
        let paced = self
            .estimate
            .bandwidth()
            .saturating_mul(8)
            .saturating_mul(self.phase.gain_permille())
            / 1000;
        BitRate::clamped(paced.max(floor))
    }

    /// Most bytes that may be in flight: the bandwidth-delay product, a margin for probing, and what acknowledgements lag behind.
    pub fn window(&self) -> u64 {
        let initial = INITIAL_DATAGRAMS.saturating_mul(self.mtu);
        let window = self.estimate.window(self.phase.is_startup(), self.mtu);
        let window = if self.phase.is_startup() {
            window.max(initial)
        } else {
            window
        };
        window.min(HARD_CAP)
    }

    /// Bytes in flight.
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes that may be added to those in flight now. While the peer is silent: one datagram per [`PROBE_INTERVAL`].
    pub fn sendable(&self, now: Instant) -> u64 {
        if self.is_silent(now) {
            let due = self.last_probe.is_none_or(|at| at + PROBE_INTERVAL <= now);
            return if due {
                self.mtu.min(HARD_CAP.saturating_sub(self.in_flight))
            } else {
                0
            };
        }
        self.window().saturating_sub(self.in_flight)
    }

    /// When a peer that is silent may be probed again.
    pub fn next_probe(&self, now: Instant) -> Option<Instant> {
        if self.in_flight == 0 {
            return None;
        }
        if self.is_silent(now) {
            return Some(self.last_probe.map_or(now, |at| at + PROBE_INTERVAL));
        }
        self.heard.map(|at| at + self.silence())
    }

    /// Whether the peer has acknowledged nothing for three probe timeouts although something is in flight.
    pub fn is_silent(&self, now: Instant) -> bool {
        self.in_flight > 0
            && self
                .heard
                .is_some_and(|at| now.saturating_duration_since(at) >= self.silence())
    }

    /// The smallest round trip of the path as it is now; none before the first acknowledgement.
    pub const fn min_rtt(&self) -> Option<Duration> {
        self.estimate.min_rtt()
    }

    /// The delivery rate that the path was seen to carry, without gains; none before the first sample.
    pub fn bandwidth(&self) -> Option<BitRate> {
        let bytes = self.estimate.bandwidth();
        (bytes > 0).then(|| BitRate::clamped(bytes.saturating_mul(8)))
    }

    fn silence(&self) -> Duration {
        (self.smoothed_rtt + self.rtt_variation * 4 + ACK_DELAY) * SILENT_PTOS
    }

    /// RFC 9002 section 5.3.
    fn smooth(&mut self, rtt: Duration) {
        if self.estimate.min_rtt().is_none() {
            self.smoothed_rtt = rtt;
            self.rtt_variation = rtt / 2;
            return;
        }
        let deviation = self.smoothed_rtt.abs_diff(rtt);
        self.rtt_variation = (self.rtt_variation * 3 + deviation) / 4;
        self.smoothed_rtt = (self.smoothed_rtt * 7 + rtt) / 8;
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to count from"
)]
mod tests {
    use super::*;

    /// One packet at a time, which the peer keeps for 5 ms before it acknowledges; the path itself takes 0.1 ms.
    #[test]
    fn what_the_peer_keeps_is_no_queue() {
        let (path, kept) = (Duration::from_micros(100), Duration::from_millis(5));
        let mut controller = RateController::new(1400);
        let mut now = Instant::now();
        for number in 0..2000 {
            let mut batch = AckBatch::default();
            batch.add(now, 1400);
            controller.handle_sent(now, 1400);
            // The first is acknowledged at once, which shows what the path takes.
            batch.ack_delay = if number == 0 { Duration::ZERO } else { kept };
            now += path + batch.ack_delay;
            controller.handle_ack_batch(now, &batch);
        }

        assert_eq!(controller.estimate.queue(), Duration::ZERO);
        assert_eq!(controller.min_rtt(), Some(path));
    }
}
