//! The two levels of deficit round robin: lanes (senders) and the flows within each.
//!
//! A flow is on its lane's list of new flows or on its list of old flows while it exists; a lane is in the round while it has
//! flows. A lane with new flows that is not deep in debt is on the list of sparse lanes too, which is served first. Every byte is
//! charged to flow and lane alike, so what a lane sends early it waits for later.

use crate::codel::{Codel, CodelParams, Verdict};
use crate::slab::{List, NIL, Slab};
use std::time::{Duration, Instant};

/// Flows that exist at the same time at most. Beyond it, flows of a lane share that lane's last bucket. 4096 * 128 bytes.
const MAX_FLOWS: usize = 4096;

/// Lanes that exist at the same time at most; beyond it, senders share. Several times the largest room.
const LANE_BITS: u16 = 1024 - 1;

/// How many quanta a lane's sparse flows may run up before the lane has to wait for its turns.
const SPARSE_DEBT_QUANTA: i64 = 4;

/// Chains of the index by (lane, bucket): as many as one lane has buckets.
const CHAINS: usize = 1024;

/// The bucket that flows share beyond [`MAX_FLOWS`].
const SHARED_BUCKET: u16 = u16::MAX;

#[derive(Debug)]
struct Flow {
    key: u32,
    lane: u32,
    head: u32,
    tail: u32,
    bytes: usize,
    deficit: i64,
    codel: Codel,
    /// Next on the lane's list.
    next: u32,
    /// Next in the chain of the index.
    chain: u32,
}

#[derive(Debug)]
struct Lane {
    key: u16,
    new: List,
    old: List,
    bytes: usize,
    deficit: i64,
    /// Next in the round.
    next: u32,
    /// Next on the list of sparse lanes.
    next_sparse: u32,
    in_sparse: bool,
    /// Next in the chain of the index.
    chain: u32,
}

/// A flow whose turn it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    pub(super) flow: u32,
    lane: u32,
    pub(super) sparse: bool,
}

/// The flow that overflow is taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fattest {
    pub(super) flow: u32,
    /// Lanes and flows looked at.
    pub(super) visited: usize,
}

#[derive(Debug)]
pub(super) struct Lanes {
    flows: Slab<Flow>,
    senders: Slab<Lane>,
    /// Heads of the chains of flows; empty until the first item.
    flow_index: Box<[u32]>,
    /// Heads of the chains of lanes.
    lane_index: Box<[u32]>,
    round: List,
    sparse: List,
}

fn flow_next(flow: &mut Flow) -> &mut u32 {
    &mut flow.next
}

fn lane_next(lane: &mut Lane) -> &mut u32 {
    &mut lane.next
}

fn lane_next_sparse(lane: &mut Lane) -> &mut u32 {
    &mut lane.next_sparse
}

/// Senders count up from one and buckets are mixed already: an odd factor spreads the lanes over the chains.
fn flow_chain(key: u32) -> usize {
    ((key ^ (key >> 16).wrapping_mul(0x9E37)) as usize) % CHAINS
}

/// Chains of the index of lanes.
const LANE_CHAINS: usize = 64;

