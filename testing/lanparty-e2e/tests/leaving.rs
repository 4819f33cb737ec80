//! Leaving: within a second, cleanly, and everything is as before. And what is different while joined.

use std::time::{Duration, Instant};

use lanparty_e2e::Party;
use lanparty_e2e::bed::Bed;
use lanparty_e2e::link::{exists, snapshot};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use rustix::process::Signal;

/// What "within a second" means to a user; a busy test machine gets more, and the time is reported when it is over.
const SECOND: Duration = Duration::from_secs(1);

/// The bound for tests: only a program that does not leave at all takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn interrupted_client_puts_everything_back() {
    for signal in [Signal::INT, Signal::TERM] {
        let bed = Bed::new().unwrap();
        let before = snapshot(bed.remote(0)).unwrap();
        let mut party = Party::start_on(bed, 1).unwrap();
        assert_ne!(
            snapshot(party.bed.remote(0)).unwrap(),
            before,
            "joining shows"
        );

        let start = Instant::now();
        party.clients[0].stop(signal, PATIENCE).unwrap();
        report("client", start);

        assert!(!exists((party.bed.remote(0), TAP)), "the TAP is gone");
        assert_eq!(snapshot(party.bed.remote(0)).unwrap(), before);
    }
}

#[test]
fn interrupted_gateway_and_relay_leave_cleanly() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut party = Party::start().unwrap();

        let start = Instant::now();
        party.gateway.stop(signal, PATIENCE).unwrap();
        report("gateway", start);
        let start = Instant::now();
        party.relay.stop(signal, PATIENCE).unwrap();
        report("relay", start);

        // The packet socket's promiscuous membership goes with it.
        let details = party.bed.gateway(0).sh("ip -d link show dev lan0").unwrap();
        assert!(details.contains("promiscuity 0"), "{details}");
    }
}

/// Times are shown, not asserted: whoever reads the output sees if leaving got slow.
#[expect(clippy::print_stderr, reason = "shown with the test's output")]
fn report(who: &str, start: Instant) {
    let time = start.elapsed();
    let verdict = if time < SECOND {
        "within"
    } else {
        "NOT within"
    };
    eprintln!("{who} left in {time:?}, {verdict} a second");
}

#[test]
fn group_traffic_takes_the_tap_while_joined_and_the_default_route_does_not() {
    let bed = Bed::new().unwrap();
    let remote = |party: &Party, target: &str| {
        party
            .bed
            .remote(0)
            .sh(&format!("ip route get {target}"))
            .unwrap_or_default()
    };
    let mut party = Party::start_on(bed, 1).unwrap();
    party
        .bed
        .remote(0)
        .sh(&format!("ip address add 192.168.77.50/24 dev {TAP}"))
        .unwrap();

    for target in [
        "255.255.255.255",
        "224.0.0.251",
        "239.255.255.250",
        "ff02::fb",
        "ff05::2",
    ] {
        assert!(
            remote(&party, target).contains(TAP),
            "{target}: {}",
            remote(&party, target)
        );
    }
    for target in ["1.1.1.1", "10.80.2.2", "2001:db8::1"] {
        assert!(
            remote(&party, target).contains("wan0"),
            "{target}: {}",
            remote(&party, target)
        );
    }

    party.clients[0].stop(Signal::TERM, PATIENCE).unwrap();
    assert!(!remote(&party, "224.0.0.251").contains(TAP));
}

#[test]
fn client_tells_when_the_room_has_no_gateway() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let mut client =
        lanparty_e2e::Program::start(bed.dir(), "lonely", bed.client_command(0, ROOM).unwrap())
            .unwrap();

    let line = client.wait_line("joined").unwrap();

    assert!(line.to_lowercase().contains("gateway"), "{line}");
}

#[test]
fn relay_keeps_its_certificate_between_starts() {
    let bed = Bed::new().unwrap();
    let mut relay = bed.start_relay().unwrap();
    let first = std::fs::read(bed.certificate()).unwrap();
    relay.stop(Signal::TERM, PATIENCE).unwrap();
    std::fs::remove_file(bed.certificate()).unwrap();

    let _relay = bed.start_relay().unwrap();
    let mut certificate = Vec::new();
    lanparty_e2e::link::wait_until("the certificate", PATIENCE, || {
        certificate = std::fs::read(bed.certificate()).unwrap_or_default();
        !certificate.is_empty()
    })
    .unwrap();

    assert_eq!(certificate, first);
}
