//! What the gateway's doctor finds.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Command;
use std::time::Duration;

use lanparty_e2e::bed::{Bed, LAN, Side};
use lanparty_e2e::program::ROOM;
use lanparty_e2e::{Party, Program};

/// Asks the doctor of gateway box `n`; returns its exit code and what it says.
fn ask(bed: &Bed, n: usize, words: &[&str]) -> (Option<i32>, String) {
    let mut command: Command = bed.program(Side::Gateway(n), "lanparty-gateway").unwrap();
    command.arg("doctor").args(words);
    let mut doctor = Program::start(bed.dir(), "doctor", command).unwrap();
    let status = doctor.wait(Duration::from_secs(20)).unwrap();

    (status.code(), doctor.stdout())
}

#[test]
fn healthy_box_is_told_what_is_there() {
    let bed = Bed::builder().gateways(2).build().unwrap();
    let party = Party::start_on(bed, 0).unwrap();
    let _dnsmasq = party.bed.start_dnsmasq().unwrap();
    let certificate = party.bed.certificate();

    let words = [
        "--interface",
        LAN,
        "--relay",
        "10.80.2.2:4433",
        "--room",
        ROOM,
        "--relay-ca-cert",
        certificate.to_str().unwrap(),
    ];
    let (code, said) = ask(&party.bed, 1, &words);

    assert_eq!(code, Some(0), "{said}");
    for words in [
        "ok       card             lan0 is wired",
        "promiscuously",
        "offloads",
        "warning  other gateways   a gateway of this room is on this LAN",
        "ok       DHCP             a DHCP server answers: 192.168.77.10",
        "ok       relay            the relay 10.80.2.2:4433 answers",
    ] {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let bed = Bed::new().unwrap();

    let (code, said) = ask(&bed, 0, &["--interface", "nosuch0"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("fault    card             there is no network interface nosuch0"));

    let (code, said) = ask(&bed, 0, &["--interface", LAN]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("ok       other gateways   no other gateway"),
        "{said}"
    );
    assert!(
        said.contains("warning  DHCP             no DHCP server answers"),
        "{said}"
    );
}
