//! The Internet's checksum.

/// The ones' complement sum of 16-bit words (RFC 1071), without the final complement: all ones over what has a right checksum in it.
pub fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);

        sum + u16::from(carry)
    })
}
