//! Startup, drain, cruise and probe: which multiple of the delivery rate is sent, and when it changes.

use super::estimate::{Estimate, Round};
use std::time::{Duration, Instant};

/// Startup doubles the rate every round, as slow start does; BBR's 2.77 fills twice the buffer before it notices.
const STARTUP_GAIN: u64 = 2000;
/// Drain halves, so that what startup queued in one round leaves in one or two.
const DRAIN_GAIN: u64 = 500;
/// Probes for more (draft-ietf-ccwg-bbr section 2.4).
const UP_GAIN: u64 = 1250;
/// Gives back what the probe queued.
const DOWN_GAIN: u64 = 750;

/// A standing queue that ends startup: an eighth of the round trip within these bounds (RFC 9406 section 4.2: 4 and 16 ms).
const STARTUP_QUEUE: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(8));
/// A queue that ends a probe.
const UP_QUEUE: Duration = Duration::from_millis(4);
/// A queue that counts as empty: what scheduling and jitter of both ends look like.
const EMPTY_QUEUE: Duration = Duration::from_micros(1500);
/// A queue that is not ours to keep: the rate has fallen. Above all that a probe can build.
const HIGH_QUEUE: Duration = Duration::from_millis(12);
/// Loss that counts, beside delay, as congestion: five times what Wi-Fi and lossy lines have as noise would be too late, 2 % too early.
const LOSS_PERMILLE: u64 = 50;
/// Startup is over when the rate grew by less than a quarter ...
const GROWTH: (u64, u64) = (5, 4);
/// ... for three rounds (draft-ietf-ccwg-bbr section 4.3.1.2).
const FLAT_ROUNDS: u32 = 3;
/// Rounds of cruising between probes; up to three more are drawn, so that competitors do not probe together.
const CRUISE_ROUNDS: u32 = 5;

/// Rounds at the gain of a drain that empty any queue which cruising keeps: two give half a round trip of slack.
const REFRESH_ROUNDS: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Startup,
    Drain {
        since: Instant,
        queue: Duration,
    },
    Cruise {
        rounds: u32,
    },
    Up {
        rounds: u32,
        rate: u64,
    },
    Down {
        since: Instant,
        queue: Duration,
    },
    /// The smallest round trip is old: leave the line some slack and look again.
    Refresh {
        rounds: u32,
    },
}

#[derive(Debug)]
pub(super) struct Phase {
    state: State,
    gain: u64,
    full_rate: u64,
    flat_rounds: u32,
    high_rounds: u32,
    /// A linear congruential generator: any sequence that differs between peers will do.
    draw: u32,
}

