//! Frames of every kind pass both ways, unchanged, and never come back.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use lanparty_e2e::Party;
use lanparty_e2e::bed::ETH;
use lanparty_e2e::frames::{BROADCAST, contains, ethernet, icmp6, ipx, length_field, udp4};
use lanparty_e2e::party::TAP;
use lanparty_e2e::raw::RawSocket;

const PATIENCE: Duration = Duration::from_secs(10);

/// How long a frame that must not arrive is waited for. A frame that passes takes a few milliseconds, and every
/// test that uses this first sees one pass.
const SILENCE: Duration = Duration::from_millis(500);

/// The group of mDNS (RFC 6762), as IPv4 and as Ethernet address.
const MDNS: [u8; 4] = [224, 0, 0, 251];
const MDNS_MAC: [u8; 6] = [0x01, 0, 0x5e, 0, 0, 0xfb];

/// The group of mDNS by IPv6, `ff02::fb`.
const MDNS6_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 0xfb];

/// Both ends of a party, with raw sockets.
struct Ends {
    party: Party,
    remote: RawSocket,
    host: RawSocket,
    remote_mac: [u8; 6],
    host_mac: [u8; 6],
}

impl Ends {
    fn new() -> Self {
        let party = Party::start().unwrap();
        let remote = RawSocket::open((party.bed.remote(0), TAP)).unwrap();
        let host = RawSocket::open((party.bed.host(0), ETH)).unwrap();
        let (remote_mac, host_mac) = (party.tunnel_mac(0).unwrap(), party.host_mac(0).unwrap());

        Self {
            party,
            remote,
            host,
            remote_mac,
            host_mac,
        }
    }

    /// Sends what `frame` makes of destination (if it is not a group), source and marker, both ways, and expects
    /// it unchanged on the other side and not again on its own.
    fn pass_both_ways(&self, what: &str, frame: impl Fn([u8; 6], [u8; 6], &[u8]) -> Vec<u8>) {
        let ways = [
            (
                &self.remote,
                self.remote_mac,
                &self.host,
                self.host_mac,
                "towards the LAN",
            ),
            (
                &self.host,
                self.host_mac,
                &self.remote,
                self.remote_mac,
                "towards the remote PC",
            ),
        ];
        for (from, source, to, destination, way) in ways {
            let marker = format!("{what} {way}");
            let sent = frame(destination, source, marker.as_bytes());
            from.send(&sent).unwrap();
            let arrived = to
                .expect(&marker, PATIENCE, |bytes| {
                    contains(bytes, marker.as_bytes())
                })
                .unwrap();
            assert_eq!(arrived, sent, "{marker}");
            let reflected = from
                .collect(Duration::from_millis(50), |bytes| {
                    contains(bytes, marker.as_bytes())
                })
                .unwrap();
            assert_eq!(reflected, Vec::<Vec<u8>>::new(), "{marker} came back");
        }
    }
}

#[test]
fn broadcast_and_unicast_of_any_ether_type_pass() {
    let ends = Ends::new();

    ends.pass_both_ways("broadcast", |_, source, marker| {
        ethernet(BROADCAST, source, 0x0800, &limited(marker))
    });
    ends.pass_both_ways("unicast", |destination, source, marker| {
        ethernet(destination, source, 0x0800, &limited(marker))
    });
}

/// An IPv4 packet to 255.255.255.255, as games look for servers.
fn limited(marker: &[u8]) -> Vec<u8> {
    udp4(([192, 168, 77, 200], 27_015), ([255; 4], 27_015), marker)
}

#[test]
fn ipv4_multicast_and_mdns_pass() {
    let ends = Ends::new();

    ends.pass_both_ways("mDNS", |_, source, marker| {
        ethernet(
            MDNS_MAC,
            source,
            0x0800,
            &udp4(([192, 168, 77, 200], 5353), (MDNS, 5353), marker),
        )
    });
    // 239.255.255.250, SSDP.
    ends.pass_both_ways("SSDP", |_, source, marker| {
        let group = [0x01, 0, 0x5e, 0x7f, 0xff, 0xfa];
        ethernet(
            group,
            source,
            0x0800,
            &udp4(
                ([192, 168, 77, 200], 1900),
                ([239, 255, 255, 250], 1900),
                marker,
            ),
        )
    });
}

