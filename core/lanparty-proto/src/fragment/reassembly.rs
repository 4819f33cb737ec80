//! Fragments that wait for each other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Fragment, MAX_FRAME_LEN, first_half_len};
use crate::PeerId;

/// How long a fragment waits for the other. Fragments leave back to back, so what is later than a
/// long queue is lost.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_millis(200);

/// How many fragments of one sender a [`ReassemblyTable`] holds at a time. A power of two, so that
/// sequence numbers map to slots.
///
/// Fragments leave together; what waits is what the network lost or reordered. At 40,000
/// fragmented frames a second and 1 % loss that is 80 in 200 ms, half of which are first fragments
/// that may wait at all.
pub const SLOTS_PER_SENDER: usize = 64;

/// How many senders can have fragments waiting. With [`SLOTS_PER_SENDER`] and half a frame each
/// this bounds a [`ReassemblyTable`] to 6.3 MiB.
pub const MAX_SENDERS: usize = 128;

/// A fragment that waits for the other.
#[derive(Debug, Clone)]
struct Waiting<H> {
    sequence: u32,
    total: usize,
    is_first: bool,
    since: Instant,
    held: H,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<H> {
    /// The other fragment was here. The frame is complete, and this is what was held for the other.
    Complete(H),
    /// The other fragment is not here yet.
    Pending {
        /// Whether an older fragment was given up for this one.
        lost: bool,
    },
}

/// The fragments of one sender.
///
/// Bounded in count (`SLOTS`, a power of two) and in time ([`REASSEMBLY_TIMEOUT`]). There is no
/// timer: a fragment that is too old gives way to the next one with its slot.
///
/// The caller chooses what is held for a fragment that waits: its half of the frame alone, or the
/// datagram that it came in. The half must be the last bytes of what is held.
///
/// ```
/// # use std::time::Instant;
/// use lanparty_proto::fragment::{Fragment, Progress, Reassembler, fragment_header};
///
/// # let now = Instant::now();
/// let [first, second] = [(false, 700), (true, 700)]
///     .map(|(is_second, len)| [&fragment_header(1, 1400, is_second)[..], &vec![7; len]].concat());
/// let (first, second) = (Fragment::parse(&first).unwrap(), Fragment::parse(&second).unwrap());
///
/// let mut reassembler: Reassembler<Vec<u8>, 64> = Reassembler::default();
/// let mut frame = Vec::new();
/// let pending = reassembler.handle_fragment(&first, |_| first.half().to_vec(), &mut frame, now);
/// assert_eq!(pending, Progress::Pending { lost: false });
/// let complete = reassembler.handle_fragment(&second, |_| unreachable!(), &mut frame, now);
/// assert_eq!(complete, Progress::Complete(vec![7; 700]));
/// assert_eq!(frame, [7; 1400]);
/// ```
#[derive(Debug)]
pub struct Reassembler<H, const SLOTS: usize> {
    /// None before the first fragment, [`SLOTS`](Self) afterwards.
    slots: Vec<Option<Waiting<H>>>,
}

impl<H, const SLOTS: usize> Default for Reassembler<H, SLOTS> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<H: AsRef<[u8]>, const SLOTS: usize> Reassembler<H, SLOTS> {
    /// Takes a fragment, and writes the frame into `frame` if the other fragment was here.
    ///
    /// Otherwise `hold` makes what is held for this one. It gets what was held for the fragment that
    /// gives way, whose memory it may use again.
    pub fn handle_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        hold: impl FnOnce(Option<H>) -> H,
        frame: &mut Vec<u8>,
        now: Instant,
    ) -> Progress<H> {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let index = usize::try_from(fragment.sequence()).unwrap_or(0) % SLOTS;
        let Some(slot) = self.slots.get_mut(index) else {
            return Progress::Pending { lost: true };
        };

        let older = match slot.take() {
            Some(waiting) if waiting.is_completed_by(fragment, now) => {
                waiting.join(fragment, frame);
                return Progress::Complete(waiting.held);
            }
            older => older,
        };
        let lost = (older.as_ref()).is_some_and(|older| older.sequence != fragment.sequence());
        *slot = Some(Waiting {
            sequence: fragment.sequence(),
            total: fragment.total(),
            is_first: fragment.is_first(),
            since: now,
            held: hold(older.map(|older| older.held)),
        });

        Progress::Pending { lost }
    }

