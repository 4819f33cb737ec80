//! Overlay fragments: a frame over the budget as two datagrams (full-frame mode, `docs/protocol.md`,
//! clause 6), and back.
//!
//! A fragment header stands between the overlay header and half a frame. The protocol calls a
//! fragment a part:
//!
//! ```text
//!  0                           4             6
//!  +---------------------------+-------------+----------
//!  | sequence                  |S| total     | half
//!  +---------------------------+-------------+----------
//! ```
//!
//! `total` (15 bits) is the length of the whole frame, `S` is 1 in the second fragment. The first
//! has `ceil(total / 2)` bytes of the frame and the second the rest, so fragments cannot overlap or
//! leave a gap: a fragment of another length is refused.
//!
//! [`write()`] makes fragments, at members and at the relay alike. A [`Reassembler`] joins those of
//! one sender, a [`ReassemblyTable`] those of many.

mod reassembly;

pub use reassembly::{
    MAX_SENDERS, Progress, REASSEMBLY_TIMEOUT, Reassembled, Reassembler, ReassemblyTable,
    SLOTS_PER_SENDER,
};

use crate::ethernet::{HEADER_LEN, MAX_UNTAGGED_LEN, TAG_LEN};
use crate::{PeerId, RoomId, overlay};

/// Bytes of the fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 6;

/// Bytes of a datagram in front of the half of a frame that it carries.
pub const OVERHEAD: usize = overlay::HEADER_LEN + FRAGMENT_HEADER_LEN;

/// The longest frame that may be fragmented: full size with two VLAN tags.
pub const MAX_FRAME_LEN: usize = MAX_UNTAGGED_LEN + 2 * TAG_LEN;

/// The bit of a sequence number that says that the relay made the fragments.
///
/// Members leave it zero, so the relay's numbers and theirs cannot meet at the receiver.
pub const RELAY_SEQUENCE: u32 = 0x8000_0000;

/// The bit of the field `total` that marks the second fragment.
const SECOND: u16 = 0x8000;

/// Returns how many bytes of a frame of `total` bytes the first fragment carries.
pub const fn first_half_len(total: usize) -> usize {
    total.div_ceil(2)
}

/// Returns the length of the longer of both datagrams for a frame of `total` bytes.
pub const fn datagram_len(total: usize) -> usize {
    OVERHEAD + first_half_len(total)
}

/// Returns the length of both datagrams together for a frame of `total` bytes.
pub const fn datagrams_len(total: usize) -> usize {
    2 * OVERHEAD + total
}

/// Returns the header of one fragment of a frame of `total` bytes, which is at most
/// [`MAX_FRAME_LEN`].
pub const fn fragment_header(
    sequence: u32,
    total: u16,
    is_second: bool,
) -> [u8; FRAGMENT_HEADER_LEN] {
    let [s0, s1, s2, s3] = sequence.to_be_bytes();
    let [t0, t1] = (total | if is_second { SECOND } else { 0 }).to_be_bytes();

    [s0, s1, s2, s3, t0, t1]
}

/// Writes both datagrams of a frame of `total` bytes into `buffer`, which has
/// [`datagrams_len`] bytes: the second stands behind the first, which has [`datagram_len`] bytes.
///
/// `frame` writes the frame into the bytes that it gets. A buffer of another length is left as it
/// is.
///
/// ```
/// use lanparty_proto::{PeerId, RoomId, fragment, overlay::Overlay};
///
/// let frame = [7; 1400];
/// let mut buffer = [0; fragment::datagrams_len(1400)];
/// let copy = |place: &mut [u8]| place.copy_from_slice(&frame);
/// fragment::write((RoomId(1), PeerId(2)), 5, 1400, &mut buffer, copy);
///
/// let (first, second) = buffer.split_at(fragment::datagram_len(1400));
/// for (datagram, is_first) in [(first, true), (second, false)] {
///     let overlay = Overlay::parse(datagram, true).unwrap();
///     let fragment = fragment::Fragment::parse(overlay.payload).unwrap();
///     assert_eq!(fragment.is_first(), is_first);
///     assert_eq!(fragment.half(), [7; 700]);
/// }
/// ```
pub fn write(
    (room, source): (RoomId, PeerId),
    sequence: u32,
    total: u16,
    buffer: &mut [u8],
    frame: impl FnOnce(&mut [u8]),
) {
    let len = usize::from(total);
    if buffer.len() != datagrams_len(len) {
        return;
    }
    // The whole frame goes behind the first header; then its second half moves on.
    if let Some(place) = buffer.get_mut(OVERHEAD..OVERHEAD + len) {
        frame(place);
    }
    let middle = datagram_len(len);
    buffer.copy_within(middle..OVERHEAD + len, middle + OVERHEAD);

    let first = first_half_len(len);
    for (is_second, half, at) in [(false, first, 0), (true, len - first, middle)] {
        let length = u16::try_from(FRAGMENT_HEADER_LEN + half).unwrap_or(u16::MAX);
        let header = overlay::header(room, source, true, length);
        let fragment = fragment_header(sequence, total, is_second);
        let place = (buffer.get_mut(at..)).and_then(|rest| rest.first_chunk_mut::<OVERHEAD>());
        if let Some(place) = place {
            let (overlay, own) = place.split_at_mut(overlay::HEADER_LEN);
            overlay.copy_from_slice(&header);
            own.copy_from_slice(&fragment);
        }
    }
}

