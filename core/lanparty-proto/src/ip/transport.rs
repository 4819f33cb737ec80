//! The view of TCP and UDP headers (RFC 9293, RFC 768).

use crate::read::{be16, byte};

/// Bytes of a UDP header (RFC 768).
pub const UDP_HEADER_LEN: usize = 8;

/// Bytes of a TCP header without options (RFC 9293, 3.1).
pub const TCP_HEADER_LEN: usize = 20;

/// The flag of a TCP segment that opens a connection (RFC 9293, 3.1).
pub const SYN: u8 = 0x02;

/// Returns source and destination port of a TCP or UDP header.
#[inline]
pub fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
    Some((be16(bytes, 0)?, be16(bytes, 2)?))
}

/// Returns the destination port of a TCP or UDP header.
#[inline]
pub fn destination(bytes: &[u8]) -> Option<u16> {
    be16(bytes, 2)
}

/// Returns the bytes of a TCP header with its options, if the header is all there.
#[inline]
pub fn tcp_header_len(bytes: &[u8]) -> Option<usize> {
    let len = usize::from(byte(bytes, 12)? >> 4) << 2;

    (len >= TCP_HEADER_LEN && len <= bytes.len()).then_some(len)
}

/// Returns whether a TCP header, of which the flags have to be there, opens a connection.
#[inline]
pub fn is_syn(bytes: &[u8]) -> bool {
    byte(bytes, 13).is_some_and(|flags| flags & SYN != 0)
}

/// Returns as many bytes as a UDP header says, if they are there.
#[inline]
pub fn datagram(bytes: &[u8]) -> Option<&[u8]> {
    let [.., l0, l1, _, _] = *bytes.first_chunk::<UDP_HEADER_LEN>()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));

    bytes.get(..len).filter(|_| len >= UDP_HEADER_LEN)
}
