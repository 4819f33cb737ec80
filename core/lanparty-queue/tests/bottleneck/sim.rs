//! A bottleneck in virtual time: senders with an egress queue each, one FIFO link, receivers that acknowledge rarely.

use lanparty_queue::{AckBatch, EgressConfig, EgressQueue, Pace, QueueItem, TrafficClass};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Bytes that QUIC adds to an item, and that IP and UDP add to those.
const QUIC: u64 = 32;
const IP_UDP: u64 = 28;
const BULK_LEN: u64 = 1300;
const GAME_LEN: u64 = 100;
const BULK: u32 = 1;
const GAME: u32 = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    flow: u32,
    len: u64,
    created: Instant,
    number: u64,
}

impl QueueItem for Packet {
    fn wire_len(&self) -> usize {
        usize::try_from(self.len).expect("packets are small")
    }

    fn mark_ce(&mut self) -> bool {
        false
    }
}

/// The line. Functions of the time since the start, so that scenarios can change it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// bit/s.
    pub(crate) rate: fn(Duration) -> u64,
    /// One way.
    pub(crate) delay: fn(Duration) -> Duration,
    /// Time that the buffer holds at the rate.
    pub(crate) buffer: Duration,
    pub(crate) loss_permille: u64,
    pub(crate) dead: fn(Duration) -> bool,
    /// Arrivals are seen only at multiples of this: a receiver that is scheduled now and then.
    pub(crate) burst: Duration,
}

/// What fills a sender's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Always a backlog, whatever is dropped.
    Greedy,
    /// A window that grows as CUBIC does near its plateau, and falls to 0.7 once a round trip for a drop.
    Window,
    None,
}

#[derive(Debug)]
enum Event {
    Deliver {
        sender: usize,
        pn: u64,
        packet: Packet,
        waited: Duration,
    },
    AckTimer {
        sender: usize,
        serial: u64,
    },
    Ack {
        sender: usize,
        kept: Duration,
        pns: Vec<u64>,
    },
    InnerAck {
        sender: usize,
        number: u64,
    },
    Game {
        sender: usize,
    },
    Wake {
        sender: usize,
    },
}

#[derive(Debug)]
struct Sender {
    egress: EgressQueue<Packet>,
    source: Source,
    start: Duration,
    sent: BTreeMap<u64, (Instant, u64)>,
    in_flight: u64,
    next_pn: u64,
    unacked: Vec<u64>,
    /// When the newest of them came.
    arrived: Instant,
    ack_serial: u64,
    wake: Option<Instant>,
    next_number: u64,
    window: f64,
    slow_start: bool,
    inner: BTreeMap<u64, Instant>,
    recover: u64,
}

/// What a run showed, of the time after the warm-up.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Bytes on the line by sender, headers included.
    pub(crate) bytes: Vec<u64>,
    /// Waiting time in the line's buffer of every packet.
    waits: Vec<Duration>,
    /// One-way time of game packets, from their creation.
    game: Vec<Duration>,
    /// Bytes delivered in each 100 ms from the start.
    pub(crate) buckets: Vec<u64>,
}

impl Seen {
    pub(crate) fn wait_p99(&self) -> Duration {
        percentile(&self.waits, 99)
    }

    pub(crate) fn game_p99(&self) -> Duration {
        percentile(&self.game, 99)
    }

    pub(crate) fn total(&self) -> u64 {
        self.bytes.iter().sum()
    }
}

fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[derive(Debug)]
pub(crate) struct Sim {
    line: Line,
    start: Instant,
    now: Instant,
    warm: Duration,
    free_at: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
    random: u64,
    senders: Vec<Sender>,
    seen: Seen,
}

