//! One direction of an impaired line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Rng;

/// Packets in flight on one line: a second of small packets at 40 Mbit/s, and at most 100 MB.
const MAX_IN_FLIGHT: usize = 65_536;

/// Which packets are lost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with this probability, on its own.
    Independent(f64),
    /// In bursts, as Wi-Fi loses them (Gilbert's model): on average `rate` of all, `length` in a row.
    Bursts {
        /// Share of all packets.
        rate: f64,
        /// Mean length of a burst in packets, at least one.
        length: f64,
    },
}

/// How fast a line is, and how much waits in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Bits a second.
    pub bits: u64,
    /// Bytes that wait; what comes on top is lost, as in a router's drop-tail queue.
    pub buffer: u64,
}

/// What a line does to packets. The default does nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Impairment {
    /// Time on the way.
    pub delay: Duration,
    /// More time, evenly from nothing to this; the order stays.
    pub jitter: Duration,
    /// Packets that never arrive.
    pub loss: Loss,
    /// Share of packets that later ones overtake.
    pub reorder: f64,
    /// How much longer than others such a packet takes.
    pub reorder_by: Duration,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Share of packets with one bit flipped.
    pub corrupt: f64,
    /// Speed, if limited.
    pub rate: Option<Rate>,
    /// Largest UDP payload that passes (bytes), if limited; larger ones vanish without a word.
    pub mtu: Option<usize>,
}

/// What one direction of a line has done to packets so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Packets that entered.
    pub entered: usize,
    /// Those that never arrived, or not as they were sent.
    pub lost: usize,
}

impl LineCounts {
    /// Returns what happened since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            entered: self.entered - earlier.entered,
            lost: self.lost - earlier.lost,
        }
    }
}

/// One direction of a line.
///
/// [`Line::handle_packet`] for every packet that enters; [`Line::poll_packet`] until it returns `None` for what
/// has arrived; [`Line::poll_timeout`] says when to ask again.
#[derive(Debug)]
pub struct Line {
    impairment: Impairment,
    rng: Rng,
    in_burst: bool,
    /// When the line has sent everything that waits.
    free_at: Option<Instant>,
    /// When the last packet that keeps its place arrives.
    last_arrival: Option<Instant>,
    entered: u64,
    counts: LineCounts,
    in_flight: BTreeMap<(Instant, u64), Vec<u8>>,
}

/// The random numbers of one packet, always drawn all.
struct Fate {
    loss: f64,
    jitter: f64,
    reorder: f64,
    duplicate: f64,
    corrupt: f64,
    bit: u64,
}

