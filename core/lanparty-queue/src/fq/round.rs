//! Two levels of deficit round robin (RFC 8290): over sources, and over the flows of each.
//!
//! A flow is on its source's list of new flows or on its list of old flows while it exists; a source
//! is in the round while it has flows. A source with new flows that is not deep in debt is on the
//! list of sparse sources too, which is served first. Every byte is charged to flow and source alike,
//! so what a source sends early it waits for later.

use super::sources::{SourceQueues, flow_next, source_next, source_next_sparse};
use crate::slab::NIL;

/// How many quanta a source's sparse flows may run up before the source has to wait for its turns.
const SPARSE_DEBT_QUANTA: i64 = 4;

/// A flow whose turn it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    pub(super) flow: u32,
    source: u32,
    pub(super) sparse: bool,
}

impl SourceQueues {
    /// Charges `len` bytes that left to flow and source.
    pub(super) fn charge(&mut self, pick: Pick, len: usize) {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        self.flows.get_mut(pick.flow).deficit -= len;
        self.sources.get_mut(pick.source).deficit -= len;
        if pick.sparse {
            // Sparse sources take turns packet by packet.
            self.sparse.pop(&mut self.sources, source_next_sparse);
            self.sparse
                .push(&mut self.sources, pick.source, source_next_sparse);
        }
    }

    /// The flow whose turn it is; asking again without charging gives the same answer.
    pub(super) fn pick(&mut self, quantum: u32) -> Option<Pick> {
        let quantum = i64::from(quantum.max(1));
        while !self.sparse.is_empty() {
            let source = self.sparse.head;
            if let Some(flow) = self.sparse_flow(source, quantum) {
                return Some(Pick {
                    flow,
                    source,
                    sparse: true,
                });
            }
            self.sparse.pop(&mut self.sources, source_next_sparse);
            self.sources.get_mut(source).in_sparse = false;
        }
        while !self.round.is_empty() {
            let source = self.round.head;
            if self.sources.get(source).deficit <= 0 {
                self.sources.get_mut(source).deficit += quantum;
                self.round.pop(&mut self.sources, source_next);
                self.round.push(&mut self.sources, source, source_next);
                continue;
            }
            if let Some(flow) = self.old_flow(source, quantum) {
                return Some(Pick {
                    flow,
                    source,
                    sparse: false,
                });
            }
            self.drop_source();
        }
        None
    }

    /// The first flow of `source`'s new list that has something and quantum left, if the source may run ahead.
    fn sparse_flow(&mut self, source: u32, quantum: i64) -> Option<u32> {
        let entry = self.sources.get(source);
        if entry.deficit <= -SPARSE_DEBT_QUANTA * quantum {
            return None;
        }
        loop {
            let flow = self.sources.get(source).new.head;
            if flow == NIL {
                return None;
            }
            if self.settle(flow, source, true, quantum) {
                return Some(flow);
            }
        }
    }

    /// The flow of `source` whose turn it is: new ones that had to wait for the source's turn, then old ones.
    fn old_flow(&mut self, source: u32, quantum: i64) -> Option<u32> {
        loop {
            let entry = self.sources.get(source);
            let (flow, is_new) = if entry.new.is_empty() {
                (entry.old.head, false)
            } else {
                (entry.new.head, true)
            };
            if flow == NIL {
                return None;
            }
            if self.settle(flow, source, is_new, quantum) {
                return Some(flow);
            }
        }
    }

    /// Whether the first flow of one of the source's lists may send; if not, moves it on (RFC 8290 section 4.2).
    fn settle(&mut self, flow: u32, source: u32, is_new: bool, quantum: i64) -> bool {
        let entry = self.flows.get_mut(flow);
        let spent = entry.deficit <= 0;
        let empty = entry.head == NIL;
        if !spent && !empty {
            return true;
        }
        if spent {
            entry.deficit += quantum;
        }
        let lists = self.sources.get_mut(source);
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
}
