//! Halves of frames that wait for each other at the relay (full-frame mode).
//!
//! A receiver can use no half before it has both, so the relay loses no time by waiting for both as well. It gains the whole frame:
//! safety policy, rate limits and destination are decided once, on all of it, and a half whose other is lost costs nobody
//! bandwidth. Both halves then leave together, in the order they came.

use std::time::Instant;

use bytes::Bytes;
use lanparty_proto::split::{HALF_LIFETIME, Part};

/// How many halves of one sender wait at a time. A power of two, so that sequence numbers map to slots.
///
/// Halves leave their sender back to back; what waits is what the network lost or reordered. 32 halves of 780 bytes are 25 KiB
/// for one sender, and only for one that loses packets.
const SLOTS: usize = 32;

#[derive(Debug, Clone)]
struct Waiting {
    sequence: u32,
    total: usize,
    is_first: bool,
    since: Instant,
    /// The half alone, as a part of `datagram`.
    half: Bytes,
    datagram: Bytes,
}

/// Halves of one sender.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    slots: Vec<Option<Waiting>>,
}

/// What became of a half.
pub(crate) enum Paired {
    /// The other half was here: `frame` holds both, and this is the datagram that waited.
    Both(Bytes),
    /// The other half is not here yet; `lost` tells whether an older half was given up for this one.
    Waiting {
        /// Whether a half that waited in the same membership is lost.
        lost: bool,
    },
}

impl Halves {
    /// Takes one half and writes the frame into `frame` if the other was here.
    pub(crate) fn pair(
        &mut self,
        part: &Part<'_>,
        datagram: &[u8],
        frame: &mut Vec<u8>,
        now: Instant,
    ) -> Paired {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        let index = usize::try_from(part.sequence()).unwrap_or(0) % SLOTS;
        let Some(slot) = self.slots.get_mut(index) else {
            return Paired::Waiting { lost: true };
        };

        let older = slot.take();
        if let Some(waiting) = older.as_ref().filter(|w| w.completes(part, now)) {
            let (first, second) = if waiting.is_first {
                (&waiting.half[..], part.half())
            } else {
                (part.half(), &waiting.half[..])
            };
            frame.clear();
            frame.extend_from_slice(first);
            frame.extend_from_slice(second);

            return Paired::Both(waiting.datagram.clone());
        }

        let lost = older.is_some_and(|w| w.sequence != part.sequence());
        let datagram = Bytes::copy_from_slice(datagram);
        let half = datagram.slice(datagram.len().saturating_sub(part.half().len())..);
        *slot = Some(Waiting {
            sequence: part.sequence(),
            total: part.total(),
            is_first: part.is_first(),
            since: now,
            half,
            datagram,
        });

        Paired::Waiting { lost }
    }

    /// Forgets everything, for a member whose connection broke.
    pub(crate) fn clear(&mut self) {
        self.slots = Vec::new();
    }

    /// Returns how many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.iter().flatten().map(|w| w.datagram.len()).sum()
    }
}

impl Waiting {
    fn completes(&self, part: &Part<'_>, now: Instant) -> bool {
        self.sequence == part.sequence()
            && self.total == part.total()
            && self.is_first != part.is_first()
            && now.saturating_duration_since(self.since) <= HALF_LIFETIME
    }
}
