//! The frames that scenarios push: ordinary traffic, the same bytes in every run.

use bytes::Bytes;
use lanparty_offload::VnetHeader;
use lanparty_offload::vnet::{FLAG_NEEDS_CSUM, GSO_TCPV4};
use lanparty_proto::{MacAddr, PeerId, RoomId, checksum, overlay};

/// The remote player's tunnel MAC.
pub(crate) const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// A PC on the LAN.
pub(crate) const STATION: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);
/// The gateway's own network card.
pub(crate) const CARD: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 1]);
/// The room's number: a switch counts from one.
pub(crate) const ROOM: RoomId = RoomId(1);
/// The gateway joins first.
pub(crate) const GATEWAY_ID: PeerId = PeerId(1);
/// The client joins second.
pub(crate) const CLIENT_ID: PeerId = PeerId(2);

/// Bytes of a game's frame.
pub(crate) const SMALL: usize = 106;
/// Bytes of a full frame.
pub(crate) const FULL: usize = 1514;
/// TCP payload of a segment of a full frame.
const SEGMENT: usize = 1460;
/// Segments of a super-frame.
pub(crate) const SEGMENTS: usize = 44;

const CLIENT_IP: [u8; 4] = [192, 168, 77, 130];
const STATION_IP: [u8; 4] = [192, 168, 77, 10];

/// Returns a UDP frame of `len` bytes.
pub(crate) fn udp(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    let mut frame = ipv4(destination, source, 17, len);
    frame.extend([0x69, 0x87, 0x69, 0x87]);
    frame.extend(size(len - 34));
    frame.extend([0, 0]);
    frame.resize(len, 7);

    frame
}

/// Returns a TCP segment of `len` bytes with sequence number `sequence`, its checksums left to a card.
pub(crate) fn tcp(destination: MacAddr, source: MacAddr, sequence: u32, len: usize) -> Vec<u8> {
    let mut frame = ipv4(destination, source, 6, len);
    frame.extend([0x13, 0x88, 0, 80]);
    frame.extend(sequence.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    frame.resize(len, 7);

    frame
}

/// Returns a super-frame as a kernel with segmentation offload hands it over.
pub(crate) fn super_frame() -> (VnetHeader, Vec<u8>) {
    let vnet = VnetHeader {
        flags: FLAG_NEEDS_CSUM,
        gso_type: GSO_TCPV4,
        hdr_len: 54,
        gso_size: u16::try_from(SEGMENT).expect("a segment fits a frame"),
        csum_start: 34,
        csum_offset: 16,
    };

    (vnet, tcp(STATION, CLIENT, 1, 54 + SEGMENT * SEGMENTS))
}

/// Returns `frame` as a member's overlay datagram.
pub(crate) fn datagram(from: PeerId, frame: &[u8]) -> Bytes {
    let header = overlay::header(ROOM, from, false, small(frame.len()));

    [&header[..], frame].concat().into()
}

fn ipv4(destination: MacAddr, source: MacAddr, protocol: u8, len: usize) -> Vec<u8> {
    let (from, to) = if source == CLIENT {
        (CLIENT_IP, STATION_IP)
    } else {
        (STATION_IP, CLIENT_IP)
    };
    let mut frame = [&destination.0[..], &source.0, &[8, 0, 0x45, 0]].concat();
    frame.extend(size(len - 14));
    frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    let header = [&from[..], &to, frame.get(14..).unwrap_or_default()].concat();
    let [hi, lo] = checksum::of(&header).to_be_bytes();
    frame.truncate(frame.len() - 2);
    frame.extend([hi, lo]);
    frame.extend(from);
    frame.extend(to);

    frame
}

fn size(len: usize) -> [u8; 2] {
    small(len).to_be_bytes()
}

fn small(len: usize) -> u16 {
    u16::try_from(len).expect("a packet has a 16-bit length")
}
