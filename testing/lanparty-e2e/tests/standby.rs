//! Two gateways of one room: one bridges, the other waits for its place.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::thread;
use std::time::{Duration, Instant};

use lanparty_e2e::bed::{Bed, ETH, Way};
use lanparty_e2e::frames::{BROADCAST, contains, ethernet, udp4};
use lanparty_e2e::link::wait_until;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::traffic::{Enough, ping, tcp};
use lanparty_e2e::{Party, Program};
use rustix::process::Signal;

/// Only a gateway that does not take over at all takes longer, however busy the machine is. The time is printed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sooner than a gateway gives a silent connection up: whoever takes over before did not wait for that (QUIC's 15 s).
const UNNOTICED: Duration = Duration::from_secs(12);

/// How long a frame that must not arrive is waited for.
const SILENCE: Duration = Duration::from_millis(700);

const PLAYER: [u8; 4] = [192, 168, 77, 50];

/// A party whose player has an address, and a second gateway box on its LAN.
fn party() -> Party {
    let bed = Bed::builder().gateways(2).build().unwrap();
    let party = Party::start_on(bed, 1).unwrap();
    party
        .bed
        .remote(0)
        .sh(&format!("ip address add 192.168.77.50/24 dev {TAP}"))
        .unwrap();

    party
}

/// Starts gateway box `n`, whose room has a gateway, and returns the line by which it says that it waits.
fn start_standby(party: &Party, n: usize, options: &[&str]) -> (Program, String) {
    let mut command = party.bed.gateway_command(n, ROOM).unwrap();
    command.args(options);
    let name = format!("standby{n}");
    let mut standby = Program::start(party.bed.dir(), &name, command).unwrap();
    let line = standby.wait_line("standby: room ROOM1").unwrap();

    (standby, line)
}

/// Waits until the player and the LAN host reach each other.
fn wait_for_traffic(party: &Party) {
    wait_until("the player's traffic", PATIENCE, || {
        ping(party.bed.remote(0), Bed::host_address(0).into(), 1)
            .unwrap()
            .received
            == 1
    })
    .unwrap();
}

/// Sends a broadcast each way, and checks that each arrives once.
fn assert_each_hears_the_other_once(party: &Party) {
    let ends = [(party.bed.remote(0), TAP), (party.bed.host(0), ETH)];
    let addresses = [PLAYER, Bed::host_address(0).octets()];
    let macs = [party.tunnel_mac(0).unwrap(), party.host_mac(0).unwrap()];
    for (from, to) in [(0, 1), (1, 0)] {
        let marker = format!("broadcast of station {from}");
        let listener = RawSocket::open(ends[to]).unwrap();
        let echo = RawSocket::open(ends[from]).unwrap();
        let datagram = udp4((addresses[from], 1234), ([255; 4], 1234), marker.as_bytes());
        echo.send(&ethernet(BROADCAST, macs[from], 0x0800, &datagram))
            .unwrap();
        let count = |socket: &RawSocket| {
            let heard = socket.collect(SILENCE, |bytes| contains(bytes, marker.as_bytes()));
            heard.unwrap().len()
        };
        assert_eq!(count(&listener), 1, "{marker}, heard at the other end");
        assert_eq!(count(&echo), 0, "{marker}, heard by its sender");
    }
}

#[expect(clippy::print_stderr, reason = "shown with the test's output")]
fn report(what: &str, since: Instant) {
    eprintln!("{what}: took over after {:?}", since.elapsed());
}

