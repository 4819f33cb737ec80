//! What passes both ways.

#![expect(clippy::too_many_lines, reason = "tables")]

use super::{Vector, pass, snap, to};
use crate::policy::tests::build::{
    CLIENT, arp, dhcp, frame, icmpv6, ipv4, ipv4_packet, ipv6, llc, neighbor, tcp, udp, udp6,
};

pub(super) fn passing() -> Vec<Vector> {
    let game = udp(27015, 27015, b"hello");
    let request = dhcp(1, CLIENT, &[53, 1, 1, 255]);
    vec![
        pass("udp", "UDP over IPv4", ipv4(17, &game)),
        pass("tcp", "TCP over IPv4", ipv4(6, &tcp())),
        pass("ping", "ICMP echo", ipv4(1, &[8, 0, 0, 0, 0, 1, 0, 1])),
        pass(
            "udp_broadcast",
            "a game's announcement to 255.255.255.255",
            to([0xff; 6]),
        ),
        pass(
            "udp_multicast",
            "IPv4 multicast (mDNS, SSDP)",
            to([0x01, 0x00, 0x5e, 0, 0, 0xfb]),
        ),
        pass(
            "ipv4_fragment",
            "IPv4 fragments of an ordinary datagram",
            frame(
                0x0800,
                &ipv4_packet(17, 0x2000, &[], &udp(4000, 4001, &[0; 8])),
            ),
        ),
        pass(
            "ipv4_later_fragment",
            "their later fragments",
            frame(0x0800, &ipv4_packet(17, 0x2001, &[], &[0; 16])),
        ),
        pass(
            "dhcp_request",
            "a DHCPv4 client's message about itself",
            ipv4(17, &udp(68, 67, &request)),
        ),
        pass(
            "dhcpv6_solicit",
            "a DHCPv6 client's message",
            ipv6(17, &udp6(546, 547, &[1, 0, 0, 1])),
        ),
        pass(
            "igmp_report",
            "IGMP reports, with a router alert",
            frame(
                0x0800,
                &ipv4_packet(2, 0, &[0x94, 4, 0, 0], &[0x16, 0, 0, 0, 224, 0, 0, 251]),
            ),
        ),
        pass(
            "arp_request",
            "ARP request in its own name",
            arp(1, CLIENT, [10, 0, 0, 50]),
        ),
        pass(
            "arp_reply",
            "ARP reply in its own name",
            arp(2, CLIENT, [10, 0, 0, 50]),
        ),
        pass("arp_probe", "ARP probe (RFC 5227)", arp(1, CLIENT, [0; 4])),
        pass(
            "udp6",
            "UDP over IPv6",
            ipv6(17, &udp6(4000, 4001, b"hello")),
        ),
        pass("tcp6", "TCP over IPv6", ipv6(6, &tcp())),
        pass(
            "ping6",
            "ICMPv6 echo",
            ipv6(58, &icmpv6(128, &[0, 1, 0, 1])),
        ),
        pass(
            "ns",
            "neighbour solicitation in its own name",
            ipv6(58, &neighbor(135, 0, 1, CLIENT)),
        ),
        pass(
            "na",
            "neighbour advertisement in its own name",
            ipv6(58, &neighbor(136, 0x60, 2, CLIENT)),
        ),
        pass("rs", "router solicitation", ipv6(58, &icmpv6(133, &[0; 4]))),
        pass(
            "mld_report",
            "MLD report behind hop-by-hop options",
            ipv6(
                0,
                &[&[58, 0, 5, 2, 0, 0, 1, 0][..], &icmpv6(143, &[0, 0, 0, 0])].concat(),
            ),
        ),
        pass(
            "ipx_ethernet_ii",
            "IPX over EtherType 0x8137",
            frame(0x8137, &[0xff; 30]),
        ),
        pass("ipx_raw", "IPX over raw 802.3", llc(&[0xff; 30])),
        pass(
            "ipx_llc",
            "IPX over 802.2 (SAP 0xE0)",
            llc(&[&[0xe0, 0xe0, 0x03][..], &[0xff; 30]].concat()),
        ),
        pass(
            "ipx_snap",
            "IPX over SNAP",
            snap([0; 3], 0x8137, &[0xff; 30]),
        ),
        pass(
            "netbeui",
            "NetBIOS frames over 802.2 (SAP 0xF0)",
            llc(&[0xf0, 0xf0, 0x03, 0x2c, 0, 0xff, 0xef, 8]),
        ),
        pass(
            "appletalk",
            "AppleTalk over SNAP",
            snap([8, 0, 7], 0x809b, &[0; 20]),
        ),
        pass(
            "aarp",
            "AppleTalk address resolution over SNAP",
            snap([0; 3], 0x80f3, &[0; 28]),
        ),
        pass(
            "psp_adhoc",
            "ad-hoc play of the PSP",
            frame(0x88c8, &[0; 46]),
        ),
    ]
}
