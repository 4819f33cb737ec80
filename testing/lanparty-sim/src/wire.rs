//! Wires that do to what they carry what the Internet does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Rng;

/// What a wire is like.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// How long everything takes at least.
    pub delay: Duration,
    /// How much longer it takes at most; what overtakes is reordered.
    pub jitter: Duration,
    /// How many of a hundred are lost.
    pub loss_percent: u8,
    /// How many of a hundred come twice.
    pub duplicate_percent: u8,
}

impl Line {
    /// A wire that only takes its time.
    pub const fn clean(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            loss_percent: 0,
            duplicate_percent: 0,
        }
    }
}

/// A wire, one way.
#[derive(Debug)]
pub struct Wire<T> {
    line: Line,
    in_flight: BTreeMap<(Instant, u64), T>,
    sent: u64,
}

impl<T: Clone> Wire<T> {
    /// Makes a wire with nothing on it.
    pub const fn new(line: Line) -> Self {
        Self {
            line,
            in_flight: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Puts something on the wire.
    pub fn send(&mut self, what: T, rng: &mut Rng, now: Instant) {
        if rng.chance(self.line.loss_percent) {
            return;
        }
        if rng.chance(self.line.duplicate_percent) {
            self.put(what.clone(), rng, now);
        }
        self.put(what, rng, now);
    }

    /// Takes what has arrived off the wire.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        let (at, _) = *self.in_flight.first_key_value()?.0;
        if at > now {
            return None;
        }

        self.in_flight.pop_first().map(|(_, what)| what)
    }

    /// Returns when the next arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    fn put(&mut self, what: T, rng: &mut Rng, now: Instant) {
        let jitter = usize::try_from(self.line.jitter.as_micros()).unwrap_or(usize::MAX);
        let jitter = u64::try_from(rng.below(jitter.saturating_add(1))).unwrap_or(0);
        let at = now + self.line.delay + Duration::from_micros(jitter);
        self.sent += 1;
        self.in_flight.insert((at, self.sent), what);
    }
}
