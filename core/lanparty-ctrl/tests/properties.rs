//! What always holds for the control stream, whatever the bytes.

use lanparty_ctrl::{Decoder, LeaveReason, MAX_UNADMITTED, Message, PeerLeft, encode};
use lanparty_proto::PeerId;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_end_in_messages_or_one_error(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let mut decoder = Decoder::new(MAX_UNADMITTED);
        'stream: for piece in pieces {
            decoder.push(&piece);
            loop {
                match decoder.poll_message() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }

    #[test]
    fn pieces_do_not_change_what_is_read(peers in proptest::collection::vec(1_u16.., 1..10), cuts in proptest::collection::vec(1_usize..40, 1..40)) {
        let messages: Vec<Message> = peers
            .into_iter()
            .map(|peer| Message::PeerLeft(PeerLeft { peer: PeerId(peer), reason: LeaveReason::Kicked }))
            .collect();
        let bytes: Vec<u8> = messages.iter().flat_map(encode).collect();
        let mut decoder = Decoder::new(MAX_UNADMITTED);
        let (mut rest, mut read) = (bytes.as_slice(), Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, left) = rest.split_at((*cut).min(rest.len()));
            decoder.push(piece);
            while let Some(message) = decoder.poll_message().unwrap() {
                read.push(message);
            }
            rest = left;
        }

        prop_assert_eq!(read, messages);
    }
}