    /// Forgets everything, for a sender whose connection broke.
    pub fn clear(&mut self) {
        self.slots = Vec::new();
    }

    /// Returns how many bytes are held.
    pub fn bytes(&self) -> usize {
        self.held().map(|held| held.as_ref().len()).sum()
    }

    fn held(&self) -> impl Iterator<Item = &H> {
        self.slots.iter().flatten().map(|waiting| &waiting.held)
    }
}

impl<H: AsRef<[u8]>> Waiting<H> {
    fn is_completed_by(&self, fragment: &Fragment<'_>, now: Instant) -> bool {
        self.sequence == fragment.sequence()
            && self.total == fragment.total()
            && self.is_first != fragment.is_first()
            && now.saturating_duration_since(self.since) <= REASSEMBLY_TIMEOUT
    }

    /// Writes the frame that this and the other fragment make.
    fn join(&self, other: &Fragment<'_>, frame: &mut Vec<u8>) {
        let held = self.held.as_ref();
        let own_len = self.total.saturating_sub(other.half().len());
        let own = held
            .get(held.len().saturating_sub(own_len)..)
            .unwrap_or_default();
        let (first, second) = if self.is_first {
            (own, other.half())
        } else {
            (other.half(), own)
        };
        frame.clear();
        frame.extend_from_slice(first);
        frame.extend_from_slice(second);
    }
}

/// What became of a fragment of one of many senders.
#[derive(Debug, PartialEq, Eq)]
pub enum Reassembled<'a> {
    /// Both fragments are here: this is the frame.
    Frame(&'a [u8]),
    /// The other fragment is not here yet.
    Pending {
        /// Whether an older fragment was given up for this one.
        lost: bool,
    },
    /// The table holds as many senders as it may.
    TooManySenders,
}

/// The fragments of many senders.
///
/// Bounded in count ([`SLOTS_PER_SENDER`], [`MAX_SENDERS`]), in bytes (half a frame each) and in
/// time ([`REASSEMBLY_TIMEOUT`]). A sender can only displace its own fragments.
#[derive(Debug, Default)]
pub struct ReassemblyTable {
    senders: BTreeMap<PeerId, Reassembler<Vec<u8>, SLOTS_PER_SENDER>>,
    frame: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl ReassemblyTable {
    /// Takes a fragment from `source`, and gives the frame if the other one was here.
    pub fn handle_fragment(
        &mut self,
        source: PeerId,
        fragment: &Fragment<'_>,
        now: Instant,
    ) -> Reassembled<'_> {
        if !self.senders.contains_key(&source) && self.senders.len() >= MAX_SENDERS {
            return Reassembled::TooManySenders;
        }

        let reassembler = self.senders.entry(source).or_default();
        let spare = &mut self.spare;
        let hold = |older: Option<Vec<u8>>| {
            let mut held = older.unwrap_or_else(|| take_spare(spare));
            held.clear();
            held.extend_from_slice(fragment.half());

            held
        };
        match reassembler.handle_fragment(fragment, hold, &mut self.frame, now) {
            Progress::Complete(held) => {
                self.spare.push(held);
                Reassembled::Frame(&self.frame)
            }
            Progress::Pending { lost } => Reassembled::Pending { lost },
        }
    }

    /// Returns the bytes of memory that fragments hold: those that wait, and what is kept for the
    /// next.
    pub fn memory(&self) -> usize {
        let held = self.senders.values().flat_map(Reassembler::held);

        held.chain(&self.spare).map(Vec::capacity).sum()
    }

    /// Forgets what waits from a member that left.
    pub fn remove_sender(&mut self, source: PeerId) {
        self.senders.remove(&source);
    }

    /// Returns how many bytes of frames are waiting.
    pub fn waiting_bytes(&self) -> usize {
        self.senders.values().map(Reassembler::bytes).sum()
    }
}