impl Sim {
    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    pub(crate) fn new(line: Line, warm: Duration) -> Self {
        let start = Instant::now();
        Self {
            line,
            start,
            now: start,
            warm,
            free_at: start,
            events: BTreeMap::new(),
            serial: 0,
            random: 0x9E37_79B9_7F4A_7C15,
            senders: Vec::new(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn add(&mut self, pace: Pace, source: Source, start: Duration) {
        let sender = self.senders.len();
        self.senders.push(Sender {
            egress: EgressQueue::new(EgressConfig {
                mtu: 1400,
                ..EgressConfig::new(pace)
            }),
            source,
            start,
            sent: BTreeMap::new(),
            in_flight: 0,
            next_pn: 0,
            unacked: Vec::new(),
            arrived: self.now,
            ack_serial: 0,
            wake: None,
            next_number: 0,
            window: 10.0,
            slow_start: true,
            inner: BTreeMap::new(),
            recover: 0,
        });
        self.seen.bytes.push(0);
        self.push(self.start + start, Event::Game { sender });
    }

    pub(crate) fn run(mut self, length: Duration) -> Seen {
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > self.start + length {
                break;
            }
            self.now = at;
            let sender = self.handle(event);
            self.fill(sender);
            self.pump(sender);
        }
        self.seen
    }

    fn handle(&mut self, event: Event) -> usize {
        match event {
            Event::Deliver {
                sender,
                pn,
                packet,
                waited,
            } => {
                self.deliver(sender, pn, &packet, waited);
                sender
            }
            Event::AckTimer { sender, serial } => {
                if self.senders[sender].ack_serial == serial {
                    self.send_ack(sender);
                }
                sender
            }
            Event::Ack { sender, kept, pns } => {
                self.ack(sender, kept, &pns);
                sender
            }
            Event::InnerAck { sender, number } => {
                self.senders[sender].inner_ack(number);
                sender
            }
            Event::Game { sender } => {
                let packet = Packet {
                    flow: GAME,
                    len: GAME_LEN,
                    created: self.now,
                    number: 0,
                };
                let _enqueued = self.senders[sender].egress.enqueue(
                    packet,
                    GAME,
                    0,
                    TrafficClass::Normal,
                    self.now,
                );
                // 50 pps, a little off so that it meets every phase of the rest.
                self.push(
                    self.now + Duration::from_micros(20_037),
                    Event::Game { sender },
                );
                sender
            }
            Event::Wake { sender } => {
                self.senders[sender].wake = None;
                sender
            }
        }
    }

    fn fill(&mut self, sender: usize) {
        let now = self.now;
        let entry = &mut self.senders[sender];
        if now < self.start + entry.start {
            return;
        }
        loop {
            let wants = match entry.source {
                Source::Greedy => entry.egress.queue().len() < 300,
                #[expect(clippy::cast_precision_loss, reason = "windows are small")]
                Source::Window => (entry.inner.len() as f64) < entry.window,
                Source::None => false,
            };
            if !wants {
                return;
            }
            let number = entry.next_number;
            entry.next_number += 1;
            entry.inner.insert(number, now);
            let packet = Packet {
                flow: BULK,
                len: BULK_LEN,
                created: now,
                number,
            };
            let _enqueued = entry
                .egress
                .enqueue(packet, BULK, 0, TrafficClass::Normal, now);
            if entry.source == Source::Greedy {
                entry.inner.clear();
            }
        }
    }

    fn pump(&mut self, sender: usize) {
        while let Some(packet) = self.senders[sender].egress.poll_transmit(self.now) {
            let entry = &mut self.senders[sender];
            let bytes = packet.len + QUIC;
            let pn = entry.next_pn;
            entry.next_pn += 1;
            entry.sent.insert(pn, (self.now, bytes));
            entry.in_flight += bytes;
            entry.egress.handle_sent(self.now, bytes, 1, true);
            self.transmit(sender, pn, packet, bytes + IP_UDP);
        }
        let entry = &mut self.senders[sender];
        if let Some(at) = entry.egress.poll_timeout(self.now) {
            // Timers of a real system fire late.
            let at = at.max(self.now) + Duration::from_micros(60);
            if entry.wake.is_none_or(|wake| at < wake) {
                entry.wake = Some(at);
                self.push(at, Event::Wake { sender });
            }
        }
    }

    fn transmit(&mut self, sender: usize, pn: u64, packet: Packet, bytes: u64) {
        let since = self.now - self.start;
        let waited = self.free_at.saturating_duration_since(self.now);
        if (self.line.dead)(since) || self.chance() || waited > self.line.buffer {
            return;
        }
        let serial = Duration::from_nanos(bytes * 8_000_000_000 / (self.line.rate)(since));
        self.free_at = self.free_at.max(self.now) + serial;
        let mut at = self.free_at + (self.line.delay)(since);
        if !self.line.burst.is_zero() {
            let step = self.line.burst.as_nanos();
            let late = step - (at - self.start).as_nanos() % step;
            at += Duration::from_nanos(u64::try_from(late).expect("a burst is short"));
        }
        if since > self.warm {
            self.seen.bytes[sender] += bytes;
            self.seen.waits.push(waited);
        }
        let bucket = usize::try_from(since.as_millis() / 100).expect("runs are short");
        if self.seen.buckets.len() <= bucket {
            self.seen.buckets.resize(bucket + 1, 0);
        }
        self.seen.buckets[bucket] += bytes;
        self.push(
            at,
            Event::Deliver {
                sender,
                pn,
                packet,
                waited,
            },
        );
    }

    fn deliver(&mut self, sender: usize, pn: u64, packet: &Packet, _waited: Duration) {
        let since = self.now - self.start;
        if packet.flow == GAME && since > self.warm {
            self.seen.game.push(self.now - packet.created);
        }
        let back = self.now + (self.line.delay)(since);
        if packet.flow == BULK && self.senders[sender].source == Source::Window {
            self.push(
                back,
                Event::InnerAck {
                    sender,
                    number: packet.number,
                },
            );
        }
        let entry = &mut self.senders[sender];
        entry.unacked.push(pn);
        entry.arrived = self.now;
        if entry.unacked.len() >= 32 {
            self.send_ack(sender);
        } else if entry.unacked.len() == 1 {
            let serial = entry.ack_serial;
            self.push(
                self.now + Duration::from_millis(5),
                Event::AckTimer { sender, serial },
            );
        }
    }

    fn send_ack(&mut self, sender: usize) {
        let since = self.now - self.start;
        let entry = &mut self.senders[sender];
        entry.ack_serial += 1;
        let pns = std::mem::take(&mut entry.unacked);
        let kept = self.now - entry.arrived;
        if !(self.line.dead)(since) && !pns.is_empty() {
            self.push(
                self.now + (self.line.delay)(since),
                Event::Ack { sender, kept, pns },
            );
        }
    }

    fn ack(&mut self, sender: usize, kept: Duration, pns: &[u64]) {
        let now = self.now;
        let entry = &mut self.senders[sender];
        let mut batch = AckBatch::default();
        for pn in pns {
            if let Some((sent, bytes)) = entry.sent.remove(pn) {
                batch.add(sent, bytes);
                entry.in_flight -= bytes;
            }
        }
        batch.in_flight = entry.in_flight;
        batch.ack_delay = kept;
        entry.egress.handle_ack_batch(now, &batch);
        // Packet threshold, RFC 9002 section 6.1.1.
        let largest = pns.iter().copied().max().unwrap_or(0);
        let kept = entry.sent.split_off(&largest.saturating_sub(2));
        let lost: u64 = std::mem::replace(&mut entry.sent, kept)
            .values()
            .map(|(_, bytes)| bytes)
            .sum();
        if lost > 0 {
            entry.in_flight -= lost;
            entry.egress.handle_loss(now, lost);
        }
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    /// Whether this packet is lost at random (xorshift).
    fn chance(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1000 < self.line.loss_permille
    }
}

impl Sender {
    fn inner_ack(&mut self, number: u64) {
        if self.inner.remove(&number).is_none() {
            return;
        }
        self.window += if self.slow_start {
            1.0
        } else {
            1.0 / self.window * 2.0
        };
        // What is older than the newest by more than three was dropped.
        let kept = self.inner.split_off(&number.saturating_sub(3));
        let lost = std::mem::replace(&mut self.inner, kept);
        if lost.keys().any(|lost| *lost >= self.recover) {
            self.window = (self.window * 0.7).max(4.0);
            self.slow_start = false;
            self.recover = self.next_number;
        }
    }
}
