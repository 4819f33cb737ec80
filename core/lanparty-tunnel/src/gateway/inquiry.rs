//! Asking the LAN whether somebody has an address, before a remote client may announce it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lanparty_proto::checksum::Sum;
use lanparty_proto::ethernet::MIN_WIRE_LEN;
use lanparty_proto::{EtherType, MacAddr};

/// The head of an ARP request for IPv4 over Ethernet (RFC 826).
const ARP_REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];

/// Bytes of a neighbour solicitation without options (RFC 4861, 4.3).
const SOLICITATION_LEN: u16 = 24;

/// `ICMPv6` as next header (RFC 4443, 1).
const ICMPV6: u8 = 58;

/// A neighbour solicitation's type.
const SOLICITATION: u8 = 135;

/// Returns the frame by which `interface` asks for `address` as one that has none itself: whoever has it answers.
pub(crate) fn frame(address: IpAddr, interface: MacAddr) -> Vec<u8> {
    let mut frame = match address {
        IpAddr::V4(address) => arp(address, interface),
        IpAddr::V6(address) => solicitation(address, interface),
    };
    frame.resize(frame.len().max(MIN_WIRE_LEN), 0);

    frame
}

/// An ARP probe (RFC 5227, 2.1.1).
fn arp(address: Ipv4Addr, interface: MacAddr) -> Vec<u8> {
    [
        &MacAddr::BROADCAST.0[..],
        &interface.0,
        &EtherType::ARP.0.to_be_bytes(),
        &ARP_REQUEST,
        &interface.0,
        &[0; 4],
        &[0; 6],
        &address.octets(),
    ]
    .concat()
}

/// A neighbour solicitation for duplicate address detection (RFC 4862, 5.4.2).
fn solicitation(address: Ipv6Addr, interface: MacAddr) -> Vec<u8> {
    let target = address.octets();
    let [.., x, y, z] = target;
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z];
    let [high, low] = SOLICITATION_LEN.to_be_bytes();
    // The source is `::`, and the message but for type and target is zero.
    let sum = Sum::ZERO
        .pseudo_v6(
            Ipv6Addr::UNSPECIFIED,
            group.into(),
            ICMPV6,
            SOLICITATION_LEN.into(),
        )
        .bytes(&[SOLICITATION, 0])
        .bytes(&target)
        .checksum();

    [
        &[0x33, 0x33, 0xff, x, y, z][..],
        &interface.0,
        &EtherType::IPV6.0.to_be_bytes(),
        &[0x60, 0, 0, 0, high, low, ICMPV6, 255],
        &[0; 16],
        &group,
        &[SOLICITATION, 0],
        &sum.to_be_bytes(),
        &[0; 4],
        &target,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use lanparty_proto::address_info::AddressInfo;
    use lanparty_proto::{Frame, checksum};

    use super::*;

    const INTERFACE: MacAddr = MacAddr([0, 1, 2, 3, 4, 5]);

    #[test]
    fn asks_by_arp_without_an_address_of_its_own() {
        let address = Ipv4Addr::new(10, 0, 0, 7);
        let bytes = frame(address.into(), INTERFACE);

        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(bytes.len(), 60);
        assert!(matches!(
            AddressInfo::read(&frame),
            AddressInfo::Arp { hardware: INTERFACE, sender: Ipv4Addr::UNSPECIFIED, target } if target == address
        ));
    }

    #[test]
    fn asks_by_duplicate_address_detection_with_a_right_checksum() {
        let address: Ipv6Addr = "fd77::a:b:c".parse().unwrap();
        let bytes = frame(address.into(), INTERFACE);

        let frame = Frame::parse(&bytes).unwrap();
        assert!(matches!(
            AddressInfo::read(&frame),
            AddressInfo::Neighbor { source: Ipv6Addr::UNSPECIFIED, target, is_router: false } if target == address
        ));
        let (addresses, message) = (&bytes[22..54], &bytes[54..78]);
        assert_eq!(
            checksum::of(&[addresses, &[0, 24, 0, 58], message].concat()),
            0
        );
    }
}
