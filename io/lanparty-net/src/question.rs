//! What is sent to find out whether large packets arrive.
//!
//! A packet that counts as lost may be late. If its frame were sent again, a receiver would have it twice. So the question is as large
//! as what was lost and says nothing: a frame from a station to itself, which every receiver drops.

use lanparty_proto::EtherType;
use lanparty_proto::overlay::{HEADER_LEN, Overlay};

/// Bytes of a MAC.
const MAC_LEN: usize = 6;

/// Makes a question of `datagram`, which was lost.
///
/// A fragment stays what it is: fragments are joined once, and one that comes again finds no other.
pub(crate) fn of(datagram: &[u8]) -> Vec<u8> {
    let mut question = datagram.to_vec();
    let is_whole = Overlay::parse(datagram, false).is_ok();
    let frame = question.get_mut(HEADER_LEN..).filter(|_| is_whole);
    if let Some((destination, rest)) = frame.and_then(<[u8]>::split_first_chunk_mut::<MAC_LEN>)
        && let Some((source, rest)) = rest.split_first_chunk_mut::<MAC_LEN>()
    {
        *destination = *source;
        rest.fill(0);
        if let Some(kind) = rest.first_chunk_mut() {
            *kind = EtherType::LOCAL_EXPERIMENTAL.0.to_be_bytes();
        }
    }

    question
}

#[cfg(test)]
mod tests {
    use lanparty_proto::{PeerId, RoomId, overlay};

    use super::*;

    fn datagram(is_part: bool) -> Vec<u8> {
        let header = overlay::header(RoomId(7), PeerId(2), is_part, 1400);
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 0], &[0x45; 1386]].concat();

        [&header[..], &frame].concat()
    }

    #[test]
    fn a_question_is_as_large_as_what_was_lost_and_is_for_nobody() {
        let lost = datagram(false);
        let question = of(&lost);

        assert_eq!(question.len(), lost.len());
        assert_eq!(question[..HEADER_LEN], lost[..HEADER_LEN]);
        let frame = &question[HEADER_LEN..];
        assert_eq!(frame[..6], frame[6..12]);
        assert_eq!(frame[6..14], [2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
        assert!(frame[14..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn half_a_frame_is_asked_for_again() {
        let fragment = datagram(true);

        assert_eq!(of(&fragment), fragment);
    }
}