/// A fragment whose header has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    sequence: u32,
    total: u16,
    is_first: bool,
    half: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads the payload of an overlay datagram with [`FLAG_PART`](crate::overlay::FLAG_PART).
    ///
    /// Returns `None` if the half is not as long as the total says, or if no frame has that total.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (&[s0, s1, s2, s3, t0, t1], half) =
            payload.split_first_chunk::<FRAGMENT_HEADER_LEN>()?;
        let field = u16::from_be_bytes([t0, t1]);
        let (is_first, total) = (field & SECOND == 0, field & !SECOND);
        let whole = usize::from(total);
        let first_len = first_half_len(whole);
        let expected = if is_first {
            first_len
        } else {
            whole - first_len
        };
        if !(HEADER_LEN..=MAX_FRAME_LEN).contains(&whole) || half.len() != expected {
            return None;
        }

        Some(Self {
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            total,
            is_first,
            half,
        })
    }

    /// Returns the number that both fragments of a frame share.
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Returns whether this is the first fragment, which carries the Ethernet header.
    pub const fn is_first(&self) -> bool {
        self.is_first
    }

    /// Returns the bytes of the frame that this fragment carries.
    pub const fn half(&self) -> &'a [u8] {
        self.half
    }

    /// Returns the length of the whole frame.
    pub fn total(&self) -> usize {
        usize::from(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_fragment_header() {
        assert_eq!(
            fragment_header(0x0102_0304, 1514, false),
            [1, 2, 3, 4, 0x05, 0xea]
        );
        assert_eq!(
            fragment_header(0x0102_0304, 1514, true),
            [1, 2, 3, 4, 0x85, 0xea]
        );
    }

    #[test]
    fn refuses_fragments_whose_length_is_not_what_the_total_says() {
        let first = [&fragment_header(5, 1500, false)[..], &[1; 750]].concat();
        assert!(Fragment::parse(&first).is_some());

        assert!(Fragment::parse(&first[..first.len() - 1]).is_none());
        assert!(Fragment::parse(&fragment_header(0, 13, false)).is_none());
        assert!(Fragment::parse(&[0; 5]).is_none());
        let giant = [&fragment_header(0, 0x7fff, false)[..], &[0; 16_384]].concat();
        assert!(Fragment::parse(&giant).is_none());
    }

    #[test]
    fn golden_bytes_of_both_datagrams_and_a_wrong_buffer_is_left_alone() {
        let copy = |place: &mut [u8]| place.copy_from_slice(&[9; 15]);
        let mut buffer = [0; datagrams_len(15)];
        write((RoomId(7), PeerId(2)), 5, 15, &mut buffer, copy);

        let (first, second) = buffer.split_at(datagram_len(15));
        let header = |len| overlay::header(RoomId(7), PeerId(2), true, len);
        let expected = [&header(14)[..], &[0, 0, 0, 5, 0, 15], &[9; 8]].concat();
        assert_eq!(first, expected);
        let expected = [&header(13)[..], &[0, 0, 0, 5, 0x80, 15], &[9; 7]].concat();
        assert_eq!(second, expected);

        let mut short = [0; datagrams_len(15) - 1];
        write((RoomId(7), PeerId(2)), 5, 15, &mut short, copy);
        assert!(short.iter().all(|byte| *byte == 0));
    }
}
