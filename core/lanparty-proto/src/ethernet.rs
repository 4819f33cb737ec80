//! Ethernet frames (IEEE 802.3-2018 clause 3, IEEE 802.1Q-2018 clause 9).

use crate::MacAddr;

/// Bytes of destination, source and type or length.
pub const HEADER_LEN: usize = 14;

/// Bytes of one VLAN tag.
pub const TAG_LEN: usize = 4;

/// The most VLAN tags that anything here looks behind: one service and one customer tag (IEEE 802.1ad
/// over IEEE 802.1Q). What stands behind a third one is nobody's business, and the policy refuses it.
pub const MAX_TAGS: usize = 2;

/// Bytes of the longest header: addresses, [`MAX_TAGS`] tags, and type.
pub const MAX_HEADER_LEN: usize = HEADER_LEN + MAX_TAGS * TAG_LEN;

/// The longest untagged frame without FCS: 14 bytes of header and 1500 of payload.
pub const MAX_UNTAGGED_LEN: usize = 1514;

/// The shortest frame without FCS that may be put on a wire (IEEE 802.3-2018, 4A.4.2: 64 with FCS).
pub const MIN_WIRE_LEN: usize = 60;

/// The largest value of an 802.3 length field; 0x0600 and above is an EtherType, what lies between is neither.
pub const MAX_LENGTH_FIELD: u16 = 1500;

/// The smallest EtherType.
pub const MIN_ETHER_TYPE: u16 = 0x0600;

/// The protocol a frame carries.
///
/// Any number may arrive, so this is a number with well-known names and not a closed enum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4 (RFC 894).
    pub const IPV4: Self = Self(0x0800);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// IPv6 (RFC 2464).
    pub const IPV6: Self = Self(0x86dd);
    /// Novell IPX.
    pub const IPX: Self = Self(0x8137);
    /// Local experimental EtherType 1 (IEEE 802-2014, 9.2.4); CAM refresh and loop probes use it.
    pub const LOCAL_EXPERIMENTAL: Self = Self(0x88b5);

    /// Returns whether a VLAN tag follows: 802.1Q, 802.1ad, and the numbers used before 802.1ad.
    pub const fn is_tag(self) -> bool {
        matches!(self.0, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
    }
}

impl std::fmt::Debug for EtherType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// What stands in the type or length field behind the tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An Ethernet II frame.
    Type(EtherType),
    /// An 802.3 frame and the length that it claims for its payload, which need not be true.
    Length(u16),
}

/// A frame whose header has been read.
///
/// ```
/// use lanparty_proto::{EtherType, Frame, Kind, MacAddr};
///
/// // A priority-tagged ARP frame.
/// let bytes = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x81, 0, 0x60, 0], &[8, 6], &[0; 28]].concat();
/// let frame = Frame::parse(&bytes)?;
///
/// assert_eq!(frame.destination(), MacAddr::BROADCAST);
/// assert_eq!((frame.tags(), frame.kind()), (1, Kind::Type(EtherType::ARP)));
/// assert_eq!(frame.payload().len(), 28);
/// # Ok::<(), lanparty_proto::FrameError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    destination: MacAddr,
    source: MacAddr,
    tags: usize,
    kind: Kind,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the header of `bytes`, and up to [`MAX_TAGS`] VLAN tags in it. If there are more, the next
    /// tag is the frame's type: [`Frame::is_overtagged`].
    ///
    /// # Errors
    ///
    /// Returns an error if `bytes` ends inside the header or a tag, or if the type field is neither type nor length.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let Some((header, mut payload)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(FrameError::TooShort { len: bytes.len() });
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;

        let mut number = u16::from_be_bytes([t0, t1]);
        let mut tags = 0;
        while tags < MAX_TAGS && EtherType(number).is_tag() {
            let Some((&[_, _, t0, t1], rest)) = payload.split_first_chunk::<TAG_LEN>() else {
                return Err(FrameError::TooShort { len: bytes.len() });
            };
            number = u16::from_be_bytes([t0, t1]);
            payload = rest;
            tags += 1;
        }

        let kind = match number {
            0..=MAX_LENGTH_FIELD => Kind::Length(number),
            MIN_ETHER_TYPE.. => Kind::Type(EtherType(number)),
            _ => return Err(FrameError::NeitherTypeNorLength { number }),
        };

        Ok(Self {
            bytes,
            destination: MacAddr([d0, d1, d2, d3, d4, d5]),
            source: MacAddr([s0, s1, s2, s3, s4, s5]),
            tags,
            kind,
            payload,
        })
    }

    /// Returns the whole frame.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the station or group that the frame is for.
    pub const fn destination(&self) -> MacAddr {
        self.destination
    }

    /// Returns the station that says it sent the frame.
    pub const fn source(&self) -> MacAddr {
        self.source
    }

    /// Returns how many VLAN tags stand in front of the type.
    pub const fn tags(&self) -> usize {
        self.tags
    }

    /// Returns whether there are more than [`MAX_TAGS`] tags, so that what the frame carries is not read.
    pub const fn is_overtagged(&self) -> bool {
        matches!(self.kind, Kind::Type(kind) if kind.is_tag())
    }

    /// Returns the bytes of the header with its tags: where the payload begins.
    pub const fn header_len(&self) -> usize {
        HEADER_LEN.saturating_add(self.tags.saturating_mul(TAG_LEN))
    }

    /// Returns the EtherType or 802.3 length behind the tags.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the number in the type or length field behind the tags, for logs.
    pub const fn type_or_length(&self) -> u16 {
        match self.kind {
            Kind::Type(EtherType(number)) | Kind::Length(number) => number,
        }
    }

    /// Returns what follows the header and its tags, padding included.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Returns the longest this frame may be with `ip_mtu` bytes of payload: its tags do not count.
    pub const fn max_len(&self, ip_mtu: usize) -> usize {
        self.header_len().saturating_add(ip_mtu)
    }
}

