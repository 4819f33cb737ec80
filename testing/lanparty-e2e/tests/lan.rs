//! What a player does at a party: gets an address, reaches everybody, finds games.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lanparty_e2e::bed::Bed;
use lanparty_e2e::dhcp::Lease;
use lanparty_e2e::party::TAP;
use lanparty_e2e::traffic::{Enough, ping, tcp, udp_echo};
use lanparty_e2e::{Party, Program, openttd};

const PATIENCE: Duration = Duration::from_secs(10);

/// The LAN's directed broadcast address.
const LAN_BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 255);

/// A party whose player has a lease.
fn leased() -> (Party, Program, Lease) {
    let party = Party::start().unwrap();
    let dnsmasq = party.bed.start_dnsmasq().unwrap();
    let lease = party.bed.lease(party.bed.remote(0), TAP).unwrap();

    (party, dnsmasq, lease)
}

#[test]
fn remote_pc_gets_its_lease_from_the_party_s_dhcp_server() {
    let (_party, _dnsmasq, lease) = leased();

    assert_eq!(lease.server, Bed::host_address(0));
    assert_eq!(lease.address.octets()[..3], [192, 168, 77]);
    assert!((100..200).contains(&lease.address.octets()[3]), "{lease:?}");
}

#[test]
fn everybody_is_resolved_by_arp_and_answers_pings() {
    let (party, _dnsmasq, lease) = leased();
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));

    // The first packet of each direction waits for ARP; none is lost for it.
    assert_eq!(
        ping(remote, Bed::host_address(0).into(), 5)
            .unwrap()
            .received,
        5
    );
    assert_eq!(ping(host, lease.address.into(), 5).unwrap().received, 5);

    let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
    let known = remote
        .sh(&format!(
            "ip neighbour show {} dev {TAP}",
            Bed::host_address(0)
        ))
        .unwrap();
    assert!(known.contains(&mac(party.host_mac(0).unwrap())), "{known}");
    let known = host
        .sh(&format!("ip neighbour show {}", lease.address))
        .unwrap();
    assert!(
        known.contains(&mac(party.tunnel_mac(0).unwrap())),
        "{known}"
    );
}

#[test]
fn tcp_arrives_whole_both_ways() {
    let (party, _dnsmasq, lease) = leased();
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));

    tcp(
        remote,
        host,
        Bed::host_address(0).into(),
        Enough::Bytes(20_000_000),
    )
    .unwrap();
    tcp(
        host,
        remote,
        lease.address.into(),
        Enough::Bytes(20_000_000),
    )
    .unwrap();
}

#[test]
fn udp_of_every_usual_size_comes_back() {
    let (party, _dnsmasq, lease) = leased();
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));

    for size in [1, 512, 1200] {
        udp_echo(remote, host, Bed::host_address(0).into(), &vec![0x5a; size]).unwrap();
        udp_echo(host, remote, lease.address.into(), &vec![0xa5; size]).unwrap();
    }
}

#[test]
fn ipv6_hosts_find_each_other_by_neighbour_discovery() {
    let party = Party::start().unwrap();
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));
    remote
        .sh(&format!("ip address add fd77::99/64 dev {TAP} nodad"))
        .unwrap();

    assert_eq!(
        ping(remote, "fd77::10".parse().unwrap(), 3)
            .unwrap()
            .received,
        3
    );
    assert_eq!(
        ping(host, "fd77::99".parse().unwrap(), 3).unwrap().received,
        3
    );
}

#[test]
fn game_on_the_lan_is_found_from_the_remote_pc() {
    let (party, _dnsmasq, _lease) = leased();
    let _server = party
        .bed
        .start_openttd(party.bed.host(0), "game on the LAN")
        .unwrap();

    // The game asks its network's broadcast address; others ask 255.255.255.255, which must take the same way.
    for broadcast in [LAN_BROADCAST, Ipv4Addr::BROADCAST] {
        let found = openttd::find(party.bed.remote(0), broadcast, PATIENCE).unwrap();
        assert_eq!(
            found.ip(),
            IpAddr::from(Bed::host_address(0)),
            "by {broadcast}"
        );
        assert!(openttd::is_called(party.bed.remote(0), found, "game on the LAN").unwrap());
    }
}

#[test]
fn game_on_the_remote_pc_is_found_from_the_lan() {
    let (party, _dnsmasq, lease) = leased();
    let _server = party
        .bed
        .start_openttd(party.bed.remote(0), "game at home")
        .unwrap();

    for broadcast in [LAN_BROADCAST, Ipv4Addr::BROADCAST] {
        let found = openttd::find(party.bed.host(0), broadcast, PATIENCE).unwrap();
        assert_eq!(found.ip(), IpAddr::from(lease.address), "by {broadcast}");
        assert!(openttd::is_called(party.bed.host(0), found, "game at home").unwrap());
    }
}