impl Line {
    /// Makes a line whose every decision follows from `seed`.
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            rng: Rng::new(seed),
            in_burst: false,
            free_at: None,
            last_arrival: None,
            entered: 0,
            counts: LineCounts::default(),
            in_flight: BTreeMap::new(),
        }
    }

    /// Returns what happened to packets so far.
    pub const fn counts(&self) -> LineCounts {
        self.counts
    }

    /// Takes a packet in; returns whether it will arrive.
    pub fn handle_packet(&mut self, packet: Vec<u8>, now: Instant) -> bool {
        self.counts.entered += 1;
        let is_taken = self.take(packet, now);
        self.counts.lost += usize::from(!is_taken);

        is_taken
    }

    fn take(&mut self, mut packet: Vec<u8>, now: Instant) -> bool {
        let fate = self.draw();
        let is_lost = self.is_lost(fate.loss);
        if is_lost || self.impairment.mtu.is_some_and(|mtu| packet.len() > mtu) {
            return false;
        }
        let Some(sent) = self.send(packet.len(), now) else {
            return false;
        };
        if fate.corrupt < self.impairment.corrupt {
            flip_bit(&mut packet, fate.bit);
            self.counts.lost += 1;
        }
        let arrival = self.arrival(&fate, sent);
        if fate.duplicate < self.impairment.duplicate {
            self.insert(arrival, packet.clone());
        }

        self.insert(arrival, packet)
    }

    /// Takes out the next packet that has arrived.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        let entry = self.in_flight.first_entry()?;
        let (arrival, _) = *entry.key();

        (arrival <= now).then(|| entry.remove())
    }

    /// Returns when the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight
            .first_key_value()
            .map(|((arrival, _), _)| *arrival)
    }

    fn draw(&mut self) -> Fate {
        Fate {
            loss: self.rng.unit(),
            jitter: self.rng.unit(),
            reorder: self.rng.unit(),
            duplicate: self.rng.unit(),
            corrupt: self.rng.unit(),
            bit: self.rng.next_u64(),
        }
    }

    fn is_lost(&mut self, random: f64) -> bool {
        match self.impairment.loss {
            Loss::None => false,
            Loss::Independent(rate) => random < rate,
            Loss::Bursts { rate, length } => {
                let leave = 1.0 / length.max(1.0);
                // The share of time in bursts is enter / (enter + leave); solved for `enter`.
                let enter = leave * rate / (1.0 - rate).max(f64::EPSILON);
                self.in_burst = if self.in_burst {
                    random >= leave
                } else {
                    random < enter
                };

                self.in_burst
            }
        }
    }

    /// Returns when the last bit is on the line, or nothing if the buffer is full.
    fn send(&mut self, len: usize, now: Instant) -> Option<Instant> {
        let Some(rate) = self.impairment.rate else {
            return Some(now);
        };
        let start = self.free_at.map_or(now, |free| free.max(now));
        let waiting =
            start.saturating_duration_since(now).as_nanos() * u128::from(rate.bits) / 8_000_000_000;
        if waiting + len as u128 > u128::from(rate.buffer) {
            return None;
        }
        let nanos = len as u128 * 8_000_000_000 / u128::from(rate.bits.max(1));
        let end = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = Some(end);

        Some(end)
    }

    fn arrival(&mut self, fate: &Fate, sent: Instant) -> Instant {
        let arrival = sent + self.impairment.delay + self.impairment.jitter.mul_f64(fate.jitter);
        if fate.reorder < self.impairment.reorder {
            return arrival + self.impairment.reorder_by;
        }
        let arrival = self.last_arrival.map_or(arrival, |last| last.max(arrival));
        self.last_arrival = Some(arrival);

        arrival
    }

    fn insert(&mut self, arrival: Instant, packet: Vec<u8>) -> bool {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return false;
        }
        self.entered += 1;
        self.in_flight.insert((arrival, self.entered), packet);

        true
    }
}

