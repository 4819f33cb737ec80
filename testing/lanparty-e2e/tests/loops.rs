//! A player who bridges the party with the party.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use lanparty_e2e::bed::{Bed, ETH};
use lanparty_e2e::link::{attribute, cable, wait_until};
use lanparty_e2e::party::TAP;
use lanparty_e2e::traffic::ping;
use lanparty_e2e::{Party, Program};

/// How soon a loop must be cut.
const SOON: Duration = Duration::from_secs(2);

/// The most frames that may go round before the loop is cut, and what is said anyway.
const MOST_LOOPED: u64 = 200;

/// How many frames came out of a remote PC's TAP, which is what goes round if it is bridged.
fn came_out(party: &Party, n: usize) -> u64 {
    attribute((party.bed.remote(n), TAP), "statistics/rx_packets")
        .unwrap()
        .parse()
        .unwrap()
}

/// How many frames a LAN host has received.
fn heard(party: &Party) -> u64 {
    attribute((party.bed.host(0), ETH), "statistics/rx_packets")
        .unwrap()
        .parse()
        .unwrap()
}

/// Puts a remote PC's TAP into a Linux bridge with a cable to the party's own switch.
fn close_loop(party: &Party, n: usize) {
    let (remote, switch) = (party.bed.remote(n), party.bed.switch());
    remote
        .sh("ip link add home type bridge forward_delay 0 stp_state 0")
        .unwrap();
    cable((remote, "home0"), (switch, "loop0")).unwrap();
    remote.sh("ip link set home0 master home").unwrap();
    remote
        .sh(&format!("ip link set {TAP} master home"))
        .unwrap();
    remote.sh("ip link set home up").unwrap();
    switch.sh("ip link set loop0 master br0").unwrap();
}

#[test]
fn loop_closed_with_a_bridge_is_cut_and_its_player_named() {
    let bed = Bed::builder().remotes(2).build().unwrap();
    let mut party = Party::start_on(bed, 2).unwrap();
    let mac = party
        .tunnel_mac(0)
        .unwrap()
        .map(|byte| format!("{byte:02x}"))
        .join(":");

    let before = came_out(&party, 0);
    close_loop(&party, 0);
    let closed = Instant::now();
    // Something to go round.
    let mut ping_all = party.bed.host(0).command("ping");
    ping_all.args(["-b", "-c", "5", "-i", "0.2", "192.168.77.255"]);
    let _pings = Program::start(party.bed.dir(), "ping", ping_all).unwrap();

    let line = party.gateway.wait_line("is blocked for").unwrap();
    let passed = closed.elapsed();
    assert!(passed < SOON, "{passed:?}");
    assert!(line.contains(&mac), "{line}");
    party.clients[0].wait_line("network bridge").unwrap();
    let line = party.clients[1].wait_line("is blocked for").unwrap();
    assert!(line.contains(&mac), "{line}");

    // Nothing goes round any more: the LAN is as quiet as a LAN is.
    wait_until("the storm to end", SOON, || {
        let before = heard(&party);
        std::thread::sleep(Duration::from_millis(300));
        heard(&party) - before < 50
    })
    .unwrap();

    let looped = came_out(&party, 0) - before;
    assert!(looped <= MOST_LOOPED, "{looped} frames went round");
    // The relay holds the client back as well, whatever the client does.
    let line = party.relay.wait_log("closes a loop").unwrap();
    assert!(line.contains(&mac), "{line}");

    // The other player plays on.
    let remote = party.bed.remote(1);
    remote
        .sh(&format!("ip address add 192.168.77.99/24 dev {TAP}"))
        .unwrap();
    let answered = ping(remote, Bed::host_address(0).into(), 3).unwrap();
    assert_eq!(answered.received, 3);
}