#[test]
fn second_gateway_on_the_lan_bridges_nothing_and_takes_over_when_the_first_dies_or_leaves() {
    let mut party = party();
    let (switch, port) = party.bed.gateway_cable(1)[1];
    let cable = RawSocket::open((switch, port)).unwrap();
    let (mut second, line) = start_standby(&party, 1, &[]);
    let first_mac = lanparty_e2e::link::mac(party.bed.gateway_cable(0)[0]).unwrap();
    let [.., x, y, z] = first_mac;
    assert!(line.contains(&format!("{x:02x}:{y:02x}:{z:02x}")), "{line}");

    wait_for_traffic(&party);
    assert_each_hears_the_other_once(&party);
    let sent = cable.collect(SILENCE, |_| true).unwrap();
    assert_eq!(
        sent.len(),
        0,
        "the standby put frames on the LAN: {sent:02x?}"
    );
    assert!(second.is_running());

    // A transfer that is under way goes on.
    thread::scope(|scope| {
        let transfer = scope.spawn(|| {
            tcp(
                party.bed.host(0),
                party.bed.remote(0),
                PLAYER.into(),
                Enough::Time(Duration::from_secs(8)),
            )
        });
        thread::sleep(Duration::from_secs(1));
        let killed = Instant::now();
        party.gateway.kill().unwrap();
        second
            .wait_line("took over: room ROOM1 is on lan0")
            .unwrap();
        report("the first gateway was killed", killed);
        transfer.join().unwrap().unwrap();
    });
    wait_for_traffic(&party);
    assert_each_hears_the_other_once(&party);

    // The first comes back and finds its place taken; then the second leaves.
    let (mut first, _) = start_standby(&party, 0, &[]);
    assert_each_hears_the_other_once(&party);
    let left = Instant::now();
    second.stop(Signal::TERM, PATIENCE).unwrap();
    first.wait_line("took over: room ROOM1 is on lan0").unwrap();
    report("the second gateway left", left);
    wait_for_traffic(&party);
    assert_each_hears_the_other_once(&party);
}

#[test]
fn gateway_that_lost_the_relay_makes_way_and_stands_by_when_it_is_back() {
    let mut party = party();
    let (mut second, _) = start_standby(&party, 1, &[]);

    let cut = Instant::now();
    party
        .bed
        .set_wan_up(lanparty_e2e::Side::Gateway(0), false)
        .unwrap();
    second
        .wait_line("took over: room ROOM1 is on lan0")
        .unwrap();
    report("the first gateway lost the Internet", cut);
    wait_for_traffic(&party);

    party
        .bed
        .set_wan_up(lanparty_e2e::Side::Gateway(0), true)
        .unwrap();
    party.gateway.wait_line("standby: room ROOM1").unwrap();
    assert_each_hears_the_other_once(&party);
}

/// Lets packets of the first gateway vanish, and checks that the second has the LAN to itself until the first is back and waits.
/// The first is listened to for `watched` once the second has taken over.
fn assert_the_second_is_not_fought(ways: &[Way], watched: Duration) {
    let mut party = party();
    let (mut second, _) = start_standby(&party, 1, &[]);
    wait_for_traffic(&party);
    let (switch, port) = party.bed.gateway_cable(0)[1];

    let cut = Instant::now();
    for way in ways {
        let first = lanparty_e2e::Side::Gateway(0);
        party.bed.set_silence(first, *way, true).unwrap();
    }
    second
        .wait_line("took over: room ROOM1 is on lan0")
        .unwrap();
    report(&format!("{ways:?} vanished"), cut);
    assert!(cut.elapsed() < UNNOTICED, "only once the first had noticed");
    let cable = RawSocket::open((switch, port)).unwrap();
    wait_for_traffic(&party);
    assert_each_hears_the_other_once(&party);
    let sent = cable.collect(watched, |_| true).unwrap();
    assert_eq!(sent.len(), 0, "the dead gateway goes on: {sent:02x?}");
    party.gateway.wait_line("connection lost").unwrap();
    wait_for_traffic(&party);

    for way in ways {
        let first = lanparty_e2e::Side::Gateway(0);
        party.bed.set_silence(first, *way, false).unwrap();
    }
    party.gateway.wait_line("standby: room ROOM1").unwrap();
    assert_each_hears_the_other_once(&party);
}

/// Remote MACs are refreshed every minute, so that long is listened.
#[test]
fn gateway_whose_packets_vanish_keeps_off_the_lan_while_the_second_serves() {
    assert_the_second_is_not_fought(&[Way::Out, Way::In], Duration::from_secs(62));
}

#[test]
fn gateway_that_the_relay_does_not_hear_makes_way() {
    assert_the_second_is_not_fought(&[Way::Out], Duration::from_secs(3));
}

#[test]
fn gateway_that_does_not_hear_the_relay_makes_way() {
    assert_the_second_is_not_fought(&[Way::In], Duration::from_secs(3));
}

#[test]
fn gateway_on_another_lan_waits_if_it_is_told_to() {
    let mut party = party();
    let (switch, port) = party.bed.gateway_cable(1)[1];
    switch.sh(&format!("ip link set {port} nomaster")).unwrap();
    let (mut second, line) = start_standby(&party, 1, &["--standby", "any"]);
    assert!(line.contains("another LAN"), "{line}");

    party.gateway.stop(Signal::TERM, PATIENCE).unwrap();
    second
        .wait_line("took over: room ROOM1 is on lan0")
        .unwrap();
}
