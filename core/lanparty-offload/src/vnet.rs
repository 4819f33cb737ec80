//! The virtio-net header in front of every frame of a TAP device or packet socket with offloads.

use crate::bytewise::put;

/// Bytes of the header without `num_buffers` (`struct virtio_net_hdr`, `linux/virtio_net.h`).
pub const VNET_HEADER_LEN: usize = 10;

/// `flags`: the checksum from `csum_start` on is still to be computed; the field holds the pseudo-header's sum.
pub const FLAG_NEEDS_CSUM: u8 = 1;

/// `gso_type`: an ordinary frame.
pub const GSO_NONE: u8 = 0;
/// `gso_type`: TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// `gso_type`: TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// `gso_type`: UDP datagrams of equal size, over IPv4 or IPv6 (USO; Linux 6.2).
pub const GSO_UDP_L4: u8 = 5;
/// A bit of `gso_type`: the first segment has CWR set, the others must not.
pub const GSO_ECN: u8 = 0x80;

/// A virtio-net header (Virtual I/O Device 1.2, 5.1.6), in this machine's byte order as Linux' legacy layout has it.
///
/// Values are carried as they came: only [`Super::parse`](crate::Super::parse) decides what to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VnetHeader {
    /// [`FLAG_NEEDS_CSUM`], or 2 (`VIRTIO_NET_HDR_F_DATA_VALID`) for a checksum that was verified.
    pub flags: u8,
    /// [`GSO_NONE`], [`GSO_TCPV4`], [`GSO_TCPV6`] or [`GSO_UDP_L4`], perhaps with [`GSO_ECN`].
    pub gso_type: u8,
    /// Bytes of all headers from the start of the frame; a hint that nothing here relies on.
    pub hdr_len: u16,
    /// Payload bytes of every segment but the last.
    pub gso_size: u16,
    /// Where the checksummed part begins, from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum field lies, from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// An ordinary frame whose checksums are complete.
    pub const NONE: Self = Self {
        flags: 0,
        gso_type: GSO_NONE,
        hdr_len: 0,
        gso_size: 0,
        csum_start: 0,
        csum_offset: 0,
    };

    /// Reads a header.
    pub const fn from_bytes(bytes: [u8; VNET_HEADER_LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = bytes;

        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// Splits what a device handed over into header and frame; `None` if it ends inside the header.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, frame) = bytes.split_first_chunk::<VNET_HEADER_LEN>()?;

        Some((Self::from_bytes(*header), frame))
    }

    /// Writes the header.
    pub fn to_bytes(self) -> [u8; VNET_HEADER_LEN] {
        let mut bytes = [self.flags, self.gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        put(&mut bytes, 2, &self.hdr_len.to_ne_bytes());
        put(&mut bytes, 4, &self.gso_size.to_ne_bytes());
        put(&mut bytes, 6, &self.csum_start.to_ne_bytes());
        put(&mut bytes, 8, &self.csum_offset.to_ne_bytes());

        bytes
    }

    /// Returns whether the transport checksum is still to be computed.
    pub const fn needs_checksum(&self) -> bool {
        self.flags & FLAG_NEEDS_CSUM != 0
    }

    /// Returns whether the frame stands for several.
    pub const fn is_super(&self) -> bool {
        self.gso_type & !GSO_ECN != GSO_NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let header = VnetHeader {
            flags: FLAG_NEEDS_CSUM,
            gso_type: GSO_TCPV4 | GSO_ECN,
            hdr_len: 54,
            gso_size: 1448,
            csum_start: 34,
            csum_offset: 16,
        };
        let bytes = header.to_bytes();

        assert_eq!(
            VnetHeader::parse(&[&bytes[..], b"frame"].concat()),
            Some((header, &b"frame"[..]))
        );
        assert!(header.is_super() && header.needs_checksum());
        assert_eq!(VnetHeader::parse(&bytes[..9]), None);
        assert_eq!(VnetHeader::NONE.to_bytes(), [0; VNET_HEADER_LEN]);
    }

    #[test]
    fn fields_lie_where_linux_has_them() {
        let bytes = VnetHeader {
            hdr_len: 0x0101,
            csum_offset: 0x0202,
            ..VnetHeader::NONE
        }
        .to_bytes();

        assert_eq!(bytes, [0, 0, 1, 1, 0, 0, 0, 0, 2, 2]);
    }
}
