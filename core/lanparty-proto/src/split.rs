//! Full-frame mode: a frame over the budget as two datagrams, and back (`docs/protocol.md`, clause 6).
//!
//! A part header stands between the overlay header and half a frame:
//!
//! ```text
//!  0                           4             6
//!  +---------------------------+-------------+----------
//!  | sequence                  |S| total     | half
//!  +---------------------------+-------------+----------
//! ```
//!
//! `total` (15 bits) is the length of the whole frame, `S` is 1 in the second half. The first half has `ceil(total / 2)` bytes and
//! the second the rest, so halves cannot overlap or leave a gap: a half of another length is refused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::PeerId;
use crate::ethernet::{HEADER_LEN, MAX_UNTAGGED_LEN, TAG_LEN};

/// Bytes of the part header.
pub const PART_HEADER_LEN: usize = 6;

/// The longest frame that may be split: full size with two VLAN tags.
pub const MAX_FRAME_LEN: usize = MAX_UNTAGGED_LEN + 2 * TAG_LEN;

/// How long a half waits for the other. Halves leave back to back, so what is later than a long queue is lost.
pub const HALF_LIFETIME: Duration = Duration::from_millis(200);

/// How many halves of one sender wait at a time. A power of two, so that sequence numbers map to slots.
///
/// Halves leave together; what waits is what the network lost or reordered. At 40,000 split frames a second and 1 % loss
/// that is 80 in 200 ms, half of which are first halves that may wait at all.
pub const SLOTS_PER_SENDER: usize = 64;

/// How many senders can have halves waiting. With [`SLOTS_PER_SENDER`] and half a frame each this bounds the table to 6.3 MiB.
pub const MAX_SENDERS: usize = 128;

/// Returns the length of the first half of a frame of `total` bytes.
pub const fn first_half_len(total: usize) -> usize {
    total.div_ceil(2)
}

/// Writes the part header of one half of a frame of `total` bytes, which is at most [`MAX_FRAME_LEN`].
pub const fn part_header(sequence: u32, total: u16, second: bool) -> [u8; PART_HEADER_LEN] {
    let [s0, s1, s2, s3] = sequence.to_be_bytes();
    let [t0, t1] = (total | if second { 0x8000 } else { 0 }).to_be_bytes();

    [s0, s1, s2, s3, t0, t1]
}

/// Half a frame whose part header has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    sequence: u32,
    total: u16,
    second: bool,
    half: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads the payload of an overlay datagram with [`FLAG_PART`](crate::overlay::FLAG_PART).
    ///
    /// Returns `None` if the length of the half is not what the total says, or the total is no frame's.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (&[s0, s1, s2, s3, t0, t1], half) = payload.split_first_chunk::<PART_HEADER_LEN>()?;
        let field = u16::from_be_bytes([t0, t1]);
        let (second, total) = (field & 0x8000 != 0, field & 0x7fff);
        let whole = usize::from(total);
        let first_len = first_half_len(whole);
        let expected = if second { whole - first_len } else { first_len };
        if !(HEADER_LEN..=MAX_FRAME_LEN).contains(&whole) || half.len() != expected {
            return None;
        }

        Some(Self {
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            total,
            second,
            half,
        })
    }

    /// Returns the number that both halves of a frame share.
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Returns whether this is the first half, which carries the Ethernet header.
    pub const fn is_first(&self) -> bool {
        !self.second
    }

    /// Returns the bytes of this half.
    pub const fn half(&self) -> &'a [u8] {
        self.half
    }

    /// Returns the length of the whole frame.
    pub fn total(&self) -> usize {
        usize::from(self.total)
    }
}

