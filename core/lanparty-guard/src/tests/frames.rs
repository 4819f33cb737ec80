//! Frames that say something about addresses.

use lanparty_proto::MacAddr;

fn frame(source: MacAddr, kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&[0xff; 6][..], &source.0, &kind, payload].concat()
}

pub(super) fn arp(source: MacAddr, sender: [u8; 4]) -> Vec<u8> {
    let packet = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &source.0,
        &sender,
        &[0; 6],
        &[10, 0, 0, 99],
    ]
    .concat();
    frame(source, [0x08, 0x06], &packet)
}

fn ipv4_with(source: MacAddr, from: [u8; 4], udp: &[u8]) -> Vec<u8> {
    let [l0, l1] = u16::try_from(20 + udp.len()).unwrap().to_be_bytes();
    let header = [
        &[0x45, 0, l0, l1, 0, 0, 0, 0, 64, 17, 0, 0][..],
        &from,
        &[255; 4],
    ]
    .concat();
    frame(source, [0x08, 0x00], &[header, udp.to_vec()].concat())
}

pub(super) fn ipv4(source: MacAddr, from: [u8; 4]) -> Vec<u8> {
    ipv4_with(source, from, &[0x27, 0x0f, 0x27, 0x0f, 0, 8, 0, 0])
}

pub(super) fn dhcp(
    source: MacAddr,
    from: [u8; 4],
    op: u8,
    client: MacAddr,
    assigned: [u8; 4],
    options: &[u8],
) -> Vec<u8> {
    let ports = if op == 2 {
        [0, 67, 0, 68]
    } else {
        [0, 68, 0, 67]
    };
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[op, 1, 6, 0]);
    message[16..20].copy_from_slice(&assigned);
    message[28..34].copy_from_slice(&client.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend_from_slice(options);
    let [l0, l1] = u16::try_from(8 + message.len()).unwrap().to_be_bytes();
    let udp = [&ports[..], &[l0, l1, 0, 0], &message].concat();

    ipv4_with(source, from, &udp)
}

pub(super) fn ipv6(source: MacAddr, host: u8) -> Vec<u8> {
    let mut packet = vec![0; 40 + 24];
    packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 24, 17, 255]);
    packet[8..10].copy_from_slice(&[0xfe, 0x80]);
    packet[23] = host;
    packet[24..26].copy_from_slice(&[0xff, 0x02]);
    frame(source, [0x86, 0xdd], &packet)
}
