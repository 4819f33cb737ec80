//! 802.3 frames with a length, and ARP.

#![expect(clippy::too_many_lines, reason = "tables")]

use super::{Vector, remote, snap};
use crate::MacAddr;
use crate::policy::Refusal::*;
use crate::policy::tests::build::{CLIENT, OTHER, arp, frame, ipv4_packet, llc, udp};

pub(super) fn llc_frames() -> Vec<Vector> {
    let packet = ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello"));
    let short = |length| frame(length, &[&[0xe0, 0xe0, 3][..], &[0; 60]].concat());
    vec![
        remote(
            "snap_ipv4",
            "IPv4 over SNAP",
            LlcIp,
            snap([0; 3], 0x0800, &packet),
        ),
        remote(
            "snap_arp",
            "ARP over SNAP (CVE-2021-27853)",
            LlcIp,
            snap([0; 3], 0x0806, &[0; 28]),
        ),
        remote(
            "snap_ipv6",
            "IPv6 over SNAP (CVE-2021-27853)",
            LlcIp,
            snap([0; 3], 0x86dd, &[0; 40]),
        ),
        remote(
            "snap_bridge_tunnel",
            "IP over the bridge-tunnel encapsulation (IEEE 802.1H)",
            LlcIp,
            snap([0, 0, 0xf8], 0x86dd, &[0; 40]),
        ),
        remote(
            "snap_vlan",
            "a VLAN tag inside SNAP (CVE-2021-27861)",
            LlcIp,
            snap([0; 3], 0x8100, &[0, 0, 0x86, 0xdd]),
        ),
        remote(
            "llc_ip",
            "IPv4 over 802.2 (SAP 0x06)",
            LlcIp,
            llc(&[&[0x06, 0x06, 0x03][..], &packet].concat()),
        ),
        remote(
            "llc_arp",
            "ARP over 802.2 (SAP 0x98)",
            LlcIp,
            llc(&[0x98, 0x98, 0x03, 0, 1]),
        ),
        remote(
            "snap_wrong_length",
            "IPv6 over SNAP with a wrong length (CVE-2021-27854, CVE-2021-27862)",
            LlcIp,
            frame(
                0,
                &[&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd][..], &[0; 60]].concat(),
            ),
        ),
        remote("length_zero", "a length of 0", LengthField, short(0)),
        remote(
            "length_short",
            "a length that ends in the payload",
            LengthField,
            short(20),
        ),
        remote(
            "length_long",
            "a length beyond the payload",
            LengthField,
            short(64),
        ),
        remote(
            "isis",
            "IS-IS (SAP 0xFE)",
            RoutingProtocol,
            llc(&[0xfe, 0xfe, 0x03, 0x83]),
        ),
        remote(
            "snap_other",
            "any other SNAP protocol",
            Llc,
            snap([0x00, 0xe0, 0x2b], 0x00bb, &[0; 8]),
        ),
        remote(
            "llc_other",
            "any other access point",
            Llc,
            llc(&[0x04, 0x04, 0x03, 0]),
        ),
        remote(
            "llc_truncated",
            "an access point cut off",
            Llc,
            llc(&[0xe0]),
        ),
    ]
}

pub(super) fn arp_frames() -> Vec<Vector> {
    let own = [10, 0, 0, 50];
    let plain = arp(1, CLIENT, own);
    let changed = |at: usize, value| {
        let mut frame = plain.clone();
        frame[at] = value;
        frame
    };
    vec![
        remote(
            "arp_other",
            "ARP in the name of another station",
            ArpSender,
            arp(2, OTHER, own),
        ),
        remote(
            "arp_group",
            "ARP that gives a group address",
            ArpSender,
            arp(2, MacAddr::BROADCAST, own),
        ),
        remote(
            "arp_multicast",
            "ARP for an address that no station has",
            ArpSender,
            arp(1, CLIENT, [224, 0, 0, 1]),
        ),
        remote(
            "arp_operation",
            "ARP that is neither request nor reply",
            ArpOperation,
            arp(8, CLIENT, own),
        ),
        remote(
            "arp_truncated",
            "ARP cut off",
            ArpMalformed,
            plain[..plain.len() - 1].to_vec(),
        ),
        remote(
            "arp_hlen",
            "ARP with other address lengths",
            ArpMalformed,
            changed(18, 8),
        ),
        remote(
            "arp_hardware",
            "ARP for other hardware",
            ArpMalformed,
            changed(15, 6),
        ),
        remote(
            "arp_protocol",
            "ARP for other protocols",
            ArpMalformed,
            changed(17, 5),
        ),
    ]
}
