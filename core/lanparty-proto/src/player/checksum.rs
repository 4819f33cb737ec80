//! Carrying a message's checksum over a change of the message.

use crate::checksum::{self, ChecksumState, Sum};

/// The header whose checksum is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// UDP's: 0 says that there is none (RFC 768).
    Udp,
    /// `ICMPv6`'s: 0 is a checksum like any other (RFC 4443, 2.3).
    Icmpv6,
}

impl Field {
    /// Returns where the checksum stands in the header.
    const fn offset(self) -> usize {
        match self {
            Self::Udp => 6,
            Self::Icmpv6 => 2,
        }
    }
}

/// Runs `change` over `message` and brings the checksum of its header along.
///
/// `message` starts at the transport header, and its length does not change.
pub(super) fn keep<E>(
    message: &mut [u8],
    field: Field,
    state: ChecksumState,
    change: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let before = sum(message);
    change(message)?;
    let after = sum(message);

    let place = message
        .get_mut(field.offset()..)
        .and_then(<[u8]>::first_chunk_mut::<2>);
    if let (ChecksumState::Complete, Some(place)) = (state, place) {
        let old = u16::from_be_bytes(*place);
        if before == after || (field == Field::Udp && old == 0) {
            return Ok(());
        }
        let new = checksum::update(old, before, after);
        let new = match field {
            Field::Udp => checksum::udp(new),
            Field::Icmpv6 => new,
        };
        *place = new.to_be_bytes();
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

        keep(
            &mut message,
            Field::Icmpv6,
            ChecksumState::Complete,
            |bytes| {
                bytes[4..].fill(0);
                Ok::<_, ()>(())
            },
        )
        .unwrap();

        assert_eq!(sum(&message), 0xffff);
    }

    #[test]
    fn a_checksum_of_zero_is_kept_right_where_zero_is_one() {
        let mut message = *b"\xff\xfe\x00\x00\x00\x01";
        assert_eq!(sum(&message), 0xffff);

        keep(
            &mut message,
            Field::Icmpv6,
            ChecksumState::Complete,
            |bytes| {
                bytes[5] = 9;
                Ok::<_, ()>(())
            },
        )
        .unwrap();

        assert_eq!(sum(&message), 0xffff);
    }

    #[test]
    fn no_checksum_and_a_partial_one_stay() {
        for (field, state) in [
            ([0, 0], ChecksumState::Complete),
            ([7, 7], ChecksumState::Partial),
        ] {
            let mut message = [1, 2, 3, 4, 5, 6, field[0], field[1], 8, 9];
            keep(&mut message, Field::Udp, state, |bytes| {
                bytes[8] = 1;
                Ok::<_, ()>(())
            })
            .unwrap();

            assert_eq!(message[6..8], field);
        }
    }
}
