//! What a queue holds and what it tells about what it gave up.

/// Something that can wait in a queue: a datagram, or a handle on one.
pub trait QueueItem {
    /// Bytes that the item occupies on the link, without the per-datagram overhead that [`crate::Shaper`] adds.
    fn wire_len(&self) -> usize;

    /// Sets ECN CE (RFC 3168) on the carried packet if its ECN field is ECT(0) or ECT(1) and says whether the packet now
    /// carries the mark. `false` means the transport did not offer ECN and only a drop can signal congestion.
    fn mark_ce(&mut self) -> bool;

    /// Whether this item makes `older` needless, which waits just before it in the same flow and is as long. The queue then keeps only this one.
    /// Asked of [`TrafficClass::Acknowledgement`](crate::TrafficClass::Acknowledgement) alone.
    fn supersedes(&self, _older: &Self) -> bool {
        false
    }
}

/// Why a queue gave an item up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueDrop {
    /// `CoDel` decided: the flow's standing queue was above target for an interval (RFC 8289).
    Codel,
    /// The queue's memory bound was reached; the head of the fattest flow went (RFC 8290 section 4.1.3).
    Overflow,
    /// A newer item of its flow said all that it said: [`QueueItem::supersedes`].
    Superseded,
}

impl QueueDrop {
    /// Stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Codel => "queue_codel",
            Self::Overflow => "queue_overflow",
            Self::Superseded => "queue_superseded",
        }
    }
}

/// Drops and marks by reason: totals, or what happened since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Items dropped for [`QueueDrop::Codel`].
    pub codel: u64,
    /// Items dropped for [`QueueDrop::Overflow`].
    pub overflow: u64,
    /// Items dropped for [`QueueDrop::Superseded`].
    pub superseded: u64,
    /// Items that `CoDel` marked with ECN CE instead of dropping.
    pub marked: u64,
}

impl QueueCounts {
    /// Items dropped for `reason`.
    pub const fn dropped(&self, reason: QueueDrop) -> u64 {
        match reason {
            QueueDrop::Codel => self.codel,
            QueueDrop::Overflow => self.overflow,
            QueueDrop::Superseded => self.superseded,
        }
    }
}
