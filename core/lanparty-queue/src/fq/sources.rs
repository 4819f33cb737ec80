//! Per-source queues and the flows within each: what exists, and what waits in it.
//!
//! A source is the member that a datagram comes from. [`super::round`] decides whose turn it is.

use super::index::{Index, Indexed};
use crate::codel::{Codel, CodelDecision, CodelParams};
use crate::slab::{List, NIL, Slab};
use std::time::{Duration, Instant};

/// Flows that exist at the same time at most. Beyond it, flows of a source share that source's last
/// bucket. 4096 * 128 bytes.
const MAX_FLOWS: usize = 4096;

/// The bits of a source's number that tell sources apart: 1024 per-source queues at most, several
/// times the largest room. Beyond that, sources share.
const SOURCE_BITS: u16 = 1024 - 1;

/// The bucket that flows share beyond [`MAX_FLOWS`].
const SHARED_BUCKET: u16 = u16::MAX;

#[derive(Debug)]
pub(super) struct Flow {
    key: u32,
    pub(super) source: u32,
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) bytes: usize,
    pub(super) deficit: i64,
    pub(super) codel: Codel,
    /// Next on the source's list.
    pub(super) next: u32,
    /// Next in the chain of the index.
    chain: u32,
}

#[derive(Debug)]
pub(super) struct SourceQueue {
    key: u16,
    pub(super) new: List,
    pub(super) old: List,
    pub(super) bytes: usize,
    pub(super) deficit: i64,
    /// Next in the round.
    pub(super) next: u32,
    /// Next on the list of sparse sources.
    pub(super) next_sparse: u32,
    pub(super) in_sparse: bool,
    /// Next in the chain of the index.
    chain: u32,
}

/// The flow that overflow is taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fattest {
    pub(super) flow: u32,
    /// Sources and flows looked at.
    pub(super) visited: usize,
}

#[derive(Debug)]
pub(super) struct SourceQueues {
    pub(super) flows: Slab<Flow>,
    pub(super) sources: Slab<SourceQueue>,
    flow_index: Index,
    source_index: Index,
    pub(super) round: List,
    pub(super) sparse: List,
}

pub(super) fn flow_next(flow: &mut Flow) -> &mut u32 {
    &mut flow.next
}

pub(super) fn source_next(source: &mut SourceQueue) -> &mut u32 {
    &mut source.next
}

pub(super) fn source_next_sparse(source: &mut SourceQueue) -> &mut u32 {
    &mut source.next_sparse
}

impl Indexed for Flow {
    type Key = u32;

    /// As many as one source has buckets.
    const CHAINS: usize = 1024;

    /// Sources count up from one and buckets are mixed already: an odd factor spreads the sources
    /// over the chains.
    fn hash(key: u32) -> usize {
        (key ^ (key >> 16).wrapping_mul(0x9E37)) as usize
    }

    fn key(&self) -> u32 {
        self.key
    }

    fn chain(&self) -> u32 {
        self.chain
    }

    fn chain_mut(&mut self) -> &mut u32 {
        &mut self.chain
    }
}

impl Indexed for SourceQueue {
    type Key = u16;

    /// As many as a room has members.
    const CHAINS: usize = 64;

    fn hash(key: u16) -> usize {
        usize::from(key)
    }

    fn key(&self) -> u16 {
        self.key
    }

    fn chain(&self) -> u32 {
        self.chain
    }

    fn chain_mut(&mut self) -> &mut u32 {
        &mut self.chain
    }
}

impl SourceQueues {
    pub(super) fn new() -> Self {
        Self {
            flows: Slab::new(),
            sources: Slab::new(),
            flow_index: Index::default(),
            source_index: Index::default(),
            round: List::EMPTY,
            sparse: List::EMPTY,
        }
    }

    #[cfg(test)]
    pub(super) fn owns_memory(&self) -> bool {
        self.flow_index.owns_memory()
    }

    /// The flow of (`source`, `bucket`), made if it does not exist.
    pub(super) fn flow_for(&mut self, source: u16, bucket: u16, quantum: u32) -> u32 {
        let source = source & SOURCE_BITS;
        let key = flow_key(source, bucket);
        if let Some(flow) = self.flow_index.find(&self.flows, key) {
            return flow;
        }
        if self.flows.len() < MAX_FLOWS {
            return self.make_flow(source, key, quantum);
        }
        let key = flow_key(source, SHARED_BUCKET);
        self.flow_index
            .find(&self.flows, key)
            .unwrap_or_else(|| self.make_flow(source, key, quantum))
    }