/// Returns memory for half a frame: what a complete frame left, or new. So there is never more than
/// once waited at a time.
fn take_spare(spare: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let longest = first_half_len(MAX_FRAME_LEN);

    spare.pop().unwrap_or_else(|| Vec::with_capacity(longest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::fragment_header;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    /// The two payloads that carry `frame`.
    fn fragments(frame: &[u8], sequence: u32) -> [Vec<u8>; 2] {
        let total = u16::try_from(frame.len()).unwrap();
        let (first, second) = frame.split_at(first_half_len(frame.len()));

        [
            [&fragment_header(sequence, total, false)[..], first].concat(),
            [&fragment_header(sequence, total, true)[..], second].concat(),
        ]
    }

    fn handle<'t>(
        table: &'t mut ReassemblyTable,
        source: u16,
        payload: &[u8],
        now: Instant,
    ) -> Reassembled<'t> {
        let fragment = Fragment::parse(payload).unwrap();

        table.handle_fragment(PeerId(source), &fragment, now)
    }

    #[test]
    fn joins_fragments_in_either_order() {
        let frame: Vec<u8> = (0..=255).cycle().take(1513).collect();
        let [first, second] = fragments(&frame, 5);
        let mut table = ReassemblyTable::default();

        for order in [[&first, &second], [&second, &first]] {
            let pending = handle(&mut table, 1, order[0], start());
            assert_eq!(pending, Reassembled::Pending { lost: false });
            let frame_of_both = handle(&mut table, 1, order[1], start());
            assert_eq!(frame_of_both, Reassembled::Frame(&frame));
        }
        assert_eq!(table.waiting_bytes(), 0);
    }

    #[test]
    fn what_is_held_may_be_the_datagram_with_all_its_headers() {
        let frame: Vec<u8> = (0..=255).cycle().take(1513).collect();
        let [first, second] = fragments(&frame, 5);

        for [held, last] in [[&first, &second], [&second, &first]] {
            let mut reassembler: Reassembler<Vec<u8>, 32> = Reassembler::default();
            let mut joined = Vec::new();
            for payload in [held, last] {
                let fragment = Fragment::parse(payload).unwrap();
                let hold = |_| [&[0xff; 12][..], payload].concat();
                reassembler.handle_fragment(&fragment, hold, &mut joined, start());
            }
            assert_eq!(joined, frame);
        }
    }

    #[test]
    fn a_fragment_that_comes_twice_is_no_frame_and_the_last_one_counts() {
        let mut table = ReassemblyTable::default();
        let [first, second] = fragments(&[1; 1500], 5);
        let [forged, _] = fragments(&[2; 1500], 5);
        let now = start();

        for payload in [&first, &first, &forged, &first] {
            let pending = handle(&mut table, 1, payload, now);
            assert_eq!(pending, Reassembled::Pending { lost: false });
        }
        let frame = handle(&mut table, 1, &second, now);
        assert_eq!(frame, Reassembled::Frame(&[1; 1500]));
    }

    #[test]
    fn never_mixes_senders_sequences_or_totals() {
        let mut table = ReassemblyTable::default();
        let [first, second] = fragments(&[1; 1500], 5);
        let [_, other_sequence] = fragments(&[2; 1500], 6);
        let [_, other_total] = fragments(&[3; 1502], 5);
        let now = start();

        handle(&mut table, 1, &first, now);
        for (source, payload) in [(2, &second), (1, &other_sequence), (1, &other_total)] {
            let pending = handle(&mut table, source, payload, now);
            assert!(matches!(pending, Reassembled::Pending { .. }));
        }
    }

    #[test]
    fn a_fragment_that_is_too_old_is_lost() {
        let mut table = ReassemblyTable::default();
        let [first, second] = fragments(&[1; 1500], 5);
        let now = start();

        handle(&mut table, 1, &first, now);
        let late = now + REASSEMBLY_TIMEOUT + Duration::from_millis(1);
        let pending = handle(&mut table, 1, &second, late);

        assert!(matches!(pending, Reassembled::Pending { .. }));
    }

    #[test]
    fn memory_stays_under_its_bound_under_attack() {
        let mut table = ReassemblyTable::default();
        let now = start();
        for sender in 0..1000 {
            for sequence in 0..200 {
                let [first, _] = fragments(&[0; MAX_FRAME_LEN], sequence);
                handle(&mut table, sender, &first, now);
            }
        }

        let bound = MAX_SENDERS * SLOTS_PER_SENDER * first_half_len(MAX_FRAME_LEN);
        assert_eq!(table.waiting_bytes(), bound, "the attack filled the table");
        assert_eq!(table.memory(), bound);

        // Joining everything and filling it again with fragments of every size takes no more.
        for sender in 0..1000 {
            for sequence in 136..400 {
                let [first, second] = fragments(&[0; MAX_FRAME_LEN], sequence);
                for payload in [&second, &first, &second] {
                    handle(&mut table, sender, payload, now);
                }
            }
        }
        assert_eq!(table.memory(), bound);
    }
}