fn lane_chain(key: u16) -> usize {
    usize::from(key) % LANE_CHAINS
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            flows: Slab::new(),
            senders: Slab::new(),
            flow_index: Box::default(),
            lane_index: Box::default(),
            round: List::EMPTY,
            sparse: List::EMPTY,
        }
    }

    #[cfg(test)]
    pub(super) fn owns_memory(&self) -> bool {
        !self.flow_index.is_empty()
    }

    /// The flow of (`lane`, `bucket`), made if it does not exist.
    pub(super) fn flow_for(&mut self, lane: u16, bucket: u16, quantum: u32) -> u32 {
        if self.flow_index.is_empty() {
            self.flow_index = vec![NIL; CHAINS].into_boxed_slice();
            self.lane_index = vec![NIL; LANE_CHAINS].into_boxed_slice();
        }
        let lane = lane & LANE_BITS;
        let key = flow_key(lane, bucket);
        if let Some(flow) = self.find_flow(key) {
            return flow;
        }
        if self.flows.len() < MAX_FLOWS {
            return self.make_flow(lane, key, quantum);
        }
        let key = flow_key(lane, SHARED_BUCKET);
        self.find_flow(key)
            .unwrap_or_else(|| self.make_flow(lane, key, quantum))
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
        let lane = flow.lane;
        self.senders.get_mut(lane).bytes += len;
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
        let lane = flow.lane;
        self.senders.get_mut(lane).bytes -= len;
    }

    pub(super) fn judge(
        &mut self,
        flow: u32,
        now: Instant,
        sojourn: Duration,
        mtu: usize,
        params: &CodelParams,
    ) -> Verdict {
        let flow = self.flows.get_mut(flow);
        flow.codel.judge(now, sojourn, flow.bytes, mtu, params)
    }

    /// Charges `len` bytes that left to flow and lane.
    pub(super) fn charge(&mut self, pick: Pick, len: usize) {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        self.flows.get_mut(pick.flow).deficit -= len;
        self.senders.get_mut(pick.lane).deficit -= len;
        if pick.sparse {
            // Sparse lanes take turns packet by packet.
            self.sparse.pop(&mut self.senders, lane_next_sparse);
            self.sparse
                .push(&mut self.senders, pick.lane, lane_next_sparse);
        }
    }

    /// The flow whose turn it is; asking again without charging gives the same answer.
    pub(super) fn pick(&mut self, quantum: u32) -> Option<Pick> {
        let quantum = i64::from(quantum.max(1));
        while !self.sparse.is_empty() {
            let lane = self.sparse.head;
            if let Some(flow) = self.sparse_flow(lane, quantum) {
                return Some(Pick {
                    flow,
                    lane,
                    sparse: true,
                });
            }
            self.sparse.pop(&mut self.senders, lane_next_sparse);
            self.senders.get_mut(lane).in_sparse = false;
        }
        while !self.round.is_empty() {
            let lane = self.round.head;
            if self.senders.get(lane).deficit <= 0 {
                self.senders.get_mut(lane).deficit += quantum;
                self.round.pop(&mut self.senders, lane_next);
                self.round.push(&mut self.senders, lane, lane_next);
                continue;
            }
            if let Some(flow) = self.old_flow(lane, quantum) {
                return Some(Pick {
                    flow,
                    lane,
                    sparse: false,
                });
            }
            self.drop_lane();
        }
        None
    }

    /// The first flow of `lane`'s new list that has something and quantum left, if the lane may run ahead.
    fn sparse_flow(&mut self, lane: u32, quantum: i64) -> Option<u32> {
        let entry = self.senders.get(lane);
        if entry.deficit <= -SPARSE_DEBT_QUANTA * quantum {
            return None;
        }
        loop {
            let flow = self.senders.get(lane).new.head;
            if flow == NIL {
                return None;
            }
            if self.settle(flow, lane, true, quantum) {
                return Some(flow);
            }
        }
    }

    /// The flow of `lane` whose turn it is: new ones that had to wait for the lane's turn, then old ones.
    fn old_flow(&mut self, lane: u32, quantum: i64) -> Option<u32> {
        loop {
            let entry = self.senders.get(lane);
            let (flow, is_new) = if entry.new.is_empty() {
                (entry.old.head, false)
            } else {
                (entry.new.head, true)
            };
            if flow == NIL {
                return None;
            }
            if self.settle(flow, lane, is_new, quantum) {
                return Some(flow);
            }
        }
    }

    /// Whether the first flow of one of the lane's lists may send; if not, moves it on (RFC 8290 section 4.2).
    fn settle(&mut self, flow: u32, lane: u32, is_new: bool, quantum: i64) -> bool {
        let entry = self.flows.get_mut(flow);
        let spent = entry.deficit <= 0;
        let empty = entry.head == NIL;
        if !spent && !empty {
            return true;
        }
        if spent {
            entry.deficit += quantum;
        }
        let lists = self.senders.get_mut(lane);
        if is_new {
            lists.new.pop(&mut self.flows, flow_next);
        } else {
            lists.old.pop(&mut self.flows, flow_next);
        }
        // An emptied new flow passes through the old list once, or it could come back as new and starve the old ones.
        if spent || (is_new && !lists.old.is_empty()) {
            lists.old.push(&mut self.flows, flow, flow_next);
        } else {
            self.drop_flow(flow);
        }
        false
    }

    /// The fattest flow of the fattest lane, if anything waits.
    pub(super) fn fattest(&self) -> Option<Fattest> {
        let (_, lane) = self.senders.iter().max_by_key(|(_, lane)| lane.bytes)?;
        let mut visited = self.senders.len();
        let mut best = (NIL, 0);
        for head in [lane.new.head, lane.old.head] {
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

    fn find_flow(&self, key: u32) -> Option<u32> {
        let mut flow = self.flow_index.get(flow_chain(key)).copied().unwrap_or(NIL);
        while flow != NIL {
            let entry = self.flows.get(flow);
            if entry.key == key {
                return Some(flow);
            }
            flow = entry.chain;
        }
        None
    }

    fn make_flow(&mut self, lane_key: u16, key: u32, quantum: u32) -> u32 {
        let lane = self.find_or_make_lane(lane_key, quantum);
        let slot = self
            .flow_index
            .get_mut(flow_chain(key))
            .expect("made before the first flow");
        let flow = self.flows.insert(Flow {
            key,
            lane,
            head: NIL,
            tail: NIL,
            bytes: 0,
            deficit: i64::from(quantum),
            codel: Codel::default(),
            next: NIL,
            chain: *slot,
        });
        *slot = flow;
        let entry = self.senders.get_mut(lane);
        entry.new.push(&mut self.flows, flow, flow_next);
        if !entry.in_sparse {
            entry.in_sparse = true;
            self.sparse.push(&mut self.senders, lane, lane_next_sparse);
        }
        flow
    }

    fn find_or_make_lane(&mut self, key: u16, quantum: u32) -> u32 {
        let slot = self
            .lane_index
            .get_mut(lane_chain(key))
            .expect("made before the first lane");
        let mut lane = *slot;
        while lane != NIL {
            let entry = self.senders.get(lane);
            if entry.key == key {
                return lane;
            }
            lane = entry.chain;
        }
        let lane = self.senders.insert(Lane {
            key,
            new: List::EMPTY,
            old: List::EMPTY,
            bytes: 0,
            deficit: i64::from(quantum),
            next: NIL,
            next_sparse: NIL,
            in_sparse: false,
            chain: *slot,
        });
        *slot = lane;
        self.round.push(&mut self.senders, lane, lane_next);
        lane
    }

    /// Forgets a flow that is empty and on no list.
    fn drop_flow(&mut self, flow: u32) {
        let entry = self.flows.remove(flow);
        let Some(slot) = self.flow_index.get_mut(flow_chain(entry.key)) else {
            return;
        };
        if *slot == flow {
            *slot = entry.chain;
            return;
        }
        let mut before = *slot;
        while before != NIL {
            let link = &mut self.flows.get_mut(before).chain;
            if *link == flow {
                *link = entry.chain;
                return;
            }
            before = *link;
        }
    }

    /// Forgets the first lane of the round, which has no flows and no debt; it is not on the sparse list, which was served before.
    fn drop_lane(&mut self) {
        let Some(lane) = self.round.pop(&mut self.senders, lane_next) else {
            return;
        };
        let entry = self.senders.remove(lane);
        let Some(slot) = self.lane_index.get_mut(lane_chain(entry.key)) else {
            return;
        };
        if *slot == lane {
            *slot = entry.chain;
            return;
        }
        let mut before = *slot;
        while before != NIL {
            let link = &mut self.senders.get_mut(before).chain;
            if *link == lane {
                *link = entry.chain;
                return;
            }
            before = *link;
        }
    }
}

fn flow_key(lane: u16, bucket: u16) -> u32 {
    (u32::from(lane) << 16) | u32::from(bucket)
}
