//! What goes wrong gives its own sentence and its own exit code, and leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use lanparty_e2e::bed::{Bed, LAN, Side};
use lanparty_e2e::link::{exists, snapshot};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{RELAY_PORT, ROOM};
use lanparty_e2e::{Party, Program};

/// Refused by the world.
const REFUSED: i32 = 2;

/// Bad usage (`EX_USAGE`, sysexits.h).
const BAD_USAGE: i32 = 64;

/// An unreachable relay takes a while to be given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a program that must fail; returns its exit code and what it told the user.
fn refused(bed: &Bed, name: &str, command: Command) -> (Option<i32>, String) {
    let mut program = Program::start(bed.dir(), name, command).unwrap();
    let status = program.wait(PATIENCE).unwrap();

    (status.code(), program.stderr())
}

fn assert_refused(bed: &Bed, name: &str, command: Command, words: &[&str]) {
    let (code, text) = refused(bed, name, command);
    let lower = text.to_lowercase();

    assert_eq!(code, Some(REFUSED), "{text}");
    for word in words {
        assert!(lower.contains(word), "no {word:?} in: {text}");
    }
    assert!(!lower.contains("panicked"), "{text}");
}

#[test]
fn second_client_with_the_same_mac_is_told_so() {
    let bed = Bed::builder().remotes(2).build().unwrap();
    let party = Party::start_on(bed, 1).unwrap();
    let mac = party
        .tunnel_mac(0)
        .unwrap()
        .map(|byte| format!("{byte:02x}"))
        .join(":");
    let mut command = party.bed.client_command(1, ROOM).unwrap();
    command.args(["--virtual-mac", &mac]);

    assert_refused(&party.bed, "twin", command, &["mac"]);
    assert!(
        !exists((party.bed.remote(1), TAP)),
        "the refused client's TAP is gone"
    );
}

#[test]
fn second_gateway_of_a_room_is_told_so() {
    let bed = Bed::builder().gateways(2).build().unwrap();
    let party = Party::start_on(bed, 0).unwrap();
    let mut command = party.bed.gateway_command(1, ROOM).unwrap();
    command.args(["--standby", "no"]);

    assert_refused(&party.bed, "second", command, &["gateway"]);
}

#[test]
fn second_gateway_on_another_lan_is_told_so() {
    let bed = Bed::builder().gateways(2).build().unwrap();
    let party = Party::start_on(bed, 0).unwrap();
    let [_, (switch, port)] = party.bed.gateway_cable(1);
    switch.sh(&format!("ip link set {port} nomaster")).unwrap();

    assert_refused(
        &party.bed,
        "second",
        party.bed.gateway_command(1, ROOM).unwrap(),
        &["gateway", "not heard on this lan", "--standby any"],
    );
}

#[test]
fn bad_room_code_is_bad_usage() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();

    for room in ["", "no spaces please", "ROOM\u{e9}"] {
        let (code, text) = refused(&bed, "client", bed.client_command(0, room).unwrap());
        assert_eq!(code, Some(BAD_USAGE), "{room:?}: {text}");
        assert!(text.to_lowercase().contains("room"), "{text}");
    }
}

#[test]
fn missing_and_unknown_options_are_bad_usage() {
    let bed = Bed::new().unwrap();

    for program in [
        "lanparty-relay",
        "lanparty-gateway",
        "lanparty-client-linux",
    ] {
        let mut command = bed.program(Side::Relay, program).unwrap();
        command.arg("--no-such-option");
        let (code, text) = refused(&bed, program, command);
        assert_eq!(code, Some(BAD_USAGE), "{program}: {text}");
    }
}

