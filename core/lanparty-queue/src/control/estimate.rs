//! What the path looks like: delivery rate, round trip, lag of acknowledgements.

use super::AckBatch;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rounds over which the largest delivery rate holds (draft-ietf-ccwg-bbr section 2.10: two probe cycles).
const BANDWIDTH_ROUNDS: usize = 10;

/// A round lasts at least this long, so that ten of them outlast a scheduler's pause on a path of 0.1 ms.
const MIN_ROUND: Duration = Duration::from_millis(5);

/// A rate is measured over at least this long: several acknowledgements at 32 datagrams each from 1 Gbit/s on.
const MIN_SAMPLE: Duration = Duration::from_millis(3);

/// How long a smallest round trip is believed (draft-ietf-ccwg-bbr section 2.13).
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);

/// Sends remembered: with one entry per eighth of a millisecond or more, 32 ms and more of history; older ones are thinned out.
const MAX_SENDS: usize = 256;

/// Least distance of two remembered sends.
const SEND_SPACING: Duration = Duration::from_micros(125);

/// Datagrams that a peer may gather before it acknowledges, with room for the next: a window below this stalls on the peer's timer.
const ACK_DATAGRAMS: u64 = 48;

/// The longest that a peer gathers (10 ms) and a turn of both loops.
const ACK_LAG: Duration = Duration::from_millis(12);

/// In flight beyond the bandwidth-delay product on the shortest paths: a rest of both loops ([`crate::tempo::PERIOD`]) and half as much
/// again. All of it can stand as a queue in front of a loop that the processor limits, on each link that a frame takes.
const LEAST_MARGIN: Duration = Duration::from_micros(300);

/// A send, and what had been delivered by then.
#[derive(Debug, Clone, Copy)]
struct Send {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    /// When the packet that was newest among the delivered had been sent.
    newest_sent: Instant,
    app_limited: bool,
}

/// A round: what was sent at its start has come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Smallest round trip seen in it, above the path's smallest: the standing queue.
    pub(super) queue: Duration,
    /// Largest delivery rate in it, byte/s.
    pub(super) rate: u64,
    /// Whether any sample was taken with too little to send.
    pub(super) app_limited: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Sample {
    Within,
    Round(Round),
}

