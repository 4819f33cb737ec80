//! `FqCodel`: the queue in front of one destination (RFC 8290), fair between senders first and between their flows second.

mod index;
mod overflow;
mod round;
mod sources;

use crate::codel::{CodelDecision, CodelParams};
use crate::item::{QueueCounts, QueueDrop, QueueItem};
use crate::slab::{NIL, Slab};
use lanparty_proto::TrafficClass;
use round::Pick;
use sources::SourceQueues;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest item that may claim [`TrafficClass::Control`]: a DHCP message of 576 bytes (RFC 2131 section 2) in Ethernet and our headers.
pub const CONTROL_MAX_LEN: usize = 640;

/// Items that wait in the control class at most: what a room of 64 says when everybody looks for everybody at once.
pub const CONTROL_MAX_PACKETS: usize = 64;

/// Sustained rate of the control class: a room of 64 in which every member sends eight ARP requests a second.
/// It is 0.5 Mbit/s; who floods lands in an ordinary flow of its own source.
pub const CONTROL_BYTES_PER_SECOND: u64 = 64 * 1024;

/// Burst of the control class: a quarter second of [`CONTROL_BYTES_PER_SECOND`].
pub const CONTROL_BURST: Duration = Duration::from_millis(250);

/// What a queue is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FqConfig {
    /// Hash buckets per source: RFC 8290 section 5.2.3 asks for 1024.
    pub buckets: u16,
    /// Bytes a flow, and a source, may send per round. One full frame (RFC 8290 section 5.2.4): 1514.
    pub quantum: u32,
    /// `CoDel`'s target and interval.
    pub codel: CodelParams,
    /// Most bytes that wait. 4 MiB: 100 ms, `CoDel`'s interval, at 335 Mbit/s; and 13 ms at 2.5 Gbit/s, where the queue is a
    /// shock absorber only.
    pub limit_bytes: usize,
    /// Most items that wait. 8192: 4 MiB of 512-byte frames; bounds the bookkeeping when frames are small.
    pub limit_packets: usize,
}

impl Default for FqConfig {
    fn default() -> Self {
        Self {
            buckets: 1024,
            quantum: QUANTUM,
            codel: CodelParams::default(),
            limit_bytes: 4 << 20,
            limit_packets: 8192,
        }
    }
}

/// The quantum of ordinary lines: a full Ethernet frame without FCS.
pub const QUANTUM: u32 = 1514;

/// The quantum below 10 Mbit/s, so that small packets of several flows pass between two large ones (RFC 8290 section 5.2.4).
pub const QUANTUM_SLOW: u32 = 300;

/// What an enqueue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Enqueued {
    /// Items dropped for [`QueueDrop::Overflow`] to stay within the bounds; the new item may be one of them.
    pub overflow: u32,
}

/// What waits: the item, when it came, and the next of its flow.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    item: T,
    len: u32,
    at: Instant,
    next: u32,
}

/// The queue in front of one destination.
///
/// [`FqCodel::enqueue`] takes an item with the hash of its flow and its source (the member that it
/// comes from; 0 where there is only one). [`FqCodel::dequeue`] hands out the next: control items in
/// order first, then by deficit round robin over sources and over the flows of each. A flow that had
/// nothing waiting goes first, on the account of its source. A source in debt loses that privilege
/// until its rounds have paid.
///
/// An empty queue owns no heap memory before its first item; [`FqCodel::release_if_empty`] gives
/// memory back later.
///
/// ```
/// use lanparty_queue::{FqCodel, FqConfig, QueueItem, TrafficClass};
/// use std::time::Instant;
///
/// struct Datagram(Vec<u8>);
///
/// impl QueueItem for Datagram {
///     fn wire_len(&self) -> usize {
///         self.0.len()
///     }
///
///     fn mark_ce(&mut self) -> bool {
///         false
///     }
/// }
///
/// let mut queue = FqCodel::new(FqConfig::default());
/// let now = Instant::now();
/// for _ in 0..3 {
///     let _enqueued = queue.enqueue(Datagram(vec![1; 1400]), 7, 1, TrafficClass::Normal, now);
/// }
/// let _enqueued = queue.enqueue(Datagram(vec![2; 60]), 8, 1, TrafficClass::Normal, now);
///
/// // The download has had its quantum; the game's packet passes the rest of it.
/// let order = [(); 4].map(|()| queue.dequeue(now).unwrap().0[0]);
/// assert_eq!(order, [1, 1, 2, 1]);
/// assert!(queue.is_empty());
/// ```
#[derive(Debug)]
pub struct FqCodel<T> {
    config: FqConfig,
    items: Slab<Queued<T>>,
    control: VecDeque<T>,
    /// Until when the control class has spent its rate.
    control_level: Option<Instant>,
    sources: SourceQueues,
    bytes: usize,
    counts: QueueCounts,
    reported: QueueCounts,
}

impl<T: QueueItem> FqCodel<T> {
    /// An empty queue.
    pub fn new(config: FqConfig) -> Self {
        Self {
            config,
            items: Slab::new(),
            control: VecDeque::new(),
            control_level: None,
            sources: SourceQueues::new(),
            bytes: 0,
            counts: QueueCounts::default(),
            reported: QueueCounts::default(),
        }
    }

    /// Bytes that wait, by [`QueueItem::wire_len`].
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.items.len() + self.control.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All drops and marks since the queue was made.
    pub const fn counts(&self) -> QueueCounts {
        self.counts
    }

    /// Drops and marks since the last call of this function.
    pub const fn take_counts(&mut self) -> QueueCounts {
        let news = QueueCounts {
            codel: self.counts.codel - self.reported.codel,
            overflow: self.counts.overflow - self.reported.overflow,
            superseded: self.counts.superseded - self.reported.superseded,
            marked: self.counts.marked - self.reported.marked,
        };
        self.reported = self.counts;
        news
    }