/// Why bytes are no Ethernet frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end inside the header or a VLAN tag.
    #[error("the frame ends inside its header after {len} bytes")]
    TooShort {
        /// How many bytes there are.
        len: usize,
    },
    /// The type field lies between 1501 and 1535 (IEEE 802.3-2018, 3.2.6).
    #[error("0x{number:04x} is neither an EtherType nor a length")]
    NeitherTypeNorLength {
        /// What the field says.
        number: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(middle: &[u8], payload: &[u8]) -> Vec<u8> {
        [&[0xff; 6], &[2, 0, 0, 0, 0, 1][..], middle, payload].concat()
    }

    #[test]
    fn reads_an_ethernet_ii_frame() {
        let bytes = frame(&[0x08, 0x00], b"payload");
        let frame = Frame::parse(&bytes).unwrap();

        assert_eq!(frame.destination(), MacAddr::BROADCAST);
        assert_eq!(frame.source(), MacAddr([2, 0, 0, 0, 0, 1]));
        assert_eq!(frame.kind(), Kind::Type(EtherType::IPV4));
        assert_eq!(frame.payload(), b"payload");
        assert_eq!(frame.tags(), 0);
    }

    #[test]
    fn reads_a_length_field_without_believing_it() {
        let bytes = frame(&[0x05, 0xdc], &[0xff, 0xff]);

        assert_eq!(Frame::parse(&bytes).unwrap().kind(), Kind::Length(1500));
    }

    #[test]
    fn looks_behind_both_tags() {
        let bytes = frame(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7, 0x86, 0xdd], b"six");
        let frame = Frame::parse(&bytes).unwrap();

        assert_eq!(frame.tags(), 2);
        assert_eq!(frame.kind(), Kind::Type(EtherType::IPV6));
        assert_eq!(frame.payload(), b"six");
        assert_eq!(frame.max_len(1500), 1522);
    }

    #[test]
    fn looks_behind_two_tags_and_no_further() {
        let tag = [0x81, 0, 0, 7];
        let tags = [&tag[..], &tag, &tag, &[8, 0]].concat();
        let bytes = frame(&tags, b"four");
        let frame = Frame::parse(&bytes).unwrap();

        assert!(frame.is_overtagged());
        assert_eq!(
            (frame.tags(), frame.header_len()),
            (MAX_TAGS, MAX_HEADER_LEN)
        );
        assert_eq!(frame.kind(), Kind::Type(EtherType(0x8100)));
    }

    #[test]
    fn refuses_what_ends_early_or_has_no_meaning() {
        assert_eq!(
            Frame::parse(&[0; 13]).unwrap_err(),
            FrameError::TooShort { len: 13 }
        );
        let cut = frame(&[0x81, 0, 0], &[]);
        assert_eq!(
            Frame::parse(&cut).unwrap_err(),
            FrameError::TooShort { len: 15 }
        );
        let odd = frame(&[0x05, 0xdd], &[]);
        assert_eq!(
            Frame::parse(&odd).unwrap_err(),
            FrameError::NeitherTypeNorLength { number: 0x05dd }
        );
    }
}
