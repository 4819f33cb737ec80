//! What a player and an operator are told of a running member, and what a log has that asks for it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use lanparty_e2e::bed::{Bed, ETH};
use lanparty_e2e::frames::{BROADCAST, ethernet};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::{Party, Program};

/// IPX: nothing else on the bed speaks it.
const IPX: u16 = 0x8137;

/// What a frame log says of every frame.
const LOGGED: &str = "direction=";

fn send_ipx(party: &Party, socket: &RawSocket) {
    let frame = ethernet(BROADCAST, party.host_mac(0).unwrap(), IPX, &[7; 64]);
    socket.send(&frame).unwrap();
}

#[test]
fn player_is_told_every_address_it_gets_and_that_the_party_is_heard() {
    let mut party = Party::start().unwrap();
    let _dnsmasq = party.bed.start_dnsmasq().unwrap();
    assert!(!party.clients[0].stdout().contains("this PC is"));

    let lease = party.bed.lease(party.bed.remote(0), TAP).unwrap();
    let line = format!("this PC is {} on the party's LAN", lease.address);
    party.clients[0].wait_line(&line).unwrap();
    send_ipx(&party, &RawSocket::open((party.bed.host(0), ETH)).unwrap());
    party.clients[0]
        .wait_line("broadcasts of the party arrive")
        .unwrap();

    let remote = party.bed.remote(0);
    remote
        .sh(&format!("ip -4 address flush dev {TAP}"))
        .unwrap();
    remote
        .sh(&format!("ip address add 192.168.77.66/24 dev {TAP}"))
        .unwrap();
    party.clients[0]
        .wait_line("this PC is 192.168.77.66 on the party's LAN")
        .unwrap();
}

#[test]
fn frames_are_logged_one_by_one_where_that_is_asked_for_and_nowhere_else() {
    let bed = Bed::builder().remotes(2).build().unwrap();
    let _relay = bed.start_relay().unwrap();
    let start = |name: &str, mut command: std::process::Command, filter: &str| {
        command.args(["--log", filter]);
        Program::start(bed.dir(), name, command).unwrap()
    };
    let logging = "info,frames=trace";
    let mut gateway = start("gateway", bed.gateway_command(0, ROOM).unwrap(), logging);
    gateway.wait_line("gateway ready").unwrap();
    let mut client = start("client", bed.client_command(0, ROOM).unwrap(), logging);
    client.wait_line("joined").unwrap();
    let mut quiet = start("quiet", bed.client_command(1, ROOM).unwrap(), "debug");
    quiet.wait_line("joined").unwrap();

    let host = RawSocket::open((bed.host(0), ETH)).unwrap();
    let mac = lanparty_e2e::link::mac((bed.host(0), ETH)).unwrap();
    host.send(&ethernet(BROADCAST, mac, IPX, &[7; 64])).unwrap();
    for (program, words) in [
        (&mut gateway, "direction=\"up\""),
        (&mut client, "direction=\"down\""),
    ] {
        let line = program.wait_log("ether_type=0x8137").unwrap();
        for word in [
            words,
            "len=78",
            "action=\"forwarded\"",
            "destination=ff:ff:ff:ff:ff:ff",
        ] {
            assert!(line.contains(word), "no {word} in {line}");
        }
    }
    // What is dropped has its reason.
    let foreign = ethernet(BROADCAST, [2, 9, 9, 9, 9, 9], IPX, &[7; 64]);
    RawSocket::open((bed.remote(0), TAP))
        .unwrap()
        .send(&foreign)
        .unwrap();
    let line = client.wait_log("reason=\"spoofed_source\"").unwrap();
    assert!(
        line.contains("action=\"filtered\"") || line.contains("action=\"dropped\""),
        "{line}"
    );

    // A log at DEBUG has sums and no frames.
    let line = quiet.wait_log("diagnostics").unwrap();
    for word in [
        "gateway=true",
        "budget=",
        "rtt_us=",
        "broadcasts_down=",
        "port_up=true",
        "routes=true",
        "new_drops=",
    ] {
        assert!(line.contains(word), "no {word} in {line}");
    }
    assert!(!quiet.stderr().contains(LOGGED), "{}", quiet.stderr());
}