    /// Notes `item` of `len` bytes at the end of `flow` and returns the item that was there before.
    pub(super) fn append(&mut self, flow: u32, item: u32, len: usize) -> u32 {
        let flow = self.flows.get_mut(flow);
        let tail = flow.tail;
        if tail == NIL {
            flow.head = item;
        }
        flow.tail = item;
        flow.bytes += len;
        let source = flow.source;
        self.sources.get_mut(source).bytes += len;
        tail
    }

    /// The item at the end of `flow`.
    pub(super) fn tail(&self, flow: u32) -> u32 {
        self.flows.get(flow).tail
    }

    /// The item at the head of `flow`.
    pub(super) fn head(&self, flow: u32) -> u32 {
        self.flows.get(flow).head
    }

    /// Bytes that wait in `flow`.
    pub(super) fn backlog(&self, flow: u32) -> usize {
        self.flows.get(flow).bytes
    }

    /// Takes the head, of `len` bytes, off `flow`; `next` follows it.
    pub(super) fn remove_head(&mut self, flow: u32, next: u32, len: usize) {
        let flow = self.flows.get_mut(flow);
        flow.head = next;
        if next == NIL {
            flow.tail = NIL;
        }
        flow.bytes -= len;
        let source = flow.source;
        self.sources.get_mut(source).bytes -= len;
    }

    pub(super) fn judge(
        &mut self,
        flow: u32,
        now: Instant,
        sojourn: Duration,
        mtu: usize,
        params: &CodelParams,
    ) -> CodelDecision {
        let flow = self.flows.get_mut(flow);
        flow.codel.judge(now, sojourn, flow.bytes, mtu, params)
    }

    /// The fattest flow of the fattest source, if anything waits.
    pub(super) fn fattest(&self) -> Option<Fattest> {
        let (_, source) = self.sources.iter().max_by_key(|(_, source)| source.bytes)?;
        let mut visited = self.sources.len();
        let mut best = (NIL, 0);
        for head in [source.new.head, source.old.head] {
            let mut flow = head;
            while flow != NIL {
                let entry = self.flows.get(flow);
                // A list longer than a packet queue can be is impossible; zero-length items count by their presence.
                if entry.head != NIL && (best.0 == NIL || entry.bytes > best.1) {
                    best = (flow, entry.bytes);
                }
                visited += 1;
                flow = entry.next;
            }
        }
        (best.0 != NIL).then_some(Fattest {
            flow: best.0,
            visited,
        })
    }

    fn make_flow(&mut self, source_key: u16, key: u32, quantum: u32) -> u32 {
        let source = self.find_or_make_source(source_key, quantum);
        let flow = Flow {
            key,
            source,
            head: NIL,
            tail: NIL,
            bytes: 0,
            deficit: i64::from(quantum),
            codel: Codel::default(),
            next: NIL,
            chain: NIL,
        };
        let flow = self.flow_index.insert(&mut self.flows, flow);
        let entry = self.sources.get_mut(source);
        entry.new.push(&mut self.flows, flow, flow_next);
        if !entry.in_sparse {
            entry.in_sparse = true;
            self.sparse
                .push(&mut self.sources, source, source_next_sparse);
        }
        flow
    }

    fn find_or_make_source(&mut self, key: u16, quantum: u32) -> u32 {
        if let Some(source) = self.source_index.find(&self.sources, key) {
            return source;
        }
        let source = SourceQueue {
            key,
            new: List::EMPTY,
            old: List::EMPTY,
            bytes: 0,
            deficit: i64::from(quantum),
            next: NIL,
            next_sparse: NIL,
            in_sparse: false,
            chain: NIL,
        };
        let source = self.source_index.insert(&mut self.sources, source);
        self.round.push(&mut self.sources, source, source_next);
        source
    }

    /// Forgets a flow that is empty and on no list.
    pub(super) fn drop_flow(&mut self, flow: u32) {
        self.flow_index.remove(&mut self.flows, flow);
    }

    /// Forgets the first source of the round, which has no flows and no debt. The list of sparse
    /// sources, which was served before, does not have it.
    pub(super) fn drop_source(&mut self) {
        if let Some(source) = self.round.pop(&mut self.sources, source_next) {
            self.source_index.remove(&mut self.sources, source);
        }
    }
}

fn flow_key(source: u16, bucket: u16) -> u32 {
    (u32::from(source) << 16) | u32::from(bucket)
}
