//! IPv4 and what it carries.

#![expect(clippy::too_many_lines, reason = "tables")]

use super::{Vector, remote};
use crate::policy::Refusal::*;
use crate::policy::tests::build::{
    CLIENT, OTHER, dhcp, frame, ipv4, ipv4_packet, ipv6, tcp, udp, udp6,
};

pub(super) fn ipv4_frames() -> Vec<Vector> {
    let game = udp(4000, 4001, b"hello");
    let packet = ipv4_packet(17, 0, &[], &game);
    let changed = |at: usize, value| {
        let mut packet = packet.clone();
        packet[at] = value;
        frame(0x0800, &packet)
    };
    let reply = dhcp(2, CLIENT, &[53, 1, 5, 255]);
    let server = udp(67, 68, &reply);
    let over = |protocol| ipv4(protocol, &[0; 20]);
    vec![
        remote(
            "ipv4_version",
            "IPv4 with another version",
            Ipv4Malformed,
            changed(0, 0x65),
        ),
        remote(
            "ipv4_ihl",
            "IPv4 with a header under 20 bytes",
            Ipv4Malformed,
            changed(0, 0x44),
        ),
        remote(
            "ipv4_long",
            "IPv4 longer than its frame",
            Ipv4Malformed,
            changed(3, 200),
        ),
        remote(
            "ipv4_zero_length",
            "IPv4 without a length",
            Ipv4Malformed,
            changed(3, 0),
        ),
        remote(
            "ipv4_truncated",
            "IPv4 cut off",
            Ipv4Malformed,
            frame(0x0800, &packet[..19]),
        ),
        remote(
            "ipv4_source_multicast",
            "a multicast address as source",
            IpAddress,
            changed(12, 224),
        ),
        remote(
            "ipv4_loopback",
            "a loopback address",
            IpAddress,
            changed(16, 127),
        ),
        remote(
            "ipv4_source_route",
            "IPv4 source routing",
            Ipv4SourceRoute,
            frame(0x0800, &ipv4_packet(17, 0, &[131, 4, 4, 0], &game)),
        ),
        remote(
            "ipv4_option_length",
            "an IPv4 option without a length",
            Ipv4Malformed,
            frame(0x0800, &ipv4_packet(17, 0, &[7, 0, 0, 0], &game)),
        ),
        remote(
            "fragment_dhcp",
            "a DHCP reply in fragments",
            Ipv4Fragment,
            frame(0x0800, &ipv4_packet(17, 0x2000, &[], &server[..16])),
        ),
        remote(
            "fragment_hidden_op",
            "DHCP whose operation is in the second fragment",
            Ipv4Fragment,
            frame(0x0800, &ipv4_packet(17, 0x2000, &[], &udp(4000, 67, &[]))),
        ),
        remote(
            "fragment_tiny",
            "a first fragment without the UDP header",
            TransportMalformed,
            frame(0x0800, &ipv4_packet(17, 0x2000, &[], &[0x0f, 0xa0])),
        ),
        remote(
            "fragment_tcp",
            "a fragment that overwrites a TCP header",
            Ipv4Fragment,
            frame(0x0800, &ipv4_packet(6, 0x0001, &[], &[0; 16])),
        ),
        remote(
            "fragment_end",
            "a fragment beyond 65,535 bytes",
            Ipv4Fragment,
            frame(0x0800, &ipv4_packet(17, 0x1fff, &[], &[0; 16])),
        ),
        remote(
            "fragment_igmp",
            "IGMP in fragments",
            Ipv4Fragment,
            frame(0x0800, &ipv4_packet(2, 0x2000, &[], &[0x11; 8])),
        ),
        remote(
            "tcp_truncated",
            "TCP cut off",
            TransportMalformed,
            ipv4(6, &tcp()[..19]),
        ),
        remote(
            "tcp_offset",
            "TCP with a header beyond the packet",
            TransportMalformed,
            ipv4(6, &[&tcp()[..12], &[0xf0; 8]].concat()),
        ),
        remote(
            "redirect4",
            "ICMP redirect",
            Redirect,
            ipv4(1, &[5, 1, 0, 0, 10, 0, 0, 66]),
        ),
        remote(
            "irdp",
            "ICMP router advertisement",
            RouterAdvertisement,
            ipv4(1, &[9, 0, 0, 0, 1, 2, 7, 8]),
        ),
        remote(
            "icmp_truncated",
            "ICMP cut off",
            TransportMalformed,
            ipv4(1, &[8, 0]),
        ),
        remote(
            "igmp_query",
            "IGMP query",
            MulticastQuery,
            ipv4(2, &[0x11, 0, 0, 0, 0, 0, 0, 0]),
        ),
        remote(
            "mrd4",
            "IGMP multicast router advertisement",
            MulticastRouter,
            ipv4(2, &[0x30, 0, 0, 0, 0, 0, 0, 0]),
        ),
        remote(
            "dvmrp",
            "DVMRP",
            MulticastRouter,
            ipv4(2, &[0x13, 0, 0, 0, 0, 0, 0, 0]),
        ),
        remote("pim", "PIM", RoutingProtocol, over(103)),
        remote("ospf", "OSPF", RoutingProtocol, over(89)),
        remote("eigrp", "EIGRP", RoutingProtocol, over(88)),
        remote("vrrp", "VRRP and CARP", RouterRedundancy, over(112)),
        remote("ipip", "IPv4 in IP", Tunnel, over(4)),
        remote("sixin4", "IPv6 in IP (6in4, ISATAP)", Tunnel, over(41)),
        remote("gre", "GRE", Tunnel, over(47)),
        remote("etherip", "EtherIP", Tunnel, over(97)),
        remote("l2tpv3", "L2TPv3", Tunnel, over(115)),
        remote(
            "ah4",
            "AH over IPv4, which hides what follows",
            IpProtocol,
            over(51),
        ),
        remote("icmpv6_over_ipv4", "ICMPv6 over IPv4", IpProtocol, over(58)),
        remote("esp", "any other IP protocol", IpProtocol, over(50)),
    ]
}

