//! Datagrams that the relay splits for members whose connections carry less than the sender's.

use bytes::{Bytes, BytesMut};
use lanparty_proto::fragment;
use lanparty_proto::overlay::{self, Overlay};

/// Returns the length of the longer fragment for a datagram of `len` bytes with a whole frame.
pub(crate) const fn half_len(len: usize) -> usize {
    fragment::datagram_len(len.saturating_sub(overlay::HEADER_LEN))
}

/// Makes the two fragments of `datagram`, which carries a whole frame.
///
/// Returns `None` if it does not.
pub fn split_datagram(datagram: &[u8], sequence: u32) -> Option<[Bytes; 2]> {
    let whole = Overlay::parse(datagram, false).ok()?;
    let total = u16::try_from(whole.payload.len()).ok()?;
    let mut both = BytesMut::zeroed(fragment::datagrams_len(whole.payload.len()));
    let copy = |payload: &mut [u8]| payload.copy_from_slice(whole.payload);
    fragment::write((whole.room, whole.source), sequence, total, &mut both, copy);
    let second = both.split_off(fragment::datagram_len(whole.payload.len()));

    Some([both.freeze(), second.freeze()])
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use lanparty_proto::fragment::{Fragment, RELAY_SEQUENCE, Reassembled, ReassemblyTable};
    use lanparty_proto::{PeerId, RoomId};

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn fragments_that_the_relay_makes_join_to_the_frame() {
        let frame: Vec<u8> = (0..=255).cycle().take(1401).collect();
        let length = u16::try_from(frame.len()).unwrap();
        let header = overlay::header(RoomId(7), PeerId(9), false, length);
        let datagram = [&header[..], &frame].concat();

        let [first, second] = split_datagram(&datagram, RELAY_SEQUENCE | 5).unwrap();
        let mut table = ReassemblyTable::default();
        let now = Instant::now();
        for (fragment, is_last) in [(&first, false), (&second, true)] {
            assert!(fragment.len() <= half_len(datagram.len()));
            let overlay = Overlay::parse(fragment, true).unwrap();
            assert_eq!((overlay.room, overlay.source), (RoomId(7), PeerId(9)));
            let fragment = Fragment::parse(overlay.payload).unwrap();
            let joined = table.handle_fragment(overlay.source, &fragment, now);
            assert_eq!(joined == Reassembled::Frame(&frame), is_last);
        }
    }
}
