//! A player's PC says that it is the LAN's router, DHCP server or name server, the gateway box, or a host that says nothing, and
//! nobody hears it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lanparty_e2e::attack::watch;
use lanparty_e2e::bed::{Bed, ETH, LAN};
use lanparty_e2e::frames::{BROADCAST, contains, ethernet, icmp6, udp4};
use lanparty_e2e::link::{mac, wait_until};
use lanparty_e2e::party::TAP;
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::traffic::ping;
use lanparty_e2e::{Party, Program};
use lanparty_proto::MacAddr;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the LAN's DHCP server tells of, beside itself.
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 53);

/// The gateway box on the LAN.
const BOX: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);
const BOX_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);

/// A DHCP server and router for IPv6 on LAN host 0.
fn start_server(bed: &Bed) -> Program {
    bed.serve_and_advertise(
        (bed.host(0), ETH),
        "server",
        &[
            "--dhcp-range=192.168.77.100,192.168.77.199,255.255.255.0,1h",
            "--dhcp-range=fd77::,ra-only,64,1h",
            &format!("--dhcp-option-force=3,{ROUTER}"),
            &format!("--dhcp-option-force=6,{RESOLVER}"),
        ],
    )
    .unwrap()
}

/// Says that `address` is at `own`: an ARP reply, or a neighbour advertisement that overrides (RFC 4861, 4.4), to everybody.
fn claim(address: IpAddr, own: [u8; 6]) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => {
            let head = [0, 1, 8, 0, 6, 4, 0, 2];
            let address = address.octets();
            let message = [&head[..], &own, &address, &BROADCAST, &address].concat();

            ethernet(BROADCAST, own, 0x0806, &message)
        }
        IpAddr::V6(address) => {
            let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            let target = address.octets();
            let head = [136, 0, 0, 0, 0x20, 0, 0, 0];
            let message = [&head[..], &target, &[2, 1], &own].concat();
            let packet = icmp6(target, all_nodes, &message);

            ethernet([0x33, 0x33, 0, 0, 0, 1], own, 0x86dd, &packet)
        }
    }
}

/// The LAN's router for IPv6: the link-local address of host 0.
fn link_local(party: &Party) -> Ipv6Addr {
    let text = party
        .bed
        .host(0)
        .sh(&format!("ip -6 -o address show dev {ETH} scope link"))
        .unwrap();
    let address = text
        .split_whitespace()
        .find(|word| word.starts_with("fe80"));

    address.unwrap().split('/').next().unwrap().parse().unwrap()
}