#[test]
fn a_kind_that_no_option_opens_is_bad_usage_everywhere() {
    let bed = Bed::new().unwrap();

    for program in [
        "lanparty-relay",
        "lanparty-gateway",
        "lanparty-client-linux",
    ] {
        for (kind, sentence) in [
            ("quake", "the kinds are ipv4, arp"),
            ("dhcp_server", "no option opens it"),
        ] {
            let mut command = bed.program(Side::Relay, program).unwrap();
            command.args(["--allow-kind", kind]);
            let (code, text) = refused(&bed, program, command);
            assert_eq!(code, Some(BAD_USAGE), "{program}: {text}");
            assert!(text.contains(sentence), "{program}: {text}");
        }
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_with_what_to_do() {
    let bed = Bed::new().unwrap();
    let (missing, text) = (bed.dir().join("missing.der"), bed.dir().join("text.der"));
    std::fs::write(&text, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let identity = bed.dir().join("identity.json");
    std::fs::write(&identity, "{\"mac\":").unwrap();
    std::fs::set_permissions(&identity, Permissions::from_mode(0o600)).unwrap();
    let certificates = [
        (&missing, "copy it from the relay"),
        (&text, "take the one that the relay wrote"),
    ];
    let clients = [
        ("--state-dir", &text.join("state"), "--state-dir"),
        ("--identity-file", &identity, "delete it"),
    ];
    let member = |side, program: &str| {
        let mut command = bed.program(side, program).unwrap();
        command.args(["--relay", "192.0.2.1", "--room", ROOM]);
        command
    };
    let client = || member(Side::Remote(0), "lanparty-client-linux");

    for (file, sentence) in certificates {
        let mut gateway = member(Side::Gateway(0), "lanparty-gateway");
        gateway.args(["--interface", LAN]);
        for mut command in [client(), gateway] {
            command.arg("--relay-ca-cert").arg(file);
            assert_refused(&bed, "certificate", command, &[sentence]);
        }
    }
    for (option, file, sentence) in clients {
        let mut command = client();
        command.arg(option).arg(file);
        assert_refused(&bed, "state", command, &[sentence]);
    }
}

#[test]
fn wrong_certificate_is_told_so() {
    let bed = Bed::new().unwrap();
    let other = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let _another = other.start_relay().unwrap();
    std::fs::copy(other.certificate(), bed.certificate()).unwrap();

    assert_refused(
        &bed,
        "client",
        bed.client_command(0, ROOM).unwrap(),
        &["certificate"],
    );
    assert_refused(
        &bed,
        "gateway",
        bed.gateway_command(0, ROOM).unwrap(),
        &["certificate"],
    );
    assert!(!exists((bed.remote(0), TAP)));
}

#[test]
fn unreachable_relay_is_told_so() {
    let bed = Bed::new().unwrap();
    // A certificate to pin, then nobody at the address.
    drop(bed.start_relay().unwrap());
    let before = snapshot(bed.remote(0)).unwrap();

    assert_refused(
        &bed,
        "client",
        bed.client_command(0, ROOM).unwrap(),
        &["10.80.2.2"],
    );
    assert_refused(
        &bed,
        "gateway",
        bed.gateway_command(0, ROOM).unwrap(),
        &["10.80.2.2"],
    );
    assert_eq!(snapshot(bed.remote(0)).unwrap(), before);
}

#[test]
fn occupied_port_is_told_so() {
    let bed = Bed::new().unwrap();
    let _first = bed.start_relay().unwrap();
    let mut command = bed.program(Side::Relay, "lanparty-relay").unwrap();
    command
        .args(["--listen", &format!("0.0.0.0:{RELAY_PORT}")])
        .env("STATE_DIRECTORY", bed.dir());

    assert_refused(&bed, "second", command, &["4433"]);
}

/// Returns the command line of a gateway on another interface than the bed's.
fn gateway_on(bed: &Bed, interface: &str) -> Command {
    let mut command = bed.program(Side::Gateway(0), "lanparty-gateway").unwrap();
    command
        .args(["--relay", "10.80.2.2:4433", "--room", ROOM])
        .arg("--relay-ca-cert")
        .arg(bed.certificate())
        .args(["--interface", interface]);

    command
}

#[test]
fn missing_interface_is_told_so() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();

    assert_refused(&bed, "gateway", gateway_on(&bed, "nosuch0"), &["nosuch0"]);
}

#[test]
fn interface_that_is_no_ethernet_is_told_so() {
    let bed = Bed::new().unwrap();
    bed.gateway(0)
        .sh("ip tuntap add dev tun9 mode tun")
        .unwrap();

    for interface in ["lo", "tun9"] {
        let words = [&format!("{interface} is no ethernet interface"), "switch"];
        assert_refused(&bed, interface, gateway_on(&bed, interface), &words);
    }
}

#[test]
fn option_values_that_cannot_be_used_are_bad_usage() {
    let bed = Bed::new().unwrap();

    for (program, option, value, word) in [
        (
            "lanparty-client-linux",
            "--virtual-mac",
            "01:00:00:00:00:01",
            "multicast",
        ),
        (
            "lanparty-client-linux",
            "--tap-name",
            "a-name-much-too-long",
            "1 to 15",
        ),
        ("lanparty-client-linux", "--dhcp", "dhcp5", "udhcpc"),
        (
            "lanparty-client-linux",
            "--relay",
            "https://party.example",
            "no link",
        ),
        ("lanparty-gateway", "--log", "frames=loud", "log filter"),
        ("lanparty-gateway", "--datagram-budget", "100", "1126"),
        ("lanparty-relay", "--cert-name", "two words", "DNS name"),
        ("lanparty-relay", "--max-rooms", "0", "1.."),
    ] {
        let mut command = bed.program(Side::Relay, program).unwrap();
        command.args([option, value]);
        let (code, text) = refused(&bed, program, command);
        assert_eq!(code, Some(BAD_USAGE), "{option}: {text}");
        assert!(text.contains(word) && text.contains(option), "{text}");
    }
}

#[test]
fn interface_without_carrier_is_told_so() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let [_, port] = bed.gateway_cable(0);
    lanparty_e2e::link::set_up(port, false).unwrap();

    assert_refused(
        &bed,
        "gateway",
        bed.gateway_command(0, ROOM).unwrap(),
        &[LAN],
    );
}
