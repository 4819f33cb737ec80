//! The control stream: framing and messages.

use lanparty_ctrl::{Decoder, Message, encode};

/// The limit before a member is admitted is smaller; this one lets more of the parser be seen.
const LIMIT: usize = 64 * 1024;

/// Reads any bytes as a control stream, once whole and once in pieces.
///
/// The first byte says how long the pieces are.
///
/// # Panics
///
/// Panics if pieces give other messages than the whole, or if a message that was read is not written and read the same.
pub fn control(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else {
        return;
    };
    let whole = read([stream]);
    let pieces = read(stream.chunks(usize::from(piece).max(1)));
    assert_eq!(whole, pieces);

    for message in whole {
        let again = read([encode(&message).as_slice()]);
        assert_eq!(again, [message]);
    }
}

/// Returns the messages before the stream's end or first error.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Message> {
    let mut decoder = Decoder::new(LIMIT);
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.poll_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }

    messages
}