#[test]
fn ipv6_multicast_and_neighbour_discovery_pass() {
    let ends = Ends::new();
    let link_local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x77];

    ends.pass_both_ways("ICMPv6 to a group", |_, source, marker| {
        let group = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb];
        let echo = [&[128, 0, 0, 0, 0, 1, 0, 1], marker].concat();
        ethernet(MDNS6_MAC, source, 0x86dd, &icmp6(link_local, group, &echo))
    });
    // The gateway asks the LAN about an address before a player may announce it.
    std::thread::sleep(Duration::from_secs(1));
    // A solicitation for fe80::1:2 (RFC 4861, 4.3) with the sender's own address; known by its target.
    let ways = [
        (2, &ends.remote, ends.remote_mac, &ends.host),
        (3, &ends.host, ends.host_mac, &ends.remote),
    ];
    for (solicited, from, source, to) in ways {
        let target = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, solicited];
        let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 1, 0, solicited];
        let message = [&[135, 0, 0, 0, 0, 0, 0, 0], &target[..], &[1, 1], &source].concat();
        let frame = ethernet(
            [0x33, 0x33, 0xff, 1, 0, solicited],
            source,
            0x86dd,
            &icmp6(link_local, group, &message),
        );
        from.send(&frame).unwrap();
        let arrived = to
            .expect("a neighbour solicitation", PATIENCE, |bytes| {
                contains(bytes, &target)
            })
            .unwrap();
        assert_eq!(arrived, frame);
    }
}

#[test]
fn ipx_in_all_its_frames_passes() {
    let ends = Ends::new();

    ends.pass_both_ways("IPX, Ethernet II", |_, source, marker| {
        ethernet(BROADCAST, source, 0x8137, &ipx(BROADCAST, source, marker))
    });
    ends.pass_both_ways("IPX, raw 802.3", |_, source, marker| {
        length_field(BROADCAST, source, &ipx(BROADCAST, source, marker))
    });
    ends.pass_both_ways("IPX, 802.2", |destination, source, marker| {
        let packet = [
            &[0xe0, 0xe0, 3],
            ipx(destination, source, marker).as_slice(),
        ]
        .concat();
        length_field(destination, source, &packet)
    });
}

#[test]
fn foreign_sources_never_leave_the_remote_pc() {
    let ends = Ends::new();
    let foreign = [2, 0xff, 0, 0, 0, 1];

    ends.remote
        .send(&ethernet(
            BROADCAST,
            foreign,
            0x0800,
            &limited(b"not my MAC"),
        ))
        .unwrap();
    ends.remote
        .send(&ethernet(
            BROADCAST,
            ends.host_mac,
            0x0800,
            &limited(b"not my MAC"),
        ))
        .unwrap();
    ends.remote
        .send(&ethernet(
            BROADCAST,
            ends.remote_mac,
            0x0800,
            &limited(b"my own MAC"),
        ))
        .unwrap();

    ends.host
        .expect("the frame behind them", PATIENCE, |bytes| {
            contains(bytes, b"my own MAC")
        })
        .unwrap();
    let unknown = ends
        .host
        .collect(SILENCE, |bytes| contains(bytes, b"not my MAC"))
        .unwrap();
    assert_eq!(unknown, Vec::<Vec<u8>>::new());
}

#[test]
fn unicast_between_lan_hosts_does_not_reach_the_remote_pc() {
    let ends = Ends::new();
    let nobody = [2, 0xff, 0, 0, 0, 2];

    ends.host
        .send(&ethernet(
            nobody,
            ends.host_mac,
            0x0800,
            &limited(b"for a host"),
        ))
        .unwrap();
    ends.host
        .send(&ethernet(
            BROADCAST,
            ends.host_mac,
            0x0800,
            &limited(b"for all"),
        ))
        .unwrap();

    ends.remote
        .expect("the broadcast behind it", PATIENCE, |bytes| {
            contains(bytes, b"for all")
        })
        .unwrap();
    assert_eq!(
        ends.remote
            .collect(SILENCE, |bytes| contains(bytes, b"for a host"))
            .unwrap(),
        Vec::<Vec<u8>>::new()
    );
    drop(ends.party);
}
