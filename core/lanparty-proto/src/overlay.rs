//! The header in front of every frame in a QUIC DATAGRAM (`docs/protocol.md`, clause 2).
//!
//! ```text
//!  0      1      2             4                           8             10            12
//!  +------+------+-------------+---------------------------+-------------+-------------+----------
//!  | ver  | kind | flags       | room id                   | source peer | length      | payload
//!  +------+------+-------------+---------------------------+-------------+-------------+----------
//! ```
//!
//! Numbers are big-endian. `length` counts everything behind the header.

use crate::ethernet;
use crate::fragment::FRAGMENT_HEADER_LEN;

/// The version of the overlay that this crate speaks.
pub const VERSION: u8 = 1;

/// Bytes of the header.
pub const HEADER_LEN: usize = 12;

/// The kind of a datagram that carries a frame or a part of one.
pub const KIND_ETHERNET: u8 = 1;

/// The flag of a datagram that carries half a frame; full-frame mode only.
pub const FLAG_PART: u16 = 0x0001;

/// A room on one relay, as datagrams name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub u32);

/// A member of a room, as datagrams name it; zero is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u16);

impl std::fmt::Display for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An overlay datagram whose header has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay<'a> {
    /// The room that the datagram says it belongs to.
    pub room: RoomId,
    /// The member that the datagram says it comes from.
    pub source: PeerId,
    /// Whether the payload is half a frame behind a part header.
    pub is_part: bool,
    /// What follows the header: a whole frame, or a part header and half a frame.
    pub payload: &'a [u8],
}

impl<'a> Overlay<'a> {
    /// Reads the header of `datagram`; `parts` tells whether full-frame mode was negotiated.
    ///
    /// # Errors
    ///
    /// Returns an error for everything that clause 2.3 refuses.
    pub const fn parse(datagram: &'a [u8], parts: bool) -> Result<Self, OverlayError> {
        let Some((header, payload)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(OverlayError::TruncatedHeader);
        };
        let [version, kind, f0, f1, r0, r1, r2, r3, p0, p1, l0, l1] = *header;
        if version != VERSION {
            return Err(OverlayError::UnknownVersion(version));
        }
        if kind != KIND_ETHERNET {
            return Err(OverlayError::UnknownKind(kind));
        }

        let flags = u16::from_be_bytes([f0, f1]);
        let allowed = if parts { FLAG_PART } else { 0 };
        if flags & !allowed != 0 {
            return Err(OverlayError::ReservedFlags(flags));
        }
        if u16::from_be_bytes([l0, l1]) as usize != payload.len() {
            return Err(OverlayError::LengthMismatch);
        }

        let is_part = flags & FLAG_PART != 0;
        let least = if is_part {
            FRAGMENT_HEADER_LEN + 1
        } else {
            ethernet::HEADER_LEN
        };
        if payload.len() < least {
            return Err(OverlayError::TruncatedFrame);
        }

        Ok(Self {
            room: RoomId(u32::from_be_bytes([r0, r1, r2, r3])),
            source: PeerId(u16::from_be_bytes([p0, p1])),
            is_part,
            payload,
        })
    }
}

/// Writes the header of a datagram with `length` bytes behind it.
pub const fn header(room: RoomId, source: PeerId, is_part: bool, length: u16) -> [u8; HEADER_LEN] {
    let [f0, f1] = (if is_part { FLAG_PART } else { 0 }).to_be_bytes();
    let [r0, r1, r2, r3] = room.0.to_be_bytes();
    let [p0, p1] = source.0.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();

    [
        VERSION,
        KIND_ETHERNET,
        f0,
        f1,
        r0,
        r1,
        r2,
        r3,
        p0,
        p1,
        l0,
        l1,
    ]
}

/// Why bytes are no overlay datagram of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// Fewer bytes than a header has.
    #[error("the datagram ends inside its header")]
    TruncatedHeader,
    /// A version that this crate does not speak.
    #[error("unknown overlay version {0}")]
    UnknownVersion(u8),
    /// A kind that version 1 does not have.
    #[error("unknown datagram kind {0}")]
    UnknownKind(u8),
    /// A flag that is reserved, or that was not negotiated.
    #[error("reserved flags 0x{0:04x} are set")]
    ReservedFlags(u16),
    /// The length field disagrees with the datagram.
    #[error("the length field disagrees with the datagram")]
    LengthMismatch,
    /// Less payload than an Ethernet header, or than a part header and one byte.
    #[error("the frame in the datagram is truncated")]
    TruncatedFrame,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clause 2.1: a change here is a change of the wire format and needs a new version.
    #[test]
    fn golden_bytes_of_a_header() {
        let header = header(RoomId(0x0102_0304), PeerId(0x0506), false, 14);

        assert_eq!(header, [1, 1, 0, 0, 1, 2, 3, 4, 5, 6, 0, 14]);
    }

    fn datagram() -> Vec<u8> {
        let mut bytes = header(RoomId(7), PeerId(9), false, 14).to_vec();
        bytes.extend_from_slice(&[0xab; 14]);

        bytes
    }

    #[test]
    fn reads_what_it_writes() {
        let bytes = datagram();
        let overlay = Overlay::parse(&bytes, false).unwrap();

        assert_eq!(overlay.room, RoomId(7));
        assert_eq!(overlay.source, PeerId(9));
        assert_eq!(overlay.payload, [0xab; 14]);
    }

    #[test]
    fn refuses_every_deviation_by_name() {
        let with = |at: usize, value: u8| {
            let mut bytes = datagram();
            bytes[at] = value;
            Overlay::parse(&bytes, false).unwrap_err()
        };

        assert_eq!(
            Overlay::parse(&datagram()[..11], false),
            Err(OverlayError::TruncatedHeader)
        );
        assert_eq!(with(0, 2), OverlayError::UnknownVersion(2));
        assert_eq!(with(1, 0), OverlayError::UnknownKind(0));
        assert_eq!(with(2, 0x80), OverlayError::ReservedFlags(0x8000));
        assert_eq!(with(3, 1), OverlayError::ReservedFlags(1));
        assert_eq!(with(11, 13), OverlayError::LengthMismatch);
        let short = [&header(RoomId(7), PeerId(9), false, 13)[..], &[0; 13]].concat();
        assert_eq!(
            Overlay::parse(&short, false),
            Err(OverlayError::TruncatedFrame)
        );
    }

    #[test]
    fn takes_a_part_only_where_parts_were_negotiated() {
        let bytes = [&header(RoomId(7), PeerId(9), true, 7)[..], &[0; 7]].concat();

        assert_eq!(
            Overlay::parse(&bytes, false),
            Err(OverlayError::ReservedFlags(1))
        );
        assert!(Overlay::parse(&bytes, true).unwrap().is_part);
    }
}
