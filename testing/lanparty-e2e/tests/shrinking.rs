//! A path that shrinks under a transfer, without a word, stops nothing for long.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::IpAddr;
use std::time::Duration;

use lanparty_e2e::bed::Bed;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{Program, ROOM};
use lanparty_e2e::traffic::{Enough, ping_with, stall};
use lanparty_e2e::{Namespace, Party, Side, command, link};

/// The address that the remote PC gets by hand.
const REMOTE: &str = "192.168.77.50";

/// How long a transfer may stand still (the project's promise for a black hole).
const LONGEST_STALL: Duration = Duration::from_secs(3);

/// Packets over this many bytes vanish between the Internet and the remote PC.
const NARROW: u32 = 1300;

/// Starts an ordinary party whose members do or do not split frames, and gives the remote PC its address.
fn party(frames: &str) -> Party {
    let bed = Bed::new().unwrap();
    let relay = bed.start_relay().unwrap();
    let mut command = bed.gateway_command(0, ROOM).unwrap();
    command.args(["--frames", frames]);
    let mut gateway = Program::start(bed.dir(), "gateway", command).unwrap();
    gateway.wait_line("gateway ready").unwrap();
    let mut command = bed.client_command(0, ROOM).unwrap();
    command.args(["--frames", frames]);
    let mut client = Program::start(bed.dir(), "client", command).unwrap();
    client.wait_line("joined").unwrap();
    bed.remote(0)
        .sh(&format!("ip address add {REMOTE}/24 broadcast + dev {TAP}"))
        .unwrap();

    Party {
        clients: vec![client],
        gateway,
        relay,
        bed,
    }
}

/// Transfers from one end to the other, makes large packets vanish meanwhile, and expects the transfer to go on.
fn survives(bed: &Bed, from: &Namespace, to: &Namespace, address: IpAddr) {
    // A transfer that is under way: the gateway asks whether an address that was given by hand is free before it lets it speak.
    let warm = ping_with(from, address, &["-c", "10"]).unwrap();
    assert!(warm.received > 0, "both ends know each other");

    let longest = std::thread::scope(|scope| {
        let transfer = scope.spawn(|| stall(from, to, address, Enough::Time(LONGEST_STALL * 2)));
        std::thread::sleep(Duration::from_secs(1));
        bed.set_black_hole(Side::Remote(0), NARROW).unwrap();
        transfer.join().unwrap().unwrap()
    });

    assert!(
        longest < LONGEST_STALL,
        "the transfer stood still for {longest:?}"
    );
}

fn full_frames_pass(from: &Namespace, address: IpAddr) {
    let pinged = ping_with(from, address, &["-c", "3", "-s", "1472", "-M", "do"]).unwrap();
    assert_eq!(pinged.received, 3, "full frames pass the narrow path");
}

#[test]
fn transfer_to_the_lan_goes_on_when_the_path_becomes_a_black_hole() {
    let party = party("full");
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));
    let address = Bed::host_address(0).into();

    survives(&party.bed, remote, host, address);
    full_frames_pass(remote, address);
}

#[test]
fn transfer_from_the_lan_goes_on_when_the_path_becomes_a_black_hole() {
    let party = party("full");
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));
    let address = REMOTE.parse().unwrap();

    survives(&party.bed, host, remote, address);
    full_frames_pass(host, address);
}

#[test]
fn lan_is_told_what_fits_when_the_path_behind_the_relay_shrinks_in_native_mode() {
    let party = party("native");
    let (remote, host) = (party.bed.remote(0), party.bed.host(0));
    let address = REMOTE.parse().unwrap();
    let mtu: u32 = link::attribute((remote, TAP), "mtu")
        .unwrap()
        .parse()
        .unwrap();

    survives(&party.bed, host, remote, address);

    let mut ping = host.command("ping");
    ping.args(["-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s"]);
    ping.args([(mtu - 28).to_string(), REMOTE.to_owned()]);
    let said = command::said(&command::run(&mut ping).unwrap());
    let told: Option<u32> = said.split("mtu").nth(1).and_then(|text| {
        let digits = text.trim_start_matches([' ', '=', ':']);

        digits
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    assert!(
        told.is_some_and(|told| (1100..mtu).contains(&told)),
        "a ping of {mtu} bytes was told: {said}"
    );
}