fn flip_bit(packet: &mut [u8], random: u64) {
    let len = packet.len() as u64;
    let at = usize::try_from((random >> 3).checked_rem(len).unwrap_or(0)).unwrap_or(0);
    if let Some(byte) = packet.get_mut(at) {
        *byte ^= 1 << (random & 7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends `count` numbered packets, one a millisecond, and returns what arrives in the end, in order.
    fn run(impairment: Impairment, seed: u64, count: u32) -> Vec<(Duration, Vec<u8>)> {
        let start = Instant::now();
        let mut line = Line::new(impairment, seed);
        let mut arrived = Vec::new();
        for step in 0..count + 10_000 {
            let now = start + MS * step;
            if step < count {
                line.handle_packet(step.to_be_bytes().to_vec(), now);
            }
            while let Some(packet) = line.poll_packet(now) {
                arrived.push((now - start, packet));
            }
        }
        assert_eq!(line.poll_timeout(), None);

        arrived
    }

    fn numbers(arrived: &[(Duration, Vec<u8>)]) -> Vec<u32> {
        arrived
            .iter()
            .map(|(_, packet)| u32::from_be_bytes(packet[..].try_into().unwrap()))
            .collect()
    }

    #[test]
    fn perfect_line_changes_nothing() {
        assert_eq!(
            numbers(&run(Impairment::default(), 1, 100)),
            (0..100).collect::<Vec<_>>()
        );
    }

    #[test]
    fn equal_seeds_give_equal_lines_and_others_do_not() {
        let impairment = Impairment {
            delay: 20 * MS,
            jitter: 5 * MS,
            loss: Loss::Bursts {
                rate: 0.1,
                length: 3.0,
            },
            reorder: 0.2,
            reorder_by: 7 * MS,
            duplicate: 0.05,
            corrupt: 0.05,
            ..Impairment::default()
        };

        assert_eq!(run(impairment, 7, 2_000), run(impairment, 7, 2_000));
        assert_ne!(run(impairment, 7, 2_000), run(impairment, 8, 2_000));
    }

    #[test]
    fn loss_is_what_was_asked_for_alone_and_in_bursts() {
        for loss in [
            Loss::Independent(0.2),
            Loss::Bursts {
                rate: 0.2,
                length: 5.0,
            },
        ] {
            let arrived = run(
                Impairment {
                    loss,
                    ..Impairment::default()
                },
                3,
                20_000,
            )
            .len();
            assert!((15_400..16_600).contains(&arrived), "{loss:?}: {arrived}");
        }
    }

    #[test]
    fn bursts_are_as_long_as_asked_for() {
        let loss = Loss::Bursts {
            rate: 0.1,
            length: 4.0,
        };
        let arrived = numbers(&run(
            Impairment {
                loss,
                ..Impairment::default()
            },
            5,
            50_000,
        ));
        let bursts = arrived
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > 1)
            .count();
        let lost = 50_000 - arrived.len();

        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let mean = lost as f64 / bursts as f64;
        assert!((3.5..4.5).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let jitter = Impairment {
            delay: 10 * MS,
            jitter: 30 * MS,
            ..Impairment::default()
        };
        assert!(numbers(&run(jitter, 1, 1_000)).is_sorted());

        let reorder = Impairment {
            reorder: 0.25,
            reorder_by: 5 * MS,
            ..Impairment::default()
        };
        let arrived = numbers(&run(reorder, 1, 1_000));
        assert_eq!(arrived.len(), 1_000);
        assert!(!arrived.is_sorted());
    }

    #[test]
    fn duplicates_and_damage_come_as_asked_for() {
        let twice = Impairment {
            duplicate: 1.0,
            ..Impairment::default()
        };
        assert_eq!(run(twice, 1, 50).len(), 100);

        let damaged = run(
            Impairment {
                corrupt: 1.0,
                ..Impairment::default()
            },
            1,
            50,
        );
        for (number, (_, packet)) in (0_u32..).zip(damaged) {
            let bits: u32 = packet
                .iter()
                .zip(number.to_be_bytes())
                .map(|(a, b)| (a ^ b).count_ones())
                .sum();
            assert_eq!(bits, 1);
        }
    }

    #[test]
    fn slow_line_delays_and_its_full_buffer_drops() {
        let start = Instant::now();
        let rate = Rate {
            bits: 8_000,
            buffer: 3_000,
        };
        let mut line = Line::new(
            Impairment {
                rate: Some(rate),
                ..Impairment::default()
            },
            1,
        );

        let taken = (0..5)
            .filter(|_| line.handle_packet(vec![0; 1_000], start))
            .count();

        assert_eq!(taken, 3);
        assert_eq!(line.poll_timeout(), Some(start + 1_000 * MS));
        assert!(line.poll_packet(start + 1_000 * MS).is_some());
        assert!(line.poll_packet(start + 1_999 * MS).is_none());
        assert!(
            line.handle_packet(vec![0; 1_000], start + 1_000 * MS),
            "one place is free again"
        );
    }

    #[test]
    fn packets_above_the_mtu_vanish() {
        let mut line = Line::new(
            Impairment {
                mtu: Some(1_200),
                ..Impairment::default()
            },
            1,
        );
        let now = Instant::now();

        assert!(line.handle_packet(vec![0; 1_200], now));
        assert!(!line.handle_packet(vec![0; 1_201], now));
    }
}
