//! Frames that tests put on the wire, each with a marker in its payload to know it by.

/// The broadcast address.
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// The shortest frame on a wire, without FCS (IEEE 802.3).
const MIN_FRAME: usize = 60;

/// Builds an Ethernet frame, padded as a card pads it.
pub fn ethernet(destination: [u8; 6], source: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [
        &destination[..],
        &source,
        &ether_type.to_be_bytes(),
        payload,
    ]
    .concat();
    frame.resize(frame.len().max(MIN_FRAME), 0);

    frame
}

/// Builds a frame with an 802.3 length field in place of an type.
pub fn length_field(destination: [u8; 6], source: [u8; 6], payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a payload fits a frame");

    ethernet(destination, source, len, payload)
}

/// Builds an IPX packet (Novell, header of 30 bytes) that says `marker` to the service advertising socket.
///
/// Its first two bytes are ones: IPX does without a checksum, and Novell's raw 802.3 frames are known by that.
pub fn ipx(destination: [u8; 6], source: [u8; 6], marker: &[u8]) -> Vec<u8> {
    let len = u16::try_from(30 + marker.len()).expect("a marker is short");
    let mut packet = vec![0xff, 0xff];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 4]); // hops, packet exchange
    for (node, socket) in [(destination, 0x869b_u16), (source, 0x869b)] {
        packet.extend([0; 4]); // this network
        packet.extend(node);
        packet.extend(socket.to_be_bytes());
    }
    packet.extend(marker);

    packet
}

/// Builds an IPv4 UDP packet with correct checksums.
pub fn udp4(source: ([u8; 4], u16), destination: ([u8; 4], u16), data: &[u8]) -> Vec<u8> {
    let udp_len = u16::try_from(8 + data.len()).expect("data fits a packet");
    let mut udp = [
        source.1.to_be_bytes(),
        destination.1.to_be_bytes(),
        udp_len.to_be_bytes(),
        [0; 2],
    ]
    .concat();
    udp.extend(data);
    let pseudo = [
        &source.0[..],
        &destination.0,
        &[0, 17],
        &udp_len.to_be_bytes(),
        &udp,
    ]
    .concat();
    let sum = checksum(&pseudo).to_be_bytes();
    udp.splice(6..8, sum);

    let mut packet = vec![0x45, 0];
    packet.extend((20 + udp_len).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0]); // no identification, DF, TTL 64, UDP, checksum to come
    packet.extend(source.0);
    packet.extend(destination.0);
    let sum = checksum(&packet).to_be_bytes();
    packet.splice(10..12, sum);
    packet.extend(udp);

    packet
}

/// Builds an `ICMPv6` packet (hop limit 255, as neighbour discovery demands) with a correct checksum.
pub fn icmp6(source: [u8; 16], destination: [u8; 16], message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("a message fits a packet");
    let pseudo = [
        &source[..],
        &destination,
        &[0, 0],
        &len.to_be_bytes(),
        &[0, 0, 0, 58],
        message,
    ]
    .concat();
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([58, 255]);
    packet.extend(source);
    packet.extend(destination);
    packet.extend(message);
    let sum = checksum(&pseudo).to_be_bytes();
    packet.splice(42..44, sum);

    packet
}

/// The Internet checksum (RFC 1071), by the naive sum: what tests compare softlan's own with.
pub fn checksum(bytes: &[u8]) -> u16 {
    !lanparty_samples::sum(bytes)
}

/// Returns whether the checksums of a frame are right; `None` if it has none (no TCP, UDP or `ICMPv6`, or a fragment).
///
/// Whoever left the transport's to the network card wrote the pseudo-header's sum there. Only the flag tells the two apart: one pseudo-header's
/// sum of 65,536 is right for the whole by chance.
pub fn checksums_are_right(frame: &[u8], is_left_to_card: bool) -> Option<bool> {
    let mut at = 12;
    while matches!(word(frame, at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    let packet = frame.get(at + 2..)?;
    let (protocol, addresses, segment) = match word(frame, at)? {
        0x0800 => ipv4(packet)?,
        0x86dd => ipv6(packet)?,
        _ => return None,
    };
    let at = match protocol {
        6 => 16,
        17 => 6,
        58 => 2,
        _ => return None,
    };
    let field = word(segment, at)?;
    if protocol == 17 && field == 0 {
        return None;
    }
    let header_is_right = packet.first()? >> 4 == 6
        || checksum(packet.get(..usize::from(packet.first()? & 15) * 4)?) == 0;
    let len = u32::try_from(segment.len()).ok()?.to_be_bytes();
    let pseudo = [addresses, &len, &[0, 0, 0, protocol]].concat();

    let is_right = if is_left_to_card {
        field == !checksum(&pseudo)
    } else {
        checksum(&[&pseudo, segment].concat()) == 0
    };

    Some(header_is_right && is_right)
}

/// Returns protocol, addresses and payload of an IPv4 packet that is no fragment.
fn ipv4(packet: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    if word(packet, 6)? & 0x3fff != 0 {
        return None;
    }
    let header_len = usize::from(packet.first()? & 15) * 4;
    let total = usize::from(word(packet, 2)?);

    Some((
        *packet.get(9)?,
        packet.get(12..20)?,
        packet.get(header_len..total)?,
    ))
}

/// Returns next header, addresses and payload of an IPv6 packet.
fn ipv6(packet: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let len = usize::from(word(packet, 4)?);

    Some((
        *packet.get(6)?,
        packet.get(8..40)?,
        packet.get(40..40 + len)?,
    ))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..)?.first_chunk()?;

    Some(u16::from_be_bytes(*pair))
}

/// Returns whether `frame` carries `marker` anywhere.
pub fn contains(frame: &[u8], marker: &[u8]) -> bool {
    frame.windows(marker.len()).any(|window| window == marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_a_packet_with_its_checksum_is_zero() {
        let packet = udp4(([192, 168, 77, 1], 5353), ([224, 0, 0, 251], 5353), b"odd");

        assert_eq!(checksum(&packet[..20]), 0);
        let pseudo = [&packet[12..20], &[0, 17, 0, 11], &packet[20..]].concat();
        assert_eq!(checksum(&pseudo), 0);
    }

    #[test]
    fn complete_pending_and_wrong_checksums_are_told_apart() {
        let packet = udp4(([192, 168, 77, 1], 5353), ([192, 168, 77, 2], 5353), b"odd");
        let mut frame = ethernet(BROADCAST, [2, 0, 0, 0, 0, 1], 0x0800, &packet);
        let judge = |frame: &[u8]| [false, true].map(|left| checksums_are_right(frame, left));
        assert_eq!(judge(&frame), [Some(true), Some(false)]);

        let pseudo = [&packet[12..20], &[0, 17, 0, 11]].concat();
        let sum = !checksum(&pseudo);
        frame[40..42].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(judge(&frame), [Some(false), Some(true)]);

        frame[41] ^= 1;
        assert_eq!(judge(&frame), [Some(false), Some(false)]);
        frame[41] ^= 1;
        frame[24] ^= 1;
        assert_eq!(judge(&frame), [Some(false), Some(false)]);
    }

    #[test]
    fn short_frames_are_padded_and_keep_their_length_field() {
        let frame = length_field(BROADCAST, [2, 0, 0, 0, 0, 1], &[0xe0, 0xe0, 3]);

        assert_eq!(frame.len(), 60);
        assert_eq!(frame[12..14], [0, 3]);
    }
}
