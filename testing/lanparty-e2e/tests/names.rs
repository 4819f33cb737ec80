//! The relay by its name: looked up before anything is touched, every address of it tried, and its certificate checked against the
//! system's roots.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lanparty_e2e::Program;
use lanparty_e2e::bed::{Bed, LAN, Side};
use lanparty_e2e::command::{output, tool};
use lanparty_e2e::link::{exists, snapshot};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{RELAY_PORT, ROOM, binary};

/// The relay's name.
const NAME: &str = "relay.party.test";

/// How long a refusal may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a command for `program` on `side` that looks names up in `hosts` alone.
///
/// `ip netns exec` gives every command its own view of the mounts, so nobody else sees the file.
fn with_hosts(bed: &Bed, side: Side, hosts: &[String], program: &str) -> Command {
    let file = bed.dir().join("hosts");
    std::fs::write(&file, hosts.join("\n") + "\n").unwrap();
    let state = bed.dir().join(format!("state-{}", side.router_port()));
    std::fs::create_dir_all(&state).unwrap();
    let mut command = bed.on(side).command("sh");
    command
        .args(["-c", "mount --bind \"$0\" /etc/hosts && mount --bind /dev/null /etc/resolv.conf && exec \"$@\""])
        .arg(file)
        .arg(binary(program).unwrap())
        .env("STATE_DIRECTORY", state)
        // Whatever the machine of the test trusts beside the system's roots.
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");

    command
}

fn joining(mut command: Command) -> Command {
    command.args(["--relay", &format!("{NAME}:{RELAY_PORT}"), "--room", ROOM]);

    command
}

fn names(addresses: impl IntoIterator<Item = String>) -> Vec<String> {
    let addresses = addresses.into_iter();

    addresses
        .map(|address| format!("{address} {NAME}"))
        .collect()
}

/// Runs a program that must be refused, and returns what it says.
fn refusal(bed: &Bed, name: &str, command: Command) -> String {
    let mut program = Program::start(bed.dir(), name, command).unwrap();
    let status = program.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(2), "{}", program.stderr());

    program.stderr()
}

#[test]
fn a_name_that_nobody_knows_is_told_before_an_interface_is_touched() {
    let bed = Bed::new().unwrap();
    // An interface that the client could not open: if it tried, it would say so.
    let remote = bed.remote(0);
    remote
        .sh(&format!("ip link add {TAP} type veth peer name other"))
        .unwrap();
    let before = snapshot(remote).unwrap();

    let command = joining(with_hosts(
        &bed,
        Side::Remote(0),
        &[],
        "lanparty-client-linux",
    ));
    let text = refusal(&bed, "client", command);

    assert!(text.contains(NAME) && !text.contains(TAP), "{text}");
    assert_eq!(snapshot(remote).unwrap(), before);
}

#[test]
fn every_address_of_the_relays_name_is_tried_of_both_families() {
    let bed = Bed::new().unwrap();
    let nobody_v6 = |n| format!("fd80:2::dead:{n}");
    let nobody_v4 = |n| format!("10.80.2.{n}");
    let pinned = |mut command: Command| {
        command.arg("--relay-ca-cert").arg(bed.certificate());
        joining(command)
    };

    // More addresses than a member has lines, and the only good one is the last.
    let mut relay = bed.start_relay().unwrap();
    let silent = (1..=8).map(nobody_v6).chain((100..104).map(nobody_v4));
    let hosts = names(silent.chain(["10.80.2.2".to_owned()]));
    let command = with_hosts(&bed, Side::Remote(0), &hosts, "lanparty-client-linux");
    let mut client = Program::start(bed.dir(), "by-ipv4", pinned(command)).unwrap();
    client.wait_line("joined").unwrap();
    client.stop(rustix::process::Signal::INT, PATIENCE).unwrap();
    relay.stop(rustix::process::Signal::INT, PATIENCE).unwrap();

    let mut command = bed.program(Side::Relay, "lanparty-relay").unwrap();
    command.args(["--listen", &format!("[fd80:2::2]:{RELAY_PORT}")]);
    let mut relay = Program::start(bed.dir(), "relay6", command).unwrap();
    relay.wait_line("relay ready").unwrap();
    let hosts = names((100..104).map(nobody_v4).chain(["fd80:2::2".to_owned()]));
    let command = with_hosts(&bed, Side::Remote(0), &hosts, "lanparty-client-linux");
    let mut client = Program::start(bed.dir(), "by-ipv6", pinned(command)).unwrap();
    client.wait_line("joined").unwrap();
}

/// A certificate authority of the test's own, and what it vouches for.
struct Authority {
    roots: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// Has `openssl` make an authority and a certificate for [`NAME`] in `folder`.
    fn new(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        let make = |arguments: &[&str], out: (&Path, &Path)| {
            let mut command = tool("openssl");
            command
                .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
                .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
                .args(arguments)
                .arg("-out")
                .arg(out.0)
                .arg("-keyout")
                .arg(out.1);
            output(&mut command).unwrap();
        };
        let (roots, roots_key) = (file("roots.pem"), file("roots.key"));
        make(
            &[
                "-subj",
                "/CN=an authority",
                "-addext",
                "keyUsage=critical,keyCertSign",
            ],
            (&roots, &roots_key),
        );
        let (chain, key) = (file("chain.pem"), file("relay.key"));
        let alternative = format!("subjectAltName=DNS:{NAME}");
        make(
            &[
                "-subj",
                "/CN=a relay",
                "-addext",
                &alternative,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-CA",
                roots.to_str().unwrap(),
                "-CAkey",
                roots_key.to_str().unwrap(),
            ],
            (&chain, &key),
        );

        Self { roots, chain, key }
    }
}

#[test]
fn a_public_certificate_is_checked_against_the_systems_roots() {
    let bed = Bed::new().unwrap();
    let authority = Authority::new(bed.dir());
    let mut command = bed.program(Side::Relay, "lanparty-relay").unwrap();
    command
        .args(["--listen", &format!("0.0.0.0:{RELAY_PORT}")])
        .arg("--cert")
        .arg(&authority.chain)
        .arg("--key")
        .arg(&authority.key);
    let mut relay = Program::start(bed.dir(), "relay", command).unwrap();
    relay.wait_line("chain.pem").unwrap();
    let hosts = names(["10.80.2.2".to_owned()]);
    let gateway = || {
        let mut command = with_hosts(&bed, Side::Gateway(0), &hosts, "lanparty-gateway");
        command.args(["--interface", LAN]);
        joining(command)
    };
    let client = || {
        let command = with_hosts(&bed, Side::Remote(0), &hosts, "lanparty-client-linux");
        joining(command)
    };
    let trusting = |mut command: Command| {
        command.env("SSL_CERT_FILE", &authority.roots);
        command
    };

    // The system's own roots do not know this authority.
    for (name, command) in [("stranger", client()), ("stranger-gateway", gateway())] {
        let text = refusal(&bed, name, command);
        assert!(text.contains("certificate"), "{text}");
    }
    // They do, but the certificate is for another name.
    let mut command = trusting(client());
    command.args(["--server-name", "another.party.test"]);
    let text = refusal(&bed, "another", command);
    assert!(text.contains("certificate"), "{text}");
    assert!(!exists((bed.remote(0), TAP)));

    let mut gateway = Program::start(bed.dir(), "gateway", trusting(gateway())).unwrap();
    gateway.wait_line("gateway ready").unwrap();
    let mut client = Program::start(bed.dir(), "client", trusting(client())).unwrap();
    client.wait_line("joined").unwrap();
}
