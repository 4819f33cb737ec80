//! Carrying a message's checksum over a change of the message.

use crate::checksum::{self, ChecksumState, Sum};

/// Runs `change` over `message` and brings the checksum at `field` along.
///
/// `message` starts at the transport header, and its length does not change.
pub(super) fn keep<E>(
    message: &mut [u8],
    field: usize,
    state: ChecksumState,
    change: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let before = sum(message);
    change(message)?;
    let after = sum(message);

    let place = message
        .get_mut(field..)
        .and_then(<[u8]>::first_chunk_mut::<2>);
    if let (ChecksumState::Complete, Some(place)) = (state, place) {
        let old = u16::from_be_bytes(*place);
        // 0 means that there is none (RFC 768).
        if old != 0 && before != after {
            *place = checksum::udp(checksum::update(old, before, after)).to_be_bytes();
        }
    }

    Ok(())
}

/// The ones' complement sum of `bytes`.
fn sum(bytes: &[u8]) -> u16 {
    Sum::ZERO.bytes(bytes).fold()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_message_still_sums_to_ones() {
        let mut message = *b"\x12\x34\x00\x00\xab\xcd\xef\x01\x02";
        let checksum = !sum(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(sum(&message), 0xffff);

        keep(&mut message, 2, ChecksumState::Complete, |bytes| {
            bytes[4..].fill(0);
            Ok::<_, ()>(())
        })
        .unwrap();

        assert_eq!(sum(&message), 0xffff);
    }

    #[test]
    fn no_checksum_and_a_partial_one_stay() {
        for (field, state) in [
            ([0, 0], ChecksumState::Complete),
            ([7, 7], ChecksumState::Partial),
        ] {
            let mut message = [1, 2, field[0], field[1], 5, 6];
            keep(&mut message, 2, state, |bytes| {
                bytes[4] = 9;
                Ok::<_, ()>(())
            })
            .unwrap();

            assert_eq!(message[2..4], field);
        }
    }
}
