//! The view of an IPv6 packet (RFC 8200), with its whole chain of extension headers.

use super::protocol;
use crate::read::array;

/// Bytes of the fixed IPv6 header (RFC 8200, 3).
pub const HEADER_LEN: usize = 40;

/// Where the addresses begin.
const ADDRESSES: usize = 8;

/// The most extension headers in one chain.
///
/// RFC 8200, 4.1 lists six kinds of which one may come twice; nothing on a LAN comes near.
pub const MAX_EXTENSIONS: usize = 8;

/// The most bytes of extension headers that the strict validation accepts: a hop-by-hop header with a
/// router alert has 8 (RFC 2711).
pub const MAX_CHAIN_LEN: usize = 256;

/// An IPv6 packet whose fixed header is all there.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
    is_whole: bool,
}

impl<'a> Packet<'a> {
    /// Reads the packet at the start of `bytes`, which may end before the packet does.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [version, _, _, _, l0, l1, ..] = *header;
        if version >> 4 != 6 {
            return None;
        }
        let (payload, is_whole) = match rest.get(..usize::from(u16::from_be_bytes([l0, l1]))) {
            Some(payload) => (payload, true),
            None => (rest, false),
        };

        Some(Self {
            header,
            payload,
            is_whole,
        })
    }

    /// Reads the packet at the start of `bytes`, if all of it is there.
    #[inline]
    pub fn parse_whole(bytes: &'a [u8]) -> Option<Self> {
        Self::parse(bytes).filter(Self::is_whole)
    }

    /// Returns whether as many bytes are there as the payload length says.
    #[inline]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns what follows the fixed header, without Ethernet padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Returns the number of what follows the fixed header.
    #[inline]
    pub const fn next_header(&self) -> u8 {
        let [_, _, _, _, _, _, next, ..] = *self.header;

        next
    }

    /// Returns the hop limit.
    #[inline]
    pub const fn hop_limit(&self) -> u8 {
        let [_, _, _, _, _, _, _, hop_limit, ..] = *self.header;

        hop_limit
    }

    /// Returns the source address.
    #[inline]
    pub fn source(&self) -> [u8; 16] {
        array(self.header, 8).unwrap_or_default()
    }

    /// Returns the destination address.
    #[inline]
    pub fn destination(&self) -> [u8; 16] {
        self.header.last_chunk().copied().unwrap_or_default()
    }

    /// Returns source and destination address, one behind the other.
    #[inline]
    pub const fn addresses(&self) -> &'a [u8] {
        let (_, addresses) = self.header.split_at(ADDRESSES);

        addresses
    }

    /// Walks the chain of extension headers, leniently. Returns nothing if the chain is cut or has
    /// more than [`MAX_EXTENSIONS`] headers.
    #[inline]
    pub fn upper(&self) -> Option<Upper<'a>> {
        let upper = Upper {
            protocol: self.next_header(),
            bytes: self.payload,
            is_fragment: false,
            is_later_fragment: false,
            is_routed: false,
            is_orderly: true,
        };
        if !is_extension(upper.protocol) {
            return Some(upper);
        }

        self.walk(upper)
    }

    /// Passes the extension headers, of which there is at least one.
    #[inline(never)]
    fn walk(&self, mut upper: Upper<'a>) -> Option<Upper<'a>> {
        for index in 0..=MAX_EXTENSIONS {
            if !is_extension(upper.protocol) {
                return Some(upper);
            }
            // Hop-by-hop options come first or not at all (RFC 8200, 4.1).
            upper.is_orderly &= upper.protocol != protocol::HOP_BY_HOP || index == 0;
            upper.pass_extension()?;
            if upper.is_later_fragment {
                return Some(upper);
            }
            let passed = self.payload.len().saturating_sub(upper.bytes.len());
            upper.is_orderly &= passed <= MAX_CHAIN_LEN;
        }

        None
    }

    /// Walks the chain of extension headers, strictly. Returns nothing if the chain is cut, over
    /// [`MAX_EXTENSIONS`] or [`MAX_CHAIN_LEN`], out of order, or holds a type 0 routing header.
    #[inline]
    pub fn upper_strict(&self) -> Option<Upper<'a>> {
        self.upper().filter(|upper| upper.is_orderly)
    }
}

const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION
    )
}

/// What stands behind a chain of extension headers.
#[derive(Debug, Clone, Copy)]
pub struct Upper<'a> {
    /// The protocol number.
    pub protocol: u8,
    /// The protocol's header and what follows; in a later fragment, some bytes of the packet.
    pub bytes: &'a [u8],
    /// Whether a fragment header stands in the chain, atomic ones (RFC 6946) included.
    pub is_fragment: bool,
    /// Whether the chain ends at a fragment header with an offset: the rest is in another packet.
    pub is_later_fragment: bool,
    /// Whether a routing header has segments left, so that the packet's destination is elsewhere.
    pub is_routed: bool,
    /// Whether the chain passes the strict validation.
    is_orderly: bool,
}

impl Upper<'_> {
    /// Passes one extension header. Returns nothing if it is cut.
    fn pass_extension(&mut self) -> Option<()> {
        let [next, length, third, fourth] = array(self.bytes, 0)?;
        let len = match self.protocol {
            protocol::FRAGMENT => 8,
            // In units of 4 bytes, less 2 (RFC 4302, 2.2).
            protocol::AUTHENTICATION => usize::from(length).saturating_add(2).saturating_mul(4),
            // In units of 8 bytes, less 1 (RFC 8200, 4.3 to 4.6).
            _ => usize::from(length).saturating_add(1).saturating_mul(8),
        };
        match self.protocol {
            protocol::ROUTING => {
                // Type 0 of the routing header is deprecated (RFC 5095).
                self.is_orderly &= third != 0;
                self.is_routed |= fourth != 0;
            }
            // Not even room for an index and a sequence number.
            protocol::AUTHENTICATION => self.is_orderly &= length != 0,
            protocol::FRAGMENT => {
                self.is_fragment = true;
                self.is_later_fragment = u16::from_be_bytes([third, fourth]) >> 3 != 0;
            }
            _ => {}
        }
        self.protocol = next;
        self.bytes = self.bytes.get(len..)?;

        Some(())
    }
}
