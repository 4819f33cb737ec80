//! The view of an IPv4 packet (RFC 791).

use std::ops::Deref;

/// Bytes of an IPv4 header without options (RFC 791, 3.1).
pub const MIN_HEADER_LEN: usize = 20;

/// Where the addresses begin.
const ADDRESSES: usize = 12;

/// The fragment field without its reserved bit and "don't fragment": more fragments, and the offset.
const FRAGMENT: u16 = 0x3fff;

/// The offset of a fragment, in units of 8 bytes.
const OFFSET: u16 = 0x1fff;

/// "Don't fragment".
const DONT_FRAGMENT: u16 = 0x4000;

/// The fixed part of an IPv4 header. Its lengths need not be true: [`Packet`] has those that are.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a>(&'a [u8; MIN_HEADER_LEN]);

impl<'a> Header<'a> {
    /// Reads the fixed part at the start of `bytes`; nothing if it is cut or of another version.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<MIN_HEADER_LEN>()?;
        let [version_ihl, ..] = *header;

        (version_ihl >> 4 == 4).then_some(Self(header))
    }

    /// Returns how many bytes the header claims to have, options included.
    #[inline]
    const fn claimed_header_len(self) -> usize {
        let [version_ihl, ..] = *self.0;

        ((version_ihl & 0x0f) as usize) << 2
    }

    /// Returns how many bytes the packet claims to have, header included.
    #[inline]
    const fn claimed_total_len(self) -> usize {
        let [_, _, l0, l1, ..] = *self.0;

        u16::from_be_bytes([l0, l1]) as usize
    }

    /// Returns source and destination address, one behind the other.
    #[inline]
    pub const fn addresses(self) -> &'a [u8] {
        let (_, addresses) = self.0.split_at(ADDRESSES);

        addresses
    }

    /// Returns the number of the protocol of the payload.
    #[inline]
    pub const fn protocol(self) -> u8 {
        let [_, _, _, _, _, _, _, _, _, protocol, ..] = *self.0;

        protocol
    }

    /// Returns the number that the fragments of a packet share.
    #[inline]
    pub const fn identification(self) -> u16 {
        let [_, _, _, _, i0, i1, ..] = *self.0;

        u16::from_be_bytes([i0, i1])
    }

    #[inline]
    const fn flags_and_offset(self) -> u16 {
        let [_, _, _, _, _, _, f0, f1, ..] = *self.0;

        u16::from_be_bytes([f0, f1])
    }

    /// Returns whether the packet forbids fragmentation.
    #[inline]
    pub const fn dont_fragment(self) -> bool {
        self.flags_and_offset() & DONT_FRAGMENT != 0
    }

    /// Returns whether this is a fragment, the first one included.
    #[inline]
    pub const fn is_fragment(self) -> bool {
        self.flags_and_offset() & FRAGMENT != 0
    }

    /// Returns whether the transport header is in another fragment.
    #[inline]
    pub const fn is_later_fragment(self) -> bool {
        self.fragment_offset() != 0
    }

    /// Returns where the fragment stands in its packet, in units of 8 bytes.
    #[inline]
    pub const fn fragment_offset(self) -> u16 {
        self.flags_and_offset() & OFFSET
    }

    /// Returns the source address.
    #[inline]
    pub const fn source(self) -> [u8; 4] {
        let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.0;

        [a, b, c, d]
    }

    /// Returns the destination address.
    #[inline]
    pub const fn destination(self) -> [u8; 4] {
        let [.., a, b, c, d] = *self.0;

        [a, b, c, d]
    }
}

/// An IPv4 packet whose header is all there and does not contradict itself.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: Header<'a>,
    options: &'a [u8],
    payload: &'a [u8],
    is_whole: bool,
}

impl<'a> Packet<'a> {
    /// Reads the packet at the start of `bytes`, which may end before the packet does.
    ///
    /// A header that is cut, of another version, shorter than 20 bytes, or longer than the packet by
    /// its total length is none.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = Header::parse(bytes)?;
        match bytes.get(..header.claimed_total_len()) {
            Some(packet) => Self::split(header, packet, true),
            None => Self::split(header, bytes, false),
        }
    }

    /// Reads the packet at the start of `bytes`, if all of it is there.
    #[inline]
    pub fn parse_whole(bytes: &'a [u8]) -> Option<Self> {
        let header = Header::parse(bytes)?;
        let packet = bytes.get(..header.claimed_total_len())?;

        Self::split(header, packet, true)
    }

    /// Splits the bytes of a packet, none of which is padding, behind its header.
    #[inline]
    fn split(header: Header<'a>, packet: &'a [u8], is_whole: bool) -> Option<Self> {
        let header_len = header.claimed_header_len();
        let options = packet.get(MIN_HEADER_LEN..header_len)?;
        let payload = packet.get(header_len..)?;

        Some(Self {
            header,
            options,
            payload,
            is_whole,
        })
    }

    /// Returns whether as many bytes are there as the total length says.
    #[inline]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the bytes of the header, options included.
    #[inline]
    pub const fn header_len(&self) -> usize {
        MIN_HEADER_LEN.saturating_add(self.options.len())
    }

    /// Returns the options.
    #[inline]
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// Returns what follows the header, without Ethernet padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

impl<'a> Deref for Packet<'a> {
    type Target = Header<'a>;

    #[inline]
    fn deref(&self) -> &Header<'a> {
        &self.header
    }
}