#[derive(Debug)]
pub(super) struct Estimate {
    delivered: u64,
    delivered_at: Option<Instant>,
    newest_sent: Option<Instant>,
    /// Until this much is delivered, samples are of a sender with nothing to send.
    app_limited_until: u64,
    sends: VecDeque<Send>,
    spacing: Duration,
    rates: [u64; BANDWIDTH_ROUNDS],
    slot: usize,
    min_rtt: Option<Duration>,
    min_rtt_at: Option<Instant>,
    round_end: u64,
    round_start: Option<Instant>,
    round_rtt: Duration,
    last_round_rtt: Duration,
    round_rate: u64,
    round_app_limited: bool,
    /// Start and bytes of the present epoch of aggregation.
    epoch: Option<Instant>,
    epoch_bytes: u64,
    /// Largest lead of acknowledgements over the rate, and that of the half-window before.
    extra: [u64; 2],
    extra_rounds: u32,
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self {
            delivered: 0,
            delivered_at: None,
            newest_sent: None,
            app_limited_until: 0,
            sends: VecDeque::new(),
            spacing: SEND_SPACING,
            rates: [0; BANDWIDTH_ROUNDS],
            slot: 0,
            min_rtt: None,
            min_rtt_at: None,
            round_end: 0,
            round_start: None,
            round_rtt: Duration::MAX,
            last_round_rtt: Duration::MAX,
            round_rate: 0,
            round_app_limited: false,
            epoch: None,
            epoch_bytes: 0,
            extra: [0; 2],
            extra_rounds: 0,
        }
    }

    /// Something leaves now; `restart` if nothing was in flight.
    pub(super) fn sent(&mut self, now: Instant, restart: bool) {
        if restart || self.delivered_at.is_none() {
            self.delivered_at = Some(now);
            self.newest_sent = Some(now);
        }
        if self
            .sends
            .back()
            .is_some_and(|last| now.saturating_duration_since(last.at) < self.spacing)
        {
            return;
        }
        if self.sends.len() >= MAX_SENDS {
            // A long path: keep every second entry, and make new ones rarer.
            let mut keep = false;
            self.sends.retain(|_| {
                keep = !keep;
                keep
            });
            self.spacing = self.spacing.saturating_mul(2);
        }
        self.sends.push_back(Send {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at.unwrap_or(now),
            newest_sent: self.newest_sent.unwrap_or(now),
            app_limited: self.delivered < self.app_limited_until,
        });
    }

    pub(super) fn app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = self.delivered.saturating_add(in_flight).max(1);
    }

    /// Packets were acknowledged, the newest of them sent at `newest`.
    pub(super) fn acked(&mut self, now: Instant, newest: Instant, batch: &AckBatch) -> Sample {
        let (rtt, bytes) = (now.saturating_duration_since(newest), batch.bytes);
        self.see_rtt(now, rtt, batch.ack_delay);
        self.see_aggregation(now, bytes);
        self.delivered = self.delivered.saturating_add(bytes);
        let before = newest
            .checked_sub(MIN_SAMPLE.saturating_sub(rtt))
            .unwrap_or(newest);
        let reference = self.send_before(before);
        if let Some(send) = reference {
            self.see_rate(now, newest, &send);
        }
        let round_over = self
            .send_before(newest)
            .is_some_and(|send| send.delivered >= self.round_end)
            && self
                .round_start
                .is_none_or(|start| now.saturating_duration_since(start) >= MIN_ROUND);
        self.delivered_at = Some(now);
        self.newest_sent = self.newest_sent.max(Some(newest));
        self.forget_before(before);
        if round_over {
            Sample::Round(self.end_round(now))
        } else {
            Sample::Within
        }
    }

    /// The largest delivery rate of the last rounds, byte/s.
    pub(super) fn bandwidth(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    pub(super) const fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// The standing queue as the present and the last round show it.
    pub(super) fn queue(&self) -> Duration {
        let seen = if self.round_rtt == Duration::MAX {
            self.last_round_rtt
        } else {
            self.round_rtt
        };
        match self.min_rtt {
            Some(base) if seen != Duration::MAX => seen.saturating_sub(base),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// The path carries no more than `rate` now: forget what it once carried.
    pub(super) fn limit_bandwidth(&mut self, rate: u64) {
        for slot in &mut self.rates {
            *slot = (*slot).min(rate);
        }
    }

    /// The path's round trip has grown for good.
    pub(super) fn accept_rtt(&mut self, now: Instant) {
        if self.last_round_rtt != Duration::MAX {
            self.min_rtt = Some(self.last_round_rtt);
            self.min_rtt_at = Some(now);
        }
    }

    /// Whether the smallest round trip is too old to be believed.
    pub(super) fn rtt_is_stale(&self, now: Instant) -> bool {
        self.min_rtt_at
            .is_some_and(|at| now.saturating_duration_since(at) > MIN_RTT_WINDOW)
    }

    pub(super) fn window(&self, startup: bool, mtu: u64) -> u64 {
        let rate = self.bandwidth();
        let base = self.min_rtt.unwrap_or(Duration::ZERO);
        let margin = if startup { base } else { base / 4 };
        let margin = margin.clamp(
            LEAST_MARGIN,
            Duration::from_millis(if startup { 50 } else { 10 }),
        );
        // Acknowledgements lag at most so much: a window that followed every pause of the peer would fill every queue.
        let lag = (base / 2).clamp(LEAST_MARGIN, Duration::from_millis(10));
        let extra = self
            .extra
            .iter()
            .copied()
            .max()
            .unwrap_or(0)
            .min(bytes_in(rate, lag));
        let floor = ACK_DATAGRAMS
            .saturating_mul(mtu)
            .min(bytes_in(rate, base + ACK_LAG))
            .max(mtu.saturating_mul(4));
        bytes_in(rate, base + margin)
            .saturating_add(extra)
            .max(floor)
    }

    /// The peer's delay is no queue: at a packet in 5 ms it would be most of what is seen. The smallest round trip ignores it, as RFC 9002
    /// section 5.2 asks, so that a peer's word cannot lower it.
    fn see_rtt(&mut self, now: Instant, rtt: Duration, ack_delay: Duration) {
        let least = self.min_rtt.map_or(rtt, |least| least.min(rtt));
        let path = rtt.saturating_sub(ack_delay).max(least);
        self.round_rtt = self.round_rtt.min(path);
        // A clock's grain above it confirms it as well.
        if path <= least + least / 64 {
            self.min_rtt_at = Some(now);
        }
        self.min_rtt = Some(least);
    }

    fn see_rate(&mut self, now: Instant, newest: Instant, send: &Send) {
        let by_acks = now.saturating_duration_since(send.delivered_at);
        let by_sends = newest.saturating_duration_since(send.newest_sent);
        let interval = by_acks.max(by_sends);
        let least = self.min_rtt.unwrap_or(Duration::ZERO);
        if interval.is_zero() || interval < least {
            return;
        }
        let bytes = u128::from(self.delivered - send.delivered) * 1_000_000_000;
        let rate = u64::try_from(bytes / interval.as_nanos()).unwrap_or(u64::MAX);
        let app_limited = send.app_limited;
        self.round_app_limited |= app_limited;
        self.round_rate = self.round_rate.max(rate);
        if let Some(slot) = self.rates.get_mut(self.slot)
            && rate > *slot
        {
            *slot = rate;
        }
    }

    fn see_aggregation(&mut self, now: Instant, bytes: u64) {
        let expected = match self.epoch {
            Some(start) => bytes_in(self.bandwidth(), now.saturating_duration_since(start)),
            None => 0,
        };
        if self.epoch_bytes <= expected {
            self.epoch = Some(now);
            self.epoch_bytes = 0;
        }
        let expected = if self.epoch == Some(now) { 0 } else { expected };
        self.epoch_bytes = self.epoch_bytes.saturating_add(bytes);
        let lead = self.epoch_bytes.saturating_sub(expected);
        let [current, _] = &mut self.extra;
        *current = lead.max(*current);
    }

    fn end_round(&mut self, now: Instant) -> Round {
        let round = Round {
            queue: self.queue(),
            rate: self.round_rate,
            app_limited: self.round_app_limited,
        };
        self.round_end = self.delivered;
        self.round_start = Some(now);
        self.last_round_rtt = self.round_rtt;
        self.round_rtt = Duration::MAX;
        self.round_rate = 0;
        self.round_app_limited = false;
        // A round with too little to send does not age the filter: what the path carried before still holds.
        if !round.app_limited {
            self.slot = (self.slot + 1) % BANDWIDTH_ROUNDS;
            if let Some(slot) = self.rates.get_mut(self.slot) {
                *slot = 0;
            }
        }
        self.extra_rounds += 1;
        if self.extra_rounds >= 5 {
            self.extra_rounds = 0;
            let [current, _] = self.extra;
            self.extra = [0, current];
        }
        round
    }

    /// The last remembered send at or before `at`, else the first.
    fn send_before(&self, at: Instant) -> Option<Send> {
        let after = self.sends.partition_point(|send| send.at <= at);
        self.sends.get(after.saturating_sub(1)).copied()
    }

    fn forget_before(&mut self, at: Instant) {
        while self.sends.get(1).is_some_and(|second| second.at <= at) {
            self.sends.pop_front();
        }
        if self.sends.len() < MAX_SENDS / 8 {
            self.spacing = (self.spacing / 2).max(SEND_SPACING);
        }
    }
}

/// Bytes that pass at `rate` byte/s in `time`.
pub(super) fn bytes_in(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}
