//! Keeping the Internet checksum right over a change (RFC 1071, RFC 1624).

/// What stands in a frame's transport checksum field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The checksum itself, as on a wire.
    Complete,
    /// The sum of the pseudo-header only: the kernel left the rest to hardware (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
    Partial,
}

/// Runs `change` over `message` and brings the checksum at `field` along.
///
/// `message` starts at the transport header, and its length does not change.
pub(super) fn keep<E>(
    message: &mut [u8],
    field: usize,
    checksum: Checksum,
    change: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let before = sum(message);
    change(message)?;
    let after = sum(message);

    let place = message
        .get_mut(field..)
        .and_then(<[u8]>::first_chunk_mut::<2>);
    if let (Checksum::Complete, Some(place)) = (checksum, place) {
        let old = u16::from_be_bytes(*place);
        // 0 means that there is none (RFC 768).
        if old != 0 && before != after {
            *place = nonzero(update(old, before, after)).to_be_bytes();
        }
    }

    Ok(())
}

/// The new checksum after a sum went from `before` to `after` (RFC 1624, equation 3).
fn update(old: u16, before: u16, after: u16) -> u16 {
    !fold(u64::from(!old) + u64::from(!before) + u64::from(after))
}

/// 0 and 0xffff are the same number in ones' complement, but in UDP 0 says that there is no checksum.
const fn nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// The ones' complement sum of big-endian words, the last one filled up with a zero byte.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    });

    fold(words.sum())
}

fn fold(mut sum: u64) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(sum) => return sum,
            Err(_) => sum = (sum & 0xffff) + (sum >> 16),
        }
    }
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

        keep(&mut message, 2, Checksum::Complete, |bytes| {
            bytes[4..].fill(0);
            Ok::<_, ()>(())
        })
        .unwrap();

        assert_eq!(sum(&message), 0xffff);
    }

    #[test]
    fn no_checksum_and_a_partial_one_stay() {
        for (field, state) in [([0, 0], Checksum::Complete), ([7, 7], Checksum::Partial)] {
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
