//! A player's line dies without a word: no cable falls out, no router complains, packets vanish.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use lanparty_e2e::bed::{Bed, Side, Way};
use lanparty_e2e::link::wait_until;
use lanparty_e2e::party::TAP;
use lanparty_e2e::traffic::ping;
use lanparty_e2e::{Party, Program};

const PLAYER: &str = "192.168.77.50";

/// By when the player knows: QUIC gives a silent connection up after 15 s, the loop a deaf one after 17.
const KNOWN: Duration = Duration::from_secs(25);

/// How long the interface stays up after that, and what a busy machine adds.
const PORT_PATIENCE: Duration = Duration::from_secs(30);
const MARGIN: Duration = Duration::from_secs(5);

/// A party whose player has an address.
fn party() -> Party {
    let party = Party::start().unwrap();
    party
        .bed
        .remote(0)
        .sh(&format!("ip address add {PLAYER}/24 dev {TAP}"))
        .unwrap();

    party
}

fn set_silence(party: &Party, ways: &[Way], on: bool) {
    for way in ways {
        party.bed.set_silence(Side::Remote(0), *way, on).unwrap();
    }
}

/// The LAN's chatter, which comes to a player that cannot answer.
struct Chatter(Child);

impl Chatter {
    fn start(bed: &Bed) -> Self {
        let mut command = bed.host(0).command("ping");
        command.args(["-q", "-b", "-i", "0.1", "192.168.77.255"]);

        Self(command.spawn().unwrap())
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn is_up(party: &Party) -> bool {
    let link = party.bed.remote(0).sh(&format!("ip link show {TAP}"));

    link.unwrap().contains(",UP")
}

fn has_said(client: &Program, part: &str) -> bool {
    client.stdout().contains(part)
}

/// Waits until the player is told; returns after how long.
fn told_after(party: &mut Party, since: Instant) -> Duration {
    let client = party.clients.first_mut().unwrap();
    wait_until("word of the lost connection", KNOWN, || {
        has_said(client, "connection lost")
    })
    .unwrap();

    since.elapsed()
}

/// Lets packets pass again, and checks that the player is told how long it was away, and plays on.
fn come_back(party: &mut Party, ways: &[Way], since: Instant) {
    set_silence(party, ways, false);
    let line = party
        .clients
        .first_mut()
        .unwrap()
        .wait_line("back after")
        .unwrap();
    let away = since.elapsed().as_secs_f64();
    let told: f64 = line
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap();
    assert!((told - away).abs() < 2.0, "away for {away} s: {line}");
    wait_until("the player's traffic", KNOWN, || {
        let answer = ping(party.bed.remote(0), Bed::host_address(0).into(), 1);
        answer.unwrap().received == 1
    })
    .unwrap();
}

#[test]
fn a_dead_line_is_told_then_the_interface_goes_down_and_all_is_well_when_it_is_back() {
    let ways = [Way::Out, Way::In];
    let mut party = party();
    let since = Instant::now();
    set_silence(&party, &ways, true);

    let told = told_after(&mut party, since);
    assert!(is_up(&party), "games keep their sockets at first");
    thread::sleep(PORT_PATIENCE.saturating_sub(MARGIN));
    assert!(is_up(&party), "told after {told:?}");
    wait_until("the interface to go down", MARGIN * 2, || !is_up(&party)).unwrap();

    come_back(&mut party, &ways, since);
    assert!(is_up(&party));
}

#[test]
fn a_line_that_carries_nothing_up_is_told_although_the_relay_is_heard() {
    let mut party = party();
    let _chatter = Chatter::start(&party.bed);
    let since = Instant::now();
    set_silence(&party, &[Way::Out], true);

    told_after(&mut party, since);

    come_back(&mut party, &[Way::Out], since);
}

#[test]
fn a_line_that_carries_nothing_down_is_told() {
    let mut party = party();
    let since = Instant::now();
    set_silence(&party, &[Way::In], true);

    told_after(&mut party, since);

    come_back(&mut party, &[Way::In], since);
}
