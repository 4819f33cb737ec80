//! The view of an IPv4 packet (RFC 791).

/// Bytes of an IPv4 header without options (RFC 791, 3.1).
pub const MIN_HEADER_LEN: usize = 20;

/// The fragment field without its reserved bit and "don't fragment": more fragments, and the offset.
const FRAGMENT: u16 = 0x3fff;

/// The offset of a fragment, in units of 8 bytes.
const OFFSET: u16 = 0x1fff;

/// "Don't fragment".
const DONT_FRAGMENT: u16 = 0x4000;

/// An IPv4 packet whose header is all there and does not contradict itself.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: &'a [u8; MIN_HEADER_LEN],
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
        let header = bytes.first_chunk::<MIN_HEADER_LEN>()?;
        let [version_ihl, _, l0, l1, ..] = *header;
        let header_len = usize::from(version_ihl & 0x0f) << 2;
        let total_len = usize::from(u16::from_be_bytes([l0, l1]));
        if version_ihl >> 4 != 4 || total_len < header_len {
            return None;
        }
        let (packet, is_whole) = match bytes.get(..total_len) {
            Some(packet) => (packet, true),
            None => (bytes, false),
        };
        let options = packet.get(MIN_HEADER_LEN..header_len)?;
        let payload = packet.get(header_len..)?;

        Some(Self {
            header,
            options,
            payload,
            is_whole,
        })
    }

    /// Reads the packet at the start of `bytes`, if all of it is there.
    #[inline]
    pub fn parse_whole(bytes: &'a [u8]) -> Option<Self> {
        Self::parse(bytes).filter(Self::is_whole)
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

    /// Returns the number of the protocol of the payload.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        let [_, _, _, _, _, _, _, _, _, protocol, ..] = *self.header;

        protocol
    }

    /// Returns the number that the fragments of a packet share.
    #[inline]
    pub const fn identification(&self) -> u16 {
        let [_, _, _, _, i0, i1, ..] = *self.header;

        u16::from_be_bytes([i0, i1])
    }

    #[inline]
    const fn flags_and_offset(&self) -> u16 {
        let [_, _, _, _, _, _, f0, f1, ..] = *self.header;

        u16::from_be_bytes([f0, f1])
    }

    /// Returns whether the packet forbids fragmentation.
    #[inline]
    pub const fn dont_fragment(&self) -> bool {
        self.flags_and_offset() & DONT_FRAGMENT != 0
    }

    /// Returns whether this is a fragment, the first one included.
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.flags_and_offset() & FRAGMENT != 0
    }

    /// Returns whether the transport header is in another fragment.
    #[inline]
    pub const fn is_later_fragment(&self) -> bool {
        self.fragment_offset() != 0
    }

    /// Returns where the fragment stands in its packet, in units of 8 bytes.
    #[inline]
    pub const fn fragment_offset(&self) -> u16 {
        self.flags_and_offset() & OFFSET
    }

    /// Returns the source address.
    #[inline]
    pub const fn source(&self) -> [u8; 4] {
        let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.header;

        [a, b, c, d]
    }

    /// Returns the destination address.
    #[inline]
    pub const fn destination(&self) -> [u8; 4] {
        let [.., a, b, c, d] = *self.header;

        [a, b, c, d]
    }
}