    /// Changes the bytes per round: [`QUANTUM`] or, below 10 Mbit/s, [`QUANTUM_SLOW`].
    pub const fn set_quantum(&mut self, quantum: u32) {
        self.config.quantum = quantum;
    }

    /// Queues `item` of the flow that hashes to `flow` from the sender `source`.
    pub fn enqueue(
        &mut self,
        item: T,
        flow: u32,
        source: u16,
        class: TrafficClass,
        now: Instant,
    ) -> Enqueued {
        let len = item.wire_len();
        if class == TrafficClass::Control && self.admits_control(len, now) {
            self.bytes += len;
            self.control.push_back(item);
        } else {
            let bucket = bucket_of(flow, self.config.buckets);
            let flow = self.sources.flow_for(source, bucket, self.config.quantum);
            let wire_len = u32::try_from(len).unwrap_or(u32::MAX);
            if class == TrafficClass::Acknowledgement && self.replaces_last(flow, wire_len, &item) {
                let last = self.sources.tail(flow);
                self.items.get_mut(last).item = item;
                self.count(QueueDrop::Superseded);
                return Enqueued::default();
            }
            self.bytes += len;
            let index = self.items.insert(Queued {
                item,
                len: wire_len,
                at: now,
                next: NIL,
            });
            let tail = self.sources.append(flow, index, len);
            if tail != NIL {
                self.items.get_mut(tail).next = index;
            }
        }
        self.enforce_bounds()
    }

    /// The next item that may leave. `CoDel` may drop others on the way: see [`Self::take_counts`].
    pub fn dequeue(&mut self, now: Instant) -> Option<T> {
        if let Some(item) = self.control.pop_front() {
            self.bytes -= item.wire_len();
            return Some(item);
        }
        while let Some(pick) = self.sources.pick(self.config.quantum) {
            if let Some(item) = self.take_from(pick, now) {
                return Some(item);
            }
        }
        None
    }

    /// Length of the item that [`Self::dequeue`] would consider next.
    pub fn peek_len(&mut self) -> Option<usize> {
        if let Some(item) = self.control.front() {
            return Some(item.wire_len());
        }
        let pick = self.sources.pick(self.config.quantum)?;
        Some(self.items.get(self.sources.head(pick.flow)).len as usize)
    }

    /// Whether the next item is control, or of a flow that had nothing waiting and whose source is not in debt: it may go ahead of a
    /// shaper by a small debt.
    pub fn next_is_sparse(&mut self) -> bool {
        !self.control.is_empty()
            || self
                .sources
                .pick(self.config.quantum)
                .is_some_and(|pick| pick.sparse)
    }

    /// Gives all heap memory back if nothing waits. For idle peers; the next item allocates again.
    pub fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.items.release();
            self.control = VecDeque::new();
            self.sources = SourceQueues::new();
        }
    }

    /// Whether it holds heap memory.
    #[cfg(test)]
    pub(crate) fn owns_memory(&self) -> bool {
        self.items.capacity() + self.control.capacity() > 0 || self.sources.owns_memory()
    }

    fn take_from(&mut self, pick: Pick, now: Instant) -> Option<T> {
        loop {
            let index = self.sources.head(pick.flow);
            if index == NIL {
                return None;
            }
            let queued = self.items.remove(index);
            let len = queued.len as usize;
            let sojourn = now.saturating_duration_since(queued.at);
            let mtu = self.config.quantum.max(QUANTUM) as usize;
            let decision = self
                .sources
                .judge(pick.flow, now, sojourn, mtu, &self.config.codel);
            self.sources.remove_head(pick.flow, queued.next, len);
            self.bytes -= len;
            let mut item = queued.item;
            if decision == CodelDecision::Signal {
                if !item.mark_ce() {
                    self.count(QueueDrop::Codel);
                    continue;
                }
                self.counts.marked += 1;
            }
            self.sources.charge(pick, len);
            return Some(item);
        }
    }

    /// Whether `item` says all that the last one of `flow` says, and is as long, so that it can take its place.
    fn replaces_last(&self, flow: u32, len: u32, item: &T) -> bool {
        let last = self.sources.tail(flow);
        if last == NIL {
            return false;
        }
        let last = self.items.get(last);

        last.len == len && item.supersedes(&last.item)
    }

    /// Whether the control class takes `len` more bytes; charges them.
    fn admits_control(&mut self, len: usize, now: Instant) -> bool {
        if len > CONTROL_MAX_LEN || self.control.len() >= CONTROL_MAX_PACKETS {
            return false;
        }
        let floor = now.checked_sub(CONTROL_BURST).unwrap_or(now);
        let level = self.control_level.map_or(floor, |level| level.max(floor));
        if level > now {
            return false;
        }
        let nanos = (len as u64).saturating_mul(1_000_000_000) / CONTROL_BYTES_PER_SECOND;
        self.control_level = Some(level + Duration::from_nanos(nanos));
        true
    }

    const fn count(&mut self, reason: QueueDrop) {
        match reason {
            QueueDrop::Codel => self.counts.codel += 1,
            QueueDrop::Overflow => self.counts.overflow += 1,
            QueueDrop::Superseded => self.counts.superseded += 1,
        }
    }
}

/// Buckets are taken from a mixed hash, so that a caller's weak low bits do no harm.
fn bucket_of(flow: u32, buckets: u16) -> u16 {
    let mixed = u64::from(flow.wrapping_mul(0x9E37_79B1));
    // A 32-bit fraction times a 16-bit count, shifted by 32, is below that count.
    u16::try_from((mixed * u64::from(buckets.max(1))) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests;