pub(super) fn udp_frames() -> Vec<Vector> {
    let reply = dhcp(2, CLIENT, &[53, 1, 5, 255]);
    let relayed = {
        let mut request = dhcp(1, CLIENT, &[255]);
        request[24] = 10;
        request
    };
    let over = |source, destination, data: &[u8]| ipv4(17, &udp(source, destination, data));
    let long = {
        let mut datagram = udp(4000, 4001, b"hello");
        datagram[5] = 200;
        datagram
    };
    vec![
        remote(
            "udp_length",
            "UDP longer than its packet",
            TransportMalformed,
            ipv4(17, &long),
        ),
        remote(
            "udp_truncated",
            "UDP cut off",
            TransportMalformed,
            ipv4(17, &[0, 67, 0]),
        ),
        remote(
            "dhcp_server",
            "a DHCPv4 server's reply",
            DhcpServer,
            over(67, 68, &reply),
        ),
        remote(
            "dhcp_server_odd_port",
            "the same from an odd port",
            DhcpServer,
            over(4000, 68, &reply),
        ),
        remote(
            "dhcp_server_odd_ports",
            "the same between odd ports",
            DhcpServer,
            over(4000, 4011, &reply),
        ),
        remote(
            "dhcp_reply_to_relay",
            "a BOOTREPLY to port 67",
            DhcpServer,
            over(68, 67, &reply),
        ),
        remote(
            "dhcp_from_server_port",
            "anything from port 67",
            DhcpServer,
            over(67, 4000, b"hello"),
        ),
        remote(
            "dhcp_options",
            "a DHCPv4 reply behind IPv4 options",
            DhcpServer,
            frame(
                0x0800,
                &ipv4_packet(17, 0, &[1, 1, 1, 0], &udp(67, 68, &reply)),
            ),
        ),
        remote(
            "dhcp_other_chaddr",
            "a DHCPv4 request for another station",
            DhcpSender,
            over(68, 67, &dhcp(1, OTHER, &[255])),
        ),
        remote(
            "dhcp_relayed",
            "a DHCPv4 request from a relay agent",
            DhcpSender,
            over(68, 67, &relayed),
        ),
        remote(
            "dhcp_short",
            "a DHCPv4 request cut off",
            DhcpMalformed,
            over(68, 67, &[1, 1, 6]),
        ),
        remote(
            "dhcpv6_server4",
            "a DHCPv6 port over IPv4",
            Dhcpv6Server,
            over(547, 546, &[2]),
        ),
        remote("rip", "RIP", RoutingProtocol, over(520, 520, &[2, 2, 0, 0])),
        remote("hsrp", "HSRP", RouterRedundancy, over(1985, 1985, &[0; 20])),
        remote(
            "hsrp6",
            "HSRP for IPv6",
            RouterRedundancy,
            ipv6(17, &udp6(2029, 2029, &[0; 20])),
        ),
        remote("glbp", "GLBP", RouterRedundancy, over(3222, 3222, &[0; 20])),
    ]
}