impl Phase {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Startup,
            gain: STARTUP_GAIN,
            full_rate: 0,
            flat_rounds: 0,
            high_rounds: 0,
            draw: 1,
        }
    }

    pub(super) fn is_startup(&self) -> bool {
        self.state == State::Startup
    }

    pub(super) const fn gain_permille(&self) -> u64 {
        self.gain
    }

    /// Between two rounds: ends what must not last a whole round more.
    pub(super) fn within_round(&mut self, now: Instant, estimate: &Estimate) {
        let queue = estimate.queue();
        match self.state {
            State::Drain { .. } | State::Down { .. } if queue <= EMPTY_QUEUE => self.cruise(),
            State::Up { .. } if queue > UP_QUEUE => self.down(now, queue),
            State::Startup
            | State::Drain { .. }
            | State::Cruise { .. }
            | State::Up { .. }
            | State::Down { .. }
            | State::Refresh { .. } => {}
        }
    }

    pub(super) fn end_round(
        &mut self,
        now: Instant,
        round: &Round,
        lost_permille: u64,
        estimate: &mut Estimate,
    ) {
        if estimate.rtt_is_stale(now) {
            self.refresh(now, round, estimate);
        }
        if self.state != State::Startup && self.congested(round, lost_permille) {
            estimate.limit_bandwidth(round.rate);
            if !matches!(self.state, State::Drain { .. }) {
                self.drain(now, round.queue);
                return;
            }
        }
        match self.state {
            State::Startup => self.end_startup_round(now, round, lost_permille, estimate),
            State::Cruise { rounds } => self.end_cruise_round(round, rounds, estimate),
            State::Up { rounds, rate } => self.end_up_round(now, round, rounds, rate, estimate),
            State::Refresh { rounds: 0 } => {
                estimate.accept_rtt(now);
                self.cruise();
            }
            State::Refresh { rounds } => self.state = State::Refresh { rounds: rounds - 1 },
            State::Drain { since, queue } | State::Down { since, queue } => {
                self.end_draining_round(now, round, since, queue, estimate);
            }
        }
    }

    /// The rate has fallen, or a competitor came: a high queue for two rounds, or loss together with delay.
    fn congested(&mut self, round: &Round, lost_permille: u64) -> bool {
        if round.queue > HIGH_QUEUE {
            self.high_rounds += 1;
        } else {
            self.high_rounds = 0;
        }
        let lossy = lost_permille > LOSS_PERMILLE && round.queue > EMPTY_QUEUE;
        (self.high_rounds >= 2 || lossy) && round.rate > 0 && !round.app_limited
    }

    fn end_startup_round(
        &mut self,
        now: Instant,
        round: &Round,
        lost_permille: u64,
        estimate: &Estimate,
    ) {
        if round.app_limited {
            return;
        }
        let base = estimate.min_rtt().unwrap_or(Duration::ZERO);
        let limit = (base / 8).clamp(STARTUP_QUEUE.0, STARTUP_QUEUE.1);
        let rate = estimate.bandwidth();
        if rate.saturating_mul(GROWTH.1) >= self.full_rate.saturating_mul(GROWTH.0) {
            self.full_rate = rate;
            self.flat_rounds = 0;
        } else {
            self.flat_rounds += 1;
        }
        let lossy = lost_permille > LOSS_PERMILLE && round.queue > EMPTY_QUEUE;
        if round.queue > limit || self.flat_rounds >= FLAT_ROUNDS || lossy {
            self.drain(now, round.queue);
        }
    }

    fn end_cruise_round(&mut self, round: &Round, rounds: u32, estimate: &Estimate) {
        if rounds <= 1 && round.queue <= UP_QUEUE && !round.app_limited {
            self.state = State::Up {
                rounds: 0,
                rate: estimate.bandwidth(),
            };
            self.gain = UP_GAIN;
            return;
        }
        self.state = State::Cruise {
            rounds: rounds.saturating_sub(1),
        };
        self.gain = cruise_gain(round.queue);
    }

    fn end_up_round(
        &mut self,
        now: Instant,
        round: &Round,
        rounds: u32,
        rate: u64,
        estimate: &Estimate,
    ) {
        // The first round after the change still shows what was sent before it.
        let grown = estimate.bandwidth().saturating_mul(10) >= rate.saturating_mul(11);
        if round.queue > UP_QUEUE || (rounds >= 1 && !grown) || round.app_limited {
            self.down(now, round.queue);
            return;
        }
        self.state = if grown {
            State::Up {
                rounds: 0,
                rate: estimate.bandwidth(),
            }
        } else {
            State::Up {
                rounds: rounds + 1,
                rate,
            }
        };
    }

    /// Ends when the queue is empty. If it does not shrink although it had four times the time it takes to drain, it is not a queue:
    /// the path has become longer, or somebody else fills it and yielding further would starve us.
    fn end_draining_round(
        &mut self,
        now: Instant,
        round: &Round,
        since: Instant,
        queue: Duration,
        estimate: &mut Estimate,
    ) {
        if round.queue <= EMPTY_QUEUE {
            self.cruise();
            return;
        }
        let base = estimate.min_rtt().unwrap_or(Duration::ZERO);
        let patience = queue.saturating_mul(4) + (base + queue).saturating_mul(2);
        if now.saturating_duration_since(since) < patience {
            return;
        }
        if round.queue * 2 > queue {
            estimate.accept_rtt(now);
        }
        self.high_rounds = 0;
        self.cruise();
    }

    /// With too little to send the queue is empty anyway and what was just seen holds; else slack is made for a moment.
    fn refresh(&mut self, now: Instant, round: &Round, estimate: &mut Estimate) {
        if round.app_limited && round.queue <= EMPTY_QUEUE {
            estimate.accept_rtt(now);
        } else if !round.app_limited && matches!(self.state, State::Cruise { .. }) {
            self.state = State::Refresh {
                rounds: REFRESH_ROUNDS,
            };
            self.gain = DOWN_GAIN;
        }
    }

    fn drain(&mut self, now: Instant, queue: Duration) {
        self.state = State::Drain { since: now, queue };
        self.gain = DRAIN_GAIN;
        self.high_rounds = 0;
    }

    fn down(&mut self, now: Instant, queue: Duration) {
        self.state = State::Down { since: now, queue };
        self.gain = DOWN_GAIN;
    }

    fn cruise(&mut self) {
        self.draw = self
            .draw
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.state = State::Cruise {
            rounds: CRUISE_ROUNDS + (self.draw >> 30),
        };
        self.gain = 1000;
    }
}

/// The delivery rate, less a twentieth per millisecond of standing queue, down to the rate of a drain after a probe.
fn cruise_gain(queue: Duration) -> u64 {
    let micros = u64::try_from(queue.saturating_sub(EMPTY_QUEUE).as_micros()).unwrap_or(u64::MAX);
    1000_u64.saturating_sub(micros / 20).max(DOWN_GAIN)
}
