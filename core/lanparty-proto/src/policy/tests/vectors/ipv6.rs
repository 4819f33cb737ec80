//! IPv6 and what it carries.

#![expect(clippy::too_many_lines, reason = "tables")]

use super::{Vector, remote};
use crate::policy::Refusal::*;
use crate::policy::tests::build::{
    CLIENT, OTHER, frame, icmpv6, ipv6, ipv6_packet, neighbor, router_advertisement, udp6,
};

pub(super) fn ipv6_frames() -> Vec<Vector> {
    let advertisement = router_advertisement(&[]);
    let fragment = |offset_and_more: u16, next, rest: &[u8]| {
        let [o0, o1] = offset_and_more.to_be_bytes();
        ipv6(44, &[&[next, 0, o0, o1, 0, 0, 0, 1][..], rest].concat())
    };
    let packet = ipv6_packet(17, 64, &udp6(4000, 4001, b"hello"));
    let changed = |at: usize, value| {
        let mut packet = packet.clone();
        packet[at] = value;
        frame(0x86dd, &packet)
    };
    let many = [[60, 0, 1, 4, 0, 0, 0, 0]; 9].concat();
    let wide = [&[17, 32][..], &[1; 262]].concat();
    vec![
        remote(
            "ipv6_version",
            "IPv6 with another version",
            Ipv6Malformed,
            changed(0, 0x45),
        ),
        remote(
            "ipv6_long",
            "IPv6 longer than its frame",
            Ipv6Malformed,
            changed(5, 200),
        ),
        remote(
            "ipv6_truncated",
            "IPv6 cut off",
            Ipv6Malformed,
            frame(0x86dd, &packet[..39]),
        ),
        remote(
            "ipv6_source_multicast",
            "a multicast address as source",
            IpAddress,
            changed(8, 0xff),
        ),
        remote(
            "ipv6_jumbogram",
            "a jumbogram, which has no length",
            Ipv6Chain,
            ipv6(0, &[])
                .into_iter()
                .chain([17, 0, 0xc2, 4, 0, 1, 0, 0])
                .collect(),
        ),
        remote(
            "ipv6_fragment",
            "IPv6 fragments",
            Ipv6Fragment,
            fragment(0x0001, 17, &udp6(4000, 4001, &[])),
        ),
        remote(
            "ipv6_atomic",
            "atomic fragments (RFC 6946)",
            Ipv6Fragment,
            fragment(0, 17, &udp6(4000, 4001, &[])),
        ),
        remote(
            "ipv6_later_fragment",
            "later fragments",
            Ipv6Fragment,
            fragment(0x0100, 58, &advertisement),
        ),
        remote(
            "ipv6_hidden_fragment",
            "fragments behind destination options",
            Ipv6Fragment,
            ipv6(60, &[44, 0, 1, 4, 0, 0, 0, 0, 58, 0, 0, 0, 0, 0, 0, 1]),
        ),
        remote(
            "chain_truncated",
            "a chain of headers cut off",
            Ipv6Chain,
            ipv6(60, &[58, 3, 0, 0, 0, 0, 0, 0]),
        ),
        remote(
            "chain_too_many",
            "more than eight extension headers",
            Ipv6Chain,
            ipv6(60, &many),
        ),
        remote(
            "chain_too_long",
            "more than 256 bytes of extension headers",
            Ipv6Chain,
            ipv6(60, &wide),
        ),
        remote(
            "chain_order",
            "hop-by-hop options that do not come first",
            Ipv6Chain,
            ipv6(60, &[0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0]),
        ),
        remote(
            "chain_routing_0",
            "a routing header of type 0",
            Ipv6Chain,
            ipv6(43, &[17, 0, 0, 1, 0, 0, 0, 0]),
        ),
        remote(
            "chain_unknown",
            "a header that is not understood",
            IpProtocol,
            ipv6(135, &[17, 0, 0, 0, 0, 0, 0, 0]),
        ),
        remote("tunnel6", "a tunnel over IPv6", Tunnel, ipv6(41, &packet)),
        remote(
            "ospf6",
            "a routing protocol over IPv6",
            RoutingProtocol,
            ipv6(89, &[3; 16]),
        ),
    ]
}

