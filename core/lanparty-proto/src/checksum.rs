//! The Internet checksum (RFC 1071), whole and incremental (RFC 1624).
//!
//! [`of`] and [`Sum`] compute it, [`update`] carries it over a change. Nothing else in the
//! workspace adds up words, except the naive sum that tests compare with.
//!
//! ```
//! use lanparty_proto::checksum;
//!
//! // An IPv4 header whose checksum field holds its checksum sums to 0.
//! let mut header = *b"\x45\x00\x00\x14\x00\x00\x40\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02";
//! let sum = checksum::of(&header);
//! header[10..12].copy_from_slice(&sum.to_be_bytes());
//! assert_eq!(checksum::of(&header), 0);
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

/// What stands in a frame's transport checksum field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumState {
    /// The checksum itself, as on a wire.
    Complete,
    /// The sum of the pseudo-header only: the kernel left the rest to hardware
    /// (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
    Partial,
}

/// A ones'-complement sum that is being built.
///
/// The sum is kept in this machine's byte order: ones'-complement addition does not care (RFC 1071, 2(B)), so words are
/// added as they lie in memory and swapped once at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The empty sum.
    pub const ZERO: Self = Self(0);

    /// Adds bytes that begin at an even offset of what is summed; an odd last byte is padded with zero.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        Self(add_carry(self.0, sum_words(bytes)))
    }

    /// Adds a 16-bit number as it stands in a header.
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        Self(add_carry(self.0, u64::from(word.to_be())))
    }

    /// Adds the pseudo-header of IPv4 (RFC 9293, 3.1).
    #[must_use]
    pub fn pseudo_v4(
        self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        len: u16,
    ) -> Self {
        self.bytes(&source.octets())
            .bytes(&destination.octets())
            .word(u16::from(protocol))
            .word(len)
    }

    /// Adds the pseudo-header of IPv6 (RFC 8200, 8.1).
    #[must_use]
    pub fn pseudo_v6(
        self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        protocol: u8,
        len: u32,
    ) -> Self {
        let [a, b, c, d] = len.to_be_bytes();

        self.bytes(&source.octets())
            .bytes(&destination.octets())
            .word(u16::from_be_bytes([a, b]))
            .word(u16::from_be_bytes([c, d]))
            .word(u16::from(protocol))
    }

    /// Folds to 16 bits without the complement: what a partial checksum field holds.
    pub fn fold(self) -> u16 {
        let mut sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);

        u16::from_be((sum & 0xffff) as u16)
    }

    /// Returns the checksum: the folded sum's complement.
    pub fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// Returns the checksum of `bytes`.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::ZERO.bytes(bytes).checksum()
}

/// Returns the checksum after a 16-bit word at an even offset changed from `old` to `new`, or
/// after the sum of a part did (RFC 1624, equation 3).
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    Sum::ZERO.word(!checksum).word(!old).word(new).checksum()
}

/// UDP has no checksum 0: it would mean "none" (RFC 768).
pub const fn udp(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

fn add_carry(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);

    sum.wrapping_add(u64::from(carry))
}

/// Sums in 32-bit words: eight sums of 64 bits cannot overflow below 2^34 bytes, so no carry is
/// looked at inside the loop, which the compiler turns into vector additions.
fn sum_words(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut sums = [0_u64; 8];
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
        }
    }

    let (words, tail) = rest.as_chunks::<4>();
    let mut sum: u64 = sums.iter().sum();
    for word in words {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
    }
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(tail) {
        *place = *byte;
    }

    sum.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071, 4.1, to the letter.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum: u32 = 0;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum >> 16) + (sum & 0xffff);
        }

        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn agrees_with_the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];

        assert_eq!(Sum::ZERO.bytes(&bytes).fold(), 0xddf2);
    }

    #[test]
    fn a_checksum_of_zero_is_not_sent_with_udp() {
        assert_eq!(udp(0), 0xffff);
        assert_eq!(udp(7), 7);
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_sum(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(of(&bytes), naive(&bytes));
        }

        #[test]
        fn parts_at_even_offsets_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..150) {
            let (head, tail) = bytes.split_at((cut * 2).min(bytes.len() & !1));

            prop_assert_eq!(Sum::ZERO.bytes(head).bytes(tail).checksum(), naive(&bytes));
        }

        #[test]
        fn an_update_gives_what_a_new_sum_gives(mut bytes in proptest::collection::vec(any::<u8>(), 40), at in 0_usize..20, new: u16) {
            bytes[0] = 1; // all zeros is the one input with two representations of its sum
            let at = 2 + at % 19 * 2;
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            let before = of(&bytes);
            bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());

            prop_assert_eq!(update(before, old, new), of(&bytes));
        }
    }
}
