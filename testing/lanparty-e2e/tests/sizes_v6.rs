//! Packets of every size of IPv6 pass over a relay that is reached by IPv6, whatever the path carries.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, SocketAddr};

use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{Program, RELAY_PORT, ROOM};
use lanparty_e2e::traffic::{Enough, ping_with, tcp, udp_echo};
use lanparty_e2e::{Bed, Namespace, Party, Side, command, link};

/// The relay's address, that of LAN host 0, and the one that the remote PC gets by hand.
const RELAY: &str = "fd80:2::2";
const HOST: &str = "fd77::10";
const REMOTE: &str = "fd77::50";

/// Payload of a ping of 1500 bytes of IP packet: minus 40 of IPv6 and 8 of ICMPv6.
const FULL_PING: u16 = 1452;

/// Bytes of each TCP transfer: some 700 full frames.
const TRANSFER: u64 = 1_000_000;

/// Starts a party whose members reach the relay by IPv6, one of them over a path of `path_mtu` bytes.
fn party(frames: &str, path_mtu: u32, narrow: Side) -> Party {
    let bed = Bed::new().unwrap();
    bed.set_path_mtu(narrow, path_mtu).unwrap();
    let mut command = bed.program(Side::Relay, "lanparty-relay").unwrap();
    command
        .args(["--listen", &format!("[::]:{RELAY_PORT}")])
        .arg("--dev-cert-out")
        .arg(bed.certificate());
    let mut relay = Program::start(bed.dir(), "relay", command).unwrap();
    relay.wait_line("relay ready").unwrap();

    let address = SocketAddr::new(RELAY.parse().unwrap(), RELAY_PORT);
    let mut command = bed.gateway_command_by(0, address, ROOM).unwrap();
    command.args(["--frames", frames]);
    let mut gateway = Program::start(bed.dir(), "gateway", command).unwrap();
    gateway.wait_line("gateway ready").unwrap();
    let mut command = bed.client_command_by(0, address, ROOM).unwrap();
    command.args(["--frames", frames]);
    let mut client = Program::start(bed.dir(), "client", command).unwrap();
    client.wait_line("joined").unwrap();
    bed.remote(0)
        .sh(&format!("ip address add {REMOTE}/64 dev {TAP} nodad"))
        .unwrap();
    // The gateway asks whether an address that was given by hand is free before it lets it speak.
    let warm = ping_with(bed.remote(0), HOST.parse().unwrap(), &["-c", "10"]).unwrap();
    assert!(warm.received > 0, "both ends know each other");

    Party {
        clients: vec![client],
        gateway,
        relay,
        bed,
    }
}

/// Both directions: who sends, who receives, and the receiver's address.
fn ways(bed: &Bed) -> [(&Namespace, &Namespace, IpAddr); 2] {
    let (remote, host) = (bed.remote(0), bed.host(0));

    [
        (remote, host, HOST.parse().unwrap()),
        (host, remote, REMOTE.parse().unwrap()),
    ]
}

fn ping(from: &Namespace, to: IpAddr, size: u16) -> u32 {
    let options = ["-c", "3", "-s", &size.to_string(), "-M", "do"];

    ping_with(from, to, &options).unwrap().received
}

/// Every size that IPv6 need not fragment: fragments of players are not let through (`docs/policy.md`).
fn all_sizes_pass_unsplit_by_ip(frames_mtu: u32, narrow: Side) {
    let party = party("full", frames_mtu, narrow);
    for (from, to, address) in ways(&party.bed) {
        for size in [1, 512, 1400, 1452] {
            udp_echo(from, to, address, &vec![0x5a; size]).unwrap();
        }
        tcp(from, to, address, Enough::Bytes(TRANSFER)).unwrap();
        assert_eq!(ping(from, address, FULL_PING), 3, "pings of 1500 bytes");
    }
}

#[test]
fn full_frames_of_ipv6_over_1280_bytes_of_ipv6_to_the_remote_pc() {
    all_sizes_pass_unsplit_by_ip(1280, Side::Remote(0));
}

#[test]
fn full_frames_of_ipv6_over_1500_bytes_of_ipv6() {
    all_sizes_pass_unsplit_by_ip(1500, Side::Gateway(0));
}

#[test]
fn native_frames_of_ipv6_over_1400_bytes_of_ipv6() {
    let party = party("native", 1400, Side::Relay);
    let mtu = link::attribute((party.bed.remote(0), TAP), "mtu").unwrap();
    let fits: u16 = mtu.parse().unwrap();
    assert!((1280..1400).contains(&fits), "a room of MTU {mtu}");

    for (from, to, address) in ways(&party.bed) {
        for size in [1, 512, 1200] {
            udp_echo(from, to, address, &vec![0x5a; size]).unwrap();
        }
        tcp(from, to, address, Enough::Bytes(TRANSFER)).unwrap();

        let mut command = from.command("ping");
        command.args(["-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s"]);
        command.args([FULL_PING.to_string(), address.to_string()]);
        let said = command::said(&command::run(&mut command).unwrap());
        let told = [format!("mtu: {mtu}"), format!("mtu={mtu}")];
        assert!(
            told.iter().any(|told| said.contains(told)),
            "a full-size ping to {address} in a room of MTU {mtu} was told: {said}"
        );
        assert_eq!(ping(from, address, fits - 48), 3, "pings of the room's MTU");
    }
}
