//! Who hears whom: two clients and the LAN, two rooms on one relay, those who come back, and those refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use lanparty_e2e::Party;
use lanparty_e2e::bed::{Bed, ETH};
use lanparty_e2e::frames::{BROADCAST, contains, ethernet, udp4};
use lanparty_e2e::netns::Namespace;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::traffic::ping;
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_secs(10);

/// How long a frame that must not arrive is waited for; a frame that passes takes a few milliseconds.
const SILENCE: Duration = Duration::from_millis(500);

/// A broadcast from 192.168.77.`host`; the party binds an address to whoever uses it first.
fn shout(source: [u8; 6], host: u8, marker: &[u8]) -> Vec<u8> {
    ethernet(
        BROADCAST,
        source,
        0x0800,
        &udp4(([192, 168, 77, host], 1234), ([255; 4], 1234), marker),
    )
}

fn count(socket: &RawSocket, marker: &[u8]) -> usize {
    socket
        .collect(SILENCE, |bytes| contains(bytes, marker))
        .unwrap()
        .len()
}

#[test]
fn two_clients_and_the_lan_hear_each_other_once_and_never_themselves() {
    let party = Party::start_on(Bed::builder().remotes(2).build().unwrap(), 2).unwrap();
    let bed = &party.bed;
    let stations = [
        (
            RawSocket::open((bed.remote(0), TAP)).unwrap(),
            party.tunnel_mac(0).unwrap(),
        ),
        (
            RawSocket::open((bed.remote(1), TAP)).unwrap(),
            party.tunnel_mac(1).unwrap(),
        ),
        (
            RawSocket::open((bed.host(0), ETH)).unwrap(),
            party.host_mac(0).unwrap(),
        ),
    ];

    for (number, (socket, mac)) in (0_u8..).zip(&stations) {
        let marker = format!("from station {number}");
        socket
            .send(&shout(*mac, 200 + number, marker.as_bytes()))
            .unwrap();
        for (other, (listener, _)) in (0_u8..).zip(&stations) {
            let heard = count(listener, marker.as_bytes());
            assert_eq!(
                heard,
                usize::from(other != number),
                "station {other} heard station {number}"
            );
        }
    }
}

#[test]
fn two_clients_reach_each_other_by_unicast() {
    let party = Party::start_on(Bed::builder().remotes(2).build().unwrap(), 2).unwrap();
    for n in [0, 1] {
        party
            .bed
            .remote(n)
            .sh(&format!("ip address add 192.168.77.5{n}/24 dev {TAP}"))
            .unwrap();
    }

    assert_eq!(
        ping(party.bed.remote(0), "192.168.77.51".parse().unwrap(), 3)
            .unwrap()
            .received,
        3
    );
    assert_eq!(
        ping(party.bed.host(0), "192.168.77.50".parse().unwrap(), 3)
            .unwrap()
            .received,
        3
    );
}

#[test]
fn rooms_on_one_relay_never_hear_each_other() {
    let bed = Bed::builder().remotes(2).build().unwrap();
    let _relay = bed.start_relay().unwrap();
    let _gateway = bed.start_gateway(0, ROOM).unwrap();
    let _here = bed.start_client(0, ROOM).unwrap();
    let _elsewhere = bed.start_client(1, "ROOM2").unwrap();
    let open = |namespace: &Namespace, interface| {
        let mac = lanparty_e2e::link::mac((namespace, interface)).unwrap();
        (RawSocket::open((namespace, interface)).unwrap(), mac)
    };
    let here = open(bed.remote(0), TAP);
    let elsewhere = open(bed.remote(1), TAP);
    let host = open(bed.host(0), ETH);

    elsewhere
        .0
        .send(&shout(elsewhere.1, 200, b"from elsewhere"))
        .unwrap();
    here.0.send(&shout(here.1, 201, b"from here")).unwrap();
    host.0.send(&shout(host.1, 202, b"from the LAN")).unwrap();

    host.0
        .expect("a frame of the own room", PATIENCE, |bytes| {
            contains(bytes, b"from here")
        })
        .unwrap();
    here.0
        .expect("a frame of the own LAN", PATIENCE, |bytes| {
            contains(bytes, b"from the LAN")
        })
        .unwrap();
    assert_eq!(count(&elsewhere.0, b"from here"), 0);
    assert_eq!(count(&elsewhere.0, b"from the LAN"), 0);
    assert_eq!(count(&here.0, b"from elsewhere"), 0);
    assert_eq!(count(&host.0, b"from elsewhere"), 0);
}

#[test]
fn client_that_leaves_and_comes_back_at_once_with_its_mac_is_admitted() {
    let mut party = Party::start().unwrap();
    let mac = party.tunnel_mac(0).unwrap();

    for _ in 0..3 {
        party.clients[0].stop(Signal::TERM, PATIENCE).unwrap();
        party.clients[0] = party.bed.start_client(0, ROOM).unwrap();
        assert_eq!(party.tunnel_mac(0).unwrap(), mac, "the identity stays");
    }
    party
        .bed
        .remote(0)
        .sh(&format!("ip address add 192.168.77.50/24 dev {TAP}"))
        .unwrap();
    assert_eq!(
        ping(party.bed.remote(0), Bed::host_address(0).into(), 3)
            .unwrap()
            .received,
        3
    );
}
