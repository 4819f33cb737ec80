//! Frames, built in pieces.

use lanparty_samples::sum;

use crate::MacAddr;

/// The client that sends, and its address.
pub(crate) const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
/// Another station.
pub(crate) const OTHER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0b]);

pub(crate) fn frame_to(
    destination: [u8; 6],
    source: MacAddr,
    kind: u16,
    payload: &[u8],
) -> Vec<u8> {
    [&destination, &source.0, &kind.to_be_bytes()[..], payload].concat()
}

pub(crate) fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    frame_to(OTHER.0, CLIENT, kind, payload)
}

/// An 802.3 frame with a true length.
pub(crate) fn llc(payload: &[u8]) -> Vec<u8> {
    frame(len16(payload.len()), payload)
}

/// A frame with `tags` between its addresses and its type.
pub(crate) fn tagged(frame: &[u8], tags: &[[u8; 4]]) -> Vec<u8> {
    [&frame[..12], tags.concat().as_slice(), &frame[12..]].concat()
}

fn len16(len: usize) -> u16 {
    u16::try_from(len).unwrap()
}

pub(crate) fn arp_from(
    source: MacAddr,
    operation: u8,
    hardware: MacAddr,
    sender: [u8; 4],
) -> Vec<u8> {
    let packet = [
        &[0, 1, 8, 0, 6, 4, 0, operation][..],
        &hardware.0,
        &sender,
        &[0; 6],
        &[10, 0, 0, 1],
    ]
    .concat();
    frame_to([0xff; 6], source, 0x0806, &packet)
}

pub(crate) fn arp(operation: u8, hardware: MacAddr, sender: [u8; 4]) -> Vec<u8> {
    arp_from(CLIENT, operation, hardware, sender)
}

/// An IPv4 packet: options and fragment field as given, header checksum right.
pub(crate) fn ipv4_packet(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let ihl = 0x40 | u8::try_from(header_len / 4).unwrap();
    let [l0, l1] = len16(header_len + payload.len()).to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    let mut header = [
        &[ihl, 0, l0, l1, 0x12, 0x34, f0, f1, 64, protocol, 0, 0][..],
        &[10, 0, 0, 50],
        &[10, 0, 0, 255],
        options,
    ]
    .concat();
    let checksum = !sum(&header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());

    [header.as_slice(), payload].concat()
}

pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x0800, &ipv4_packet(protocol, 0, &[], payload))
}

/// A UDP datagram with a right checksum for the addresses of [`ipv4_packet`].
pub(crate) fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    with_udp_checksum(
        &[10, 0, 0, 50, 10, 0, 0, 255],
        udp_plain(source, destination, data),
    )
}

/// A UDP datagram with a right checksum for the addresses of [`ipv6_packet`].
pub(crate) fn udp6(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let addresses = &ipv6_packet(17, 1, &[])[8..40];
    with_udp_checksum(addresses, udp_plain(source, destination, data))
}

fn udp_plain(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    [
        &source.to_be_bytes()[..],
        &destination.to_be_bytes(),
        &len16(8 + data.len()).to_be_bytes(),
        &[0, 0],
        data,
    ]
    .concat()
}

fn with_udp_checksum(addresses: &[u8], mut udp: Vec<u8>) -> Vec<u8> {
    let checksum = match !pseudo_sum(addresses, 17, &udp) {
        0 => 0xffff,
        checksum => checksum,
    };
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());

    udp
}

/// The sum of pseudo-header and segment (RFC 768, RFC 8200 8.1): all ones if the checksum in it is right.
pub(crate) fn pseudo_sum(addresses: &[u8], protocol: u8, segment: &[u8]) -> u16 {
    let [l0, l1] = len16(segment.len()).to_be_bytes();

    sum(&[addresses, &[0, protocol, l0, l1], segment].concat())
}

pub(crate) fn tcp() -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..4].copy_from_slice(&[0x1f, 0x90, 0, 80]);
    segment[12..14].copy_from_slice(&[0x50, 0x10]);

    segment
}

/// A DHCP message.
pub(crate) fn dhcp(op: u8, client: MacAddr, options: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[op, 1, 6, 0]);
    message[28..34].copy_from_slice(&client.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend_from_slice(options);

    message
}

/// An IPv6 packet from a link-local address.
pub(crate) fn ipv6_packet(next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = len16(payload.len()).to_be_bytes();
    let source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a];
    let destination = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    [
        &[0x60, 0, 0, 0, l0, l1, next, hop_limit][..],
        &source,
        &destination,
        payload,
    ]
    .concat()
}

pub(crate) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x86dd, &ipv6_packet(next, 255, payload))
}

/// An ICMPv6 message with a right checksum.
pub(crate) fn icmpv6(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0], body].concat();
    let addresses = &ipv6_packet(58, 255, &[])[8..40];
    let checksum = !pseudo_sum(addresses, 58, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());

    message
}

/// A neighbour advertisement (136) or solicitation (135) with a link-layer address option.
pub(crate) fn neighbor(kind: u8, flags: u8, option: u8, hardware: MacAddr) -> Vec<u8> {
    let mut body = vec![flags, 0, 0, 0];
    body.extend_from_slice(&[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a]);
    body.extend_from_slice(&[option, 1]);
    body.extend_from_slice(&hardware.0);

    icmpv6(kind, &body)
}

/// A router advertisement with a lifetime of half an hour and `options`.
pub(crate) fn router_advertisement(options: &[u8]) -> Vec<u8> {
    icmpv6(
        134,
        &[&[64, 0x08, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0][..], options].concat(),
    )
}
