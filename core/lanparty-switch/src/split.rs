//! Datagrams that the relay splits for members whose connections carry less than the sender's.

use bytes::{BufMut as _, Bytes, BytesMut};
use lanparty_proto::overlay::{self, Overlay};
use lanparty_proto::split::{PART_HEADER_LEN, first_half_len, part_header};

/// The bit of a part's sequence number that says the relay split the frame (`docs/protocol.md`, clause 6).
///
/// Members leave it zero, so the relay's numbers and theirs cannot meet at the receiver.
pub const RELAY_SEQUENCE: u32 = 0x8000_0000;

/// Returns the length of the longer half-datagram for a datagram of `len` bytes with a whole frame.
pub(crate) const fn half_len(len: usize) -> usize {
    let frame = len.saturating_sub(overlay::HEADER_LEN);

    overlay::HEADER_LEN + PART_HEADER_LEN + first_half_len(frame)
}

/// Makes the two halves of `datagram`, which carries a whole frame.
///
/// Returns `None` if it does not.
pub fn split_datagram(datagram: &[u8], sequence: u32) -> Option<[Bytes; 2]> {
    let whole = Overlay::parse(datagram, false).ok()?;
    let total = u16::try_from(whole.payload.len()).ok()?;
    let (first, second) = whole
        .payload
        .split_at_checked(first_half_len(whole.payload.len()))?;
    let half = |bytes: &[u8], is_second: bool| {
        let length = u16::try_from(PART_HEADER_LEN + bytes.len()).ok()?;
        let mut half = BytesMut::with_capacity(half_len(datagram.len()));
        half.put_slice(&overlay::header(whole.room, whole.source, true, length));
        half.put_slice(&part_header(sequence, total, is_second));
        half.put_slice(bytes);

        Some(half.freeze())
    };

    Some([half(first, false)?, half(second, true)?])
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use lanparty_proto::split::{Joined, Part, Reassembly};
    use lanparty_proto::{PeerId, RoomId};

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn halves_that_the_relay_makes_join_to_the_frame() {
        let frame: Vec<u8> = (0..=255).cycle().take(1401).collect();
        let length = u16::try_from(frame.len()).unwrap();
        let header = overlay::header(RoomId(7), PeerId(9), false, length);
        let datagram = [&header[..], &frame].concat();

        let [first, second] = split_datagram(&datagram, RELAY_SEQUENCE | 5).unwrap();
        let mut table = Reassembly::default();
        let now = Instant::now();
        for (half, is_last) in [(&first, false), (&second, true)] {
            assert!(half.len() <= half_len(datagram.len()));
            let overlay = Overlay::parse(half, true).unwrap();
            assert_eq!((overlay.room, overlay.source), (RoomId(7), PeerId(9)));
            let part = Part::parse(overlay.payload).unwrap();
            let joined = table.handle_part(overlay.source, &part, now);
            assert_eq!(joined == Joined::Frame(&frame), is_last);
        }
    }
}
