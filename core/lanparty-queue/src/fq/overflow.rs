//! The memory bound: when it is passed, the head of the fattest flow of the fattest source goes (RFC 8290 section 4.1.3).

use super::{Enqueued, FqCodel};
use crate::item::{QueueDrop, QueueItem};
use crate::slab::NIL;

/// Most items dropped for one search: 64, as in Linux' `fq_codel_drop`.
const MAX_BATCH: usize = 64;

impl<T: QueueItem> FqCodel<T> {
    pub(super) fn enforce_bounds(&mut self) -> Enqueued {
        let mut overflow = 0;
        while self.over_bounds() {
            let Some(victim) = self.sources.fattest() else {
                break;
            };
            // A search through many flows is paid for by as many drops, but never by more than half of the flow.
            let half = self.sources.backlog(victim.flow) / 2;
            let batch = (victim.visited / 8).clamp(1, MAX_BATCH);
            let mut freed = 0;
            for _ in 0..batch {
                let index = self.sources.head(victim.flow);
                if index == NIL || (freed > half && !self.over_bounds()) {
                    break;
                }
                let queued = self.items.remove(index);
                let len = queued.len as usize;
                self.sources.remove_head(victim.flow, queued.next, len);
                self.bytes -= len;
                self.count(QueueDrop::Overflow);
                freed += len;
                overflow += 1;
            }
        }
        Enqueued { overflow }
    }

    fn over_bounds(&self) -> bool {
        self.bytes > self.config.limit_bytes || self.items.len() > self.config.limit_packets
    }
}