#[test]
fn addresses_that_the_lan_lives_on_are_not_a_players_to_announce() {
    let bed = Bed::builder().hosts(2).build().unwrap();
    let mut party = Party::start_on(bed, 1).unwrap();
    let bed = &party.bed;
    // The box comes to its addresses while the gateway runs, as from a DHCP server.
    let gateway = bed.gateway(0);
    gateway
        .sysctl(&format!("net.ipv6.conf.{LAN}.disable_ipv6"), "0")
        .unwrap();
    for address in [format!("{BOX}/24"), format!("{BOX_V6}/64")] {
        gateway
            .sh(&format!("ip address add {address} dev {LAN}"))
            .unwrap();
    }
    let _server = start_server(bed);
    let player = bed.remote(0);
    let lease = bed.lease(player, TAP).unwrap();
    // Its router advertisements come every few seconds.
    player
        .sysctl(&format!("net.ipv6.conf.{TAP}.disable_ipv6"), "1")
        .unwrap();
    player
        .sysctl(&format!("net.ipv6.conf.{TAP}.disable_ipv6"), "0")
        .unwrap();
    wait_until("an advertisement's prefix", PATIENCE, || {
        let shown = player.sh(&format!("ip -6 address show dev {TAP} scope global"));
        shown.is_ok_and(|text| text.contains("fd77:"))
    })
    .unwrap();

    let own = mac((player, TAP)).unwrap();
    let claimed: [IpAddr; 6] = [
        ROUTER.into(),
        RESOLVER.into(),
        lease.server.into(),
        BOX.into(),
        BOX_V6.into(),
        link_local(&party).into(),
    ];
    let attacker = RawSocket::open((player, TAP)).unwrap();
    let victim = RawSocket::open((bed.host(1), ETH)).unwrap();
    let found = watch(
        (bed.host(1), ETH),
        |frame| {
            let is_claim = |address: &IpAddr| frame.starts_with(&claim(*address, own));
            claimed.iter().any(is_claim).then_some("claim")
        },
        || {
            for address in claimed {
                attacker.send(&claim(address, own))?;
                // A claim is counted before the next one comes.
                std::thread::sleep(Duration::from_millis(50));
            }
            let (from, to) = ((lease.address.octets(), 9999), ([255; 4], 9999));
            let last = udp4(from, to, b"behind the claims");
            attacker.send(&ethernet(BROADCAST, own, 0x0800, &last))?;
            victim.expect("the frame behind the claims", PATIENCE, |frame| {
                contains(frame, b"behind the claims")
            })?;
            // What is the player's own passes: the way is open.
            attacker.send(&claim(lease.address.into(), own))?;
            victim.expect("the player's own address", PATIENCE, |frame| {
                frame.starts_with(&claim(lease.address.into(), own))
            })?;
            Ok(())
        },
    )
    .unwrap();

    assert_eq!(found, std::collections::BTreeMap::new());
    for address in claimed {
        let line = party
            .gateway
            .wait_line(&format!("claimed {address},"))
            .unwrap();
        assert!(line.contains("the LAN ("), "{line}");
    }
    // Who is on the LAN finds the box where it is.
    for address in [IpAddr::from(BOX), BOX_V6.into()] {
        let answered = ping(party.bed.host(1), address, 1).unwrap();
        assert_eq!(answered.received, 1, "{address}");
    }
}

/// Nobody has it.
const FREE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 66);

/// How often a player's PC says that it has an address, and every how long: more than the gateway takes to believe it.
const CLAIMS: usize = 24;
const CLAIM_INTERVAL: Duration = Duration::from_millis(250);

#[test]
fn a_host_that_says_nothing_keeps_its_address_however_often_a_player_announces_it() {
    // Its addresses are static, and it has talked to nobody: the LAN has not heard of it.
    let bed = Bed::builder().hosts(2).build().unwrap();
    let mut party = Party::start_on(bed, 1).unwrap();
    let bed = &party.bed;
    let mute = [
        Bed::host_address(1).into(),
        IpAddr::V6("fd77::11".parse().unwrap()),
    ];
    let own = party.tunnel_mac(0).unwrap();
    let attacker = RawSocket::open((bed.remote(0), TAP)).unwrap();

    let found = watch(
        (bed.host(0), ETH),
        |frame| {
            let is_claim = |address: IpAddr| frame.starts_with(&claim(address, own));
            if mute.iter().any(|address| is_claim(*address)) {
                return Some("claim");
            }
            is_claim(FREE.into()).then_some("of the player's own")
        },
        || {
            for _ in 0..CLAIMS {
                for address in mute.into_iter().chain([FREE.into()]) {
                    attacker.send(&claim(address, own))?;
                }
                std::thread::sleep(CLAIM_INTERVAL);
            }
            Ok(())
        },
    )
    .unwrap();

    // The way was open: what nobody answers for passes once the LAN was asked.
    assert!(
        found
            .get("of the player's own")
            .is_some_and(|&count| count >= CLAIMS / 2),
        "{found:?}"
    );
    assert_eq!(found.get("claim"), None, "{found:?}");
    let host = MacAddr(party.host_mac(1).unwrap());
    for address in mute {
        let line = party
            .gateway
            .wait_line(&format!("claimed {address},"))
            .unwrap();
        assert!(line.contains(&format!("{host} on the LAN")), "{line}");
        let answered = ping(party.bed.host(0), address, 1).unwrap();
        assert_eq!(answered.received, 1, "{address}");
    }
}