/// One half that waits for the other.
#[derive(Debug, Clone)]
struct Waiting {
    sequence: u32,
    total: u16,
    second: bool,
    since: Instant,
    half: Vec<u8>,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<'a> {
    /// Both halves are there: this is the frame.
    Frame(&'a [u8]),
    /// The other half is not there yet; `lost` tells whether an older half was given up for this one.
    Waiting {
        /// Whether a half that waited in the same place is lost.
        lost: bool,
    },
    /// The table holds as many senders as it may.
    TooManySenders,
}

/// Halves that wait for each other, by sender.
///
/// Bounded in count ([`SLOTS_PER_SENDER`], [`MAX_SENDERS`]), in bytes (half a frame each) and in time ([`HALF_LIFETIME`]). A sender
/// can only displace its own halves.
#[derive(Debug, Default)]
pub struct Reassembly {
    senders: BTreeMap<PeerId, Vec<Option<Waiting>>>,
    frame: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Reassembly {
    /// Takes one half from `source` and gives the frame if it was the last one missing.
    pub fn handle_part(&mut self, source: PeerId, part: &Part<'_>, now: Instant) -> Joined<'_> {
        if !self.senders.contains_key(&source) && self.senders.len() >= MAX_SENDERS {
            return Joined::TooManySenders;
        }

        let slots = self
            .senders
            .entry(source)
            .or_insert_with(|| vec![None; SLOTS_PER_SENDER]);
        let index = usize::try_from(part.sequence).unwrap_or(0) % SLOTS_PER_SENDER;
        let Some(slot) = slots.get_mut(index) else {
            return Joined::TooManySenders;
        };

        let older = slot.take();
        if let Some(waiting) = older.as_ref().filter(|w| w.completes(part, now)) {
            self.frame.clear();
            let (first, second) = if part.second {
                (waiting.half.as_slice(), part.half)
            } else {
                (part.half, waiting.half.as_slice())
            };
            self.frame.extend_from_slice(first);
            self.frame.extend_from_slice(second);
            self.spare.extend(older.map(|w| w.half));

            return Joined::Frame(&self.frame);
        }

        let lost = older.as_ref().is_some_and(|w| w.sequence != part.sequence);
        let mut half = older.map_or_else(|| take_spare(&mut self.spare), |w| w.half);
        half.clear();
        half.extend_from_slice(part.half);
        *slot = Some(Waiting {
            sequence: part.sequence,
            total: part.total,
            second: part.second,
            since: now,
            half,
        });

        Joined::Waiting { lost }
    }

    /// Returns the bytes of memory that halves hold: those that wait, and what is kept for the next.
    pub fn memory(&self) -> usize {
        let waiting = self.senders.values().flatten().flatten();
        let halves = waiting.map(|waiting| &waiting.half).chain(&self.spare);

        halves.map(Vec::capacity).sum()
    }

    /// Forgets what waits from a member that left.
    pub fn remove_sender(&mut self, source: PeerId) {
        self.senders.remove(&source);
    }

    /// Returns how many bytes of halves are waiting.
    pub fn waiting_bytes(&self) -> usize {
        self.senders
            .values()
            .flatten()
            .flatten()
            .map(|waiting| waiting.half.len())
            .sum()
    }
}

/// Returns memory for one half: what a joined frame left, or new. So there is never more than once waited at a time.
fn take_spare(spare: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let longest = first_half_len(MAX_FRAME_LEN);

    spare.pop().unwrap_or_else(|| Vec::with_capacity(longest))
}

impl Waiting {
    fn completes(&self, part: &Part<'_>, now: Instant) -> bool {
        self.sequence == part.sequence
            && self.total == part.total
            && self.second != part.second
            && now.saturating_duration_since(self.since) <= HALF_LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    /// The two payloads that carry `frame`.
    fn halves(frame: &[u8], sequence: u32) -> [Vec<u8>; 2] {
        let total = u16::try_from(frame.len()).unwrap();
        let (first, second) = frame.split_at(first_half_len(frame.len()));

        [
            [&part_header(sequence, total, false)[..], first].concat(),
            [&part_header(sequence, total, true)[..], second].concat(),
        ]
    }

    #[test]
    fn golden_bytes_of_a_part_header() {
        assert_eq!(
            part_header(0x0102_0304, 1514, false),
            [1, 2, 3, 4, 0x05, 0xea]
        );
        assert_eq!(
            part_header(0x0102_0304, 1514, true),
            [1, 2, 3, 4, 0x85, 0xea]
        );
    }

    #[test]
    fn joins_halves_in_either_order() {
        let frame: Vec<u8> = (0..=255).cycle().take(1513).collect();
        let [first, second] = halves(&frame, 5);
        let mut table = Reassembly::default();

        for order in [[&first, &second], [&second, &first]] {
            let waiting = table.handle_part(PeerId(1), &Part::parse(order[0]).unwrap(), start());
            assert_eq!(waiting, Joined::Waiting { lost: false });
            let joined = table.handle_part(PeerId(1), &Part::parse(order[1]).unwrap(), start());
            assert_eq!(joined, Joined::Frame(&frame));
        }
        assert_eq!(table.waiting_bytes(), 0);
    }

    #[test]
    fn a_half_that_comes_twice_is_no_frame_and_the_last_one_counts() {
        let mut table = Reassembly::default();
        let [first, second] = halves(&[1; 1500], 5);
        let [forged, _] = halves(&[2; 1500], 5);
        let now = start();

        for half in [&first, &first, &forged, &first] {
            let joined = table.handle_part(PeerId(1), &Part::parse(half).unwrap(), now);
            assert_eq!(joined, Joined::Waiting { lost: false });
        }
        let joined = table.handle_part(PeerId(1), &Part::parse(&second).unwrap(), now);
        assert_eq!(joined, Joined::Frame(&[1; 1500]));
    }

    #[test]
    fn never_mixes_senders_sequences_or_totals() {
        let mut table = Reassembly::default();
        let [first, _] = halves(&[1; 1500], 5);
        let [_, other_sequence] = halves(&[2; 1500], 6);
        let [_, other_total] = halves(&[3; 1502], 5);
        let now = start();

        table.handle_part(PeerId(1), &Part::parse(&first).unwrap(), now);
        let [_, second] = halves(&[1; 1500], 5);
        for (source, payload) in [(2, &second), (1, &other_sequence), (1, &other_total)] {
            let joined = table.handle_part(PeerId(source), &Part::parse(payload).unwrap(), now);
            assert!(matches!(joined, Joined::Waiting { .. }));
        }
    }

    #[test]
    fn a_half_that_is_too_old_is_lost() {
        let mut table = Reassembly::default();
        let [first, second] = halves(&[1; 1500], 5);
        let now = start();

        table.handle_part(PeerId(1), &Part::parse(&first).unwrap(), now);
        let late = now + HALF_LIFETIME + Duration::from_millis(1);
        let joined = table.handle_part(PeerId(1), &Part::parse(&second).unwrap(), late);

        assert!(matches!(joined, Joined::Waiting { .. }));
    }

    #[test]
    fn refuses_halves_whose_length_is_not_what_the_total_says() {
        let [first, _] = halves(&[1; 1500], 5);

        assert!(Part::parse(&first[..first.len() - 1]).is_none());
        assert!(Part::parse(&part_header(0, 13, false)).is_none());
        assert!(Part::parse(&[0; 5]).is_none());
        let giant = [&part_header(0, 0x7fff, false)[..], &[0; 16_384]].concat();
        assert!(Part::parse(&giant).is_none());
    }

    #[test]
    fn memory_stays_under_its_bound_under_attack() {
        let mut table = Reassembly::default();
        let now = start();
        for sender in 0..1000 {
            for sequence in 0..200 {
                let [first, _] = halves(&[0; MAX_FRAME_LEN], sequence);
                table.handle_part(PeerId(sender), &Part::parse(&first).unwrap(), now);
            }
        }

        let bound = MAX_SENDERS * SLOTS_PER_SENDER * first_half_len(MAX_FRAME_LEN);
        assert_eq!(table.waiting_bytes(), bound, "the attack filled the table");
        assert_eq!(table.memory(), bound);

        // Joining everything and filling it again with halves of every size takes no more.
        for sender in 0..1000 {
            for sequence in 136..400 {
                let [first, second] = halves(&[0; MAX_FRAME_LEN], sequence);
                for half in [&second, &first, &second] {
                    table.handle_part(PeerId(sender), &Part::parse(half).unwrap(), now);
                }
            }
        }
        assert_eq!(table.memory(), bound);
    }
}