pub(super) fn icmpv6_frames() -> Vec<Vector> {
    let advertisement = router_advertisement(&[]);
    let behind = |kind: u8, header: &[u8]| ipv6(kind, &[header, &advertisement].concat());
    let hop = frame(0x86dd, &ipv6_packet(58, 64, &neighbor(135, 0, 1, CLIENT)));
    let mut zero = neighbor(135, 0, 1, CLIENT);
    zero[25] = 0;
    vec![
        remote(
            "ra",
            "router advertisement",
            RouterAdvertisement,
            ipv6(58, &advertisement),
        ),
        remote(
            "ra_hop_limit",
            "the same with a hop limit that hosts ignore",
            RouterAdvertisement,
            frame(0x86dd, &ipv6_packet(58, 64, &advertisement)),
        ),
        remote(
            "ra_hop_by_hop",
            "the same behind hop-by-hop options",
            RouterAdvertisement,
            behind(0, &[58, 0, 1, 4, 0, 0, 0, 0]),
        ),
        remote(
            "ra_destination",
            "the same behind destination options",
            RouterAdvertisement,
            behind(60, &[58, 0, 1, 4, 0, 0, 0, 0]),
        ),
        remote(
            "ra_routing",
            "the same behind a routing header",
            RouterAdvertisement,
            behind(43, &[58, 0, 4, 0, 0, 0, 0, 0]),
        ),
        remote(
            "ra_authentication",
            "the same behind AH",
            RouterAdvertisement,
            behind(
                51,
                &[
                    58, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ],
            ),
        ),
        remote(
            "ra_two_headers",
            "the same behind two headers",
            RouterAdvertisement,
            behind(0, &[60, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4, 0, 0, 0, 0]),
        ),
        remote(
            "redirect6",
            "ICMPv6 redirect",
            Redirect,
            ipv6(58, &icmpv6(137, &[0; 36])),
        ),
        remote(
            "mld_query",
            "MLD query",
            MulticastQuery,
            ipv6(58, &icmpv6(130, &[0; 20])),
        ),
        remote(
            "mrd6",
            "multicast router advertisement",
            MulticastRouter,
            ipv6(58, &icmpv6(151, &[0; 4])),
        ),
        remote(
            "renumbering",
            "router renumbering, certificates and other ICMPv6",
            Icmpv6Type,
            ipv6(58, &icmpv6(138, &[0; 12])),
        ),
        remote(
            "ns_other",
            "neighbour solicitation in the name of another station",
            NdSender,
            ipv6(58, &neighbor(135, 0, 1, OTHER)),
        ),
        remote(
            "na_other",
            "neighbour advertisement in the name of another station",
            NdSender,
            ipv6(58, &neighbor(136, 0x60, 2, OTHER)),
        ),
        remote(
            "na_router",
            "neighbour advertisement of a router",
            NdRouter,
            ipv6(58, &neighbor(136, 0xe0, 2, CLIENT)),
        ),
        remote(
            "ns_hop_limit",
            "neighbour discovery that was forwarded",
            NdMalformed,
            hop,
        ),
        remote(
            "ns_option_zero",
            "a neighbour discovery option of length 0",
            NdMalformed,
            ipv6(58, &zero),
        ),
        remote(
            "icmpv6_empty",
            "ICMPv6 without a byte",
            TransportMalformed,
            ipv6(58, &[]),
        ),
        remote(
            "dhcpv6_server",
            "a DHCPv6 server's message",
            Dhcpv6Server,
            ipv6(17, &udp6(547, 546, &[7, 0, 0, 1])),
        ),
        remote(
            "dhcpv6_odd_port",
            "the same from an odd port",
            Dhcpv6Server,
            ipv6(17, &udp6(4000, 546, &[7, 0, 0, 1])),
        ),
        remote(
            "dhcpv6_destination",
            "the same behind destination options",
            Dhcpv6Server,
            ipv6(
                60,
                &[
                    &[17, 0, 1, 4, 0, 0, 0, 0][..],
                    &udp6(547, 546, &[7, 0, 0, 1]),
                ]
                .concat(),
            ),
        ),
        remote(
            "dhcpv6_advertise",
            "what a server says, to port 547",
            Dhcpv6Server,
            ipv6(17, &udp6(546, 547, &[2, 0, 0, 1])),
        ),
        remote(
            "dhcpv6_empty",
            "DHCPv6 without a byte",
            Dhcpv6Malformed,
            ipv6(17, &udp6(546, 547, &[])),
        ),
    ]
}
