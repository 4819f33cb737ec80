//! The relay under attack, in short. `cargo run -p lanparty-e2e --bin siege` is the same in full, with figures.

use lanparty_e2e::siege::{self, Relay, WITNESS_WORKER};

/// By how much a relay may grow under attack, in bytes.
const MAX_GROWTH: u64 = 16 << 20;

/// Options of a relay that bears malformed datagrams without end, so that its parsers see all of them.
const PATIENT: [&str; 4] = ["--violations", "0", "--max-violations", "4294967295"];

#[test]
fn garbage_of_an_admitted_client_ends_it_at_the_threshold() {
    let mut relay = Relay::start("threshold", &[]).unwrap();

    siege::threshold(&mut relay).unwrap();
}

#[test]
fn mutated_datagrams_crash_nothing_and_take_no_memory() {
    let mut relay = Relay::start("datagrams", &PATIENT).unwrap();

    let outcome = siege::datagrams(&mut relay, WITNESS_WORKER, 200_000).unwrap();

    assert!(outcome.growth < MAX_GROWTH, "{outcome:?}");
}

#[test]
fn random_packets_crash_nothing_and_take_no_memory() {
    let mut relay = Relay::start("packets", &[]).unwrap();

    let outcome = siege::packets(&mut relay, 50_000).unwrap();

    assert!(outcome.growth < MAX_GROWTH, "{outcome:?}");
}

#[test]
fn connections_that_never_say_hello_are_gone() {
    let mut relay = Relay::start("silent", &["--hello-deadline", "6"]).unwrap();

    let (_, silence) = siege::silent(&mut relay, 300).unwrap();

    assert!(silence.most >= 300, "{silence:?}");
    assert_eq!(silence.crowded_out, 0, "{silence:?}");
}

#[test]
fn of_many_that_never_say_hello_those_that_are_silent_for_longest_go() {
    let mut relay = Relay::start("crowded", &["--silent-connections", "100"]).unwrap();

    let (_, silence) = siege::silent(&mut relay, 300).unwrap();

    assert!(silence.crowded_out > 0, "{silence:?}");
    assert!(silence.connected >= 300, "{silence:?}");
}

#[test]
fn one_network_gets_no_more_than_its_share() {
    let relay = Relay::start("network", &["--network-connections", "40"]).unwrap();

    siege::network(&relay, 40).unwrap();
}

#[test]
fn who_was_here_lately_need_not_prove_its_address_again() {
    // No handshake without a proof: as if a rush lasted all the time.
    let relay = Relay::start("known", &["--handshakes", "0"]).unwrap();

    siege::known(&relay).unwrap();
}

#[test]
fn one_address_gets_no_more_than_its_share() {
    let relay = Relay::start("flood", &[]).unwrap();

    siege::flood(&relay).unwrap();
}

#[test]
fn a_rush_of_unvalidated_peers_must_prove_its_addresses() {
    let relay = Relay::start("retry", &[]).unwrap();

    siege::retry(&relay).unwrap();
}

#[test]
fn a_relay_that_ran_short_of_memory_lets_people_in_again() {
    // Four fifths of 20 MiB: some hundred connections more than nothing.
    let relay = Relay::start("scarce", &["--memory", "20"]).unwrap();

    siege::scarce(&relay).unwrap();
}

#[test]
fn who_comes_again_with_garbage_is_thrown_out_again() {
    let mut relay = Relay::start("returning", &[]).unwrap();

    let (outcome, _) = siege::returning(&mut relay, 10).unwrap();

    assert!(outcome.growth < MAX_GROWTH, "{outcome:?}");
}
