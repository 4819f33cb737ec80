//! Whole parties in virtual time.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_ctrl::{Hello, LeaveReason};
use lanparty_proto::MacAddr;
use lanparty_samples::hello;
use lanparty_sim::{Line, Party, frame};
use lanparty_switch::{ConnId, Joiner, Limits, Output, Rate, Switch};

const LAN: MacAddr = MacAddr([0, 0x11, 0x22, 0x33, 0x44, 0x55]);

fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

fn start() -> Instant {
    Instant::now()
}

fn without_rates() -> Limits {
    Limits {
        broadcast: Rate::UNLIMITED,
        unknown: Rate::UNLIMITED,
        ..Limits::default()
    }
}

/// A party of two rooms, each with a gateway and three clients.
fn two_rooms(line: Line, seed: u64) -> (Party, BTreeMap<usize, &'static str>) {
    let mut party = Party::new(without_rates(), line, seed, start());
    let mut rooms = BTreeMap::new();
    for room in ["ROOM1", "ROOM2"] {
        for number in 0..4 {
            let player = party.invite(room, (number > 0).then(|| mac(number)));
            rooms.insert(player, room);
        }
    }
    party.run(Duration::from_secs(2));
    assert!(
        rooms
            .keys()
            .all(|player| party.players[*player].is_joined()),
        "seed {seed}"
    );

    (party, rooms)
}

#[test]
fn on_a_clean_wire_everybody_hears_everything_once() {
    let (mut party, rooms) = two_rooms(Line::clean(Duration::from_millis(20)), 1);

    for number in 0..100_u64 {
        let sender = party.rng.below(8);
        let source = party.mac_of(sender).unwrap_or(LAN);
        party.send(sender, &frame(MacAddr::BROADCAST, source, number));
        party.run(Duration::from_millis(100));

        let mut heard: Vec<usize> = party.heard.drain(..).map(|heard| heard.player).collect();
        heard.sort_unstable();
        let expected: Vec<usize> = rooms
            .iter()
            .filter(|(player, room)| **player != sender && **room == rooms[&sender])
            .map(|(player, _)| *player)
            .collect();
        assert_eq!(heard, expected);
    }
}

/// An hour with broken connections, lost, late and doubled datagrams: nobody ever hears another room or himself, and everybody is back.
#[test]
fn an_hour_of_party_on_bad_lines() {
    for seed in 0..4 {
        let line = Line {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(15),
            loss_percent: 3,
            duplicate_percent: 2,
        };
        let (mut party, rooms) = two_rooms(line, seed);
        let mut senders = BTreeMap::new();
        let mut frames_heard = 0;

        for number in 0..7200_u64 {
            let player = party.rng.below(8);
            if party.rng.chance(2) {
                party.cut(player, Duration::from_millis(1500));
            }
            let source = party.mac_of(player).unwrap_or(LAN);
            let to = [MacAddr::BROADCAST, mac(1), mac(2), LAN][party.rng.below(4)];
            senders.insert(number, player);
            party.send(player, &frame(to, source, number));
            party.run(Duration::from_millis(500));

            for heard in party.heard.drain(..) {
                let number = u64::from_be_bytes(*heard.frame[18..].first_chunk().unwrap());
                let sender = senders[&number];
                frames_heard += 1;
                assert_ne!(heard.player, sender, "seed {seed}: its own frame");
                assert_eq!(
                    rooms[&heard.player], rooms[&sender],
                    "seed {seed}: another room's"
                );
            }
        }
        party.run(Duration::from_secs(30));

        for (number, player) in party.players.iter().enumerate() {
            assert!(
                player.is_joined(),
                "seed {seed}: player {number} is outside: {:?}",
                player.ended
            );
            assert_eq!(
                player.memberships, 1,
                "seed {seed}: player {number} lost its membership"
            );
            assert_eq!(
                player.leaves_heard, 0,
                "seed {seed}: a blip looked like a leave"
            );
        }
        assert_eq!((party.relay.members(), party.relay.rooms()), (8, 2));
        let resumed = party.relay.totals().resumed;
        assert!(
            resumed > 50,
            "seed {seed}: only {resumed} connections broke"
        );
        assert!(
            frames_heard > 5000,
            "seed {seed}: only {frames_heard} frames were heard"
        );
    }
}

#[test]
fn who_leaves_is_gone_at_once_and_the_room_with_the_last() {
    let (mut party, rooms) = two_rooms(Line::clean(Duration::from_millis(20)), 7);

    for player in rooms.keys() {
        party.leave(*player);
    }
    party.run(Duration::from_secs(1));

    assert_eq!((party.relay.members(), party.relay.rooms()), (0, 0));
    assert!(party.players.iter().all(|player| player.ended.is_some()));
}

/// Ten thousand connections of one member, each of which takes over from the last; the end of every old one comes when it pleases.
#[test]
fn ten_thousand_takeovers_and_no_new_connection_is_evicted_by_an_old_one() {
    let mut switch = Switch::new(Limits::default(), 0);
    let mut rng = lanparty_sim::Rng::new(3);
    let mut now = start();
    let mut old = Vec::new();
    let mut token = None;
    let mut peer = None;

    for generation in 1..=10_000_u64 {
        now += Duration::from_millis(100);
        let hello = Hello {
            generation,
            resume: token.clone(),
            ..hello(Some(mac(1)))
        };
        let joiner = Joiner {
            conn: ConnId(generation),
            budget: 1434,
            origin: [192, 0, 2, 1].into(),
            token: u128::from(generation).to_be_bytes(),
        };
        let membership = switch.handle_hello(joiner, &hello, now).unwrap();
        while let Some(output) = switch.poll_output() {
            if let Output::Send {
                message: lanparty_ctrl::Message::Welcome(welcome),
                ..
            } = output
            {
                token = welcome.resume.map(|resume| resume.token);
                assert_eq!(*peer.get_or_insert(welcome.peer), welcome.peer);
            }
        }

        old.push(membership);
        while old.len() > 1 && rng.chance(60) {
            let ended = old.remove(rng.below(old.len() - 1));
            if rng.chance(50) {
                switch.handle_lost(ended, now);
            } else {
                assert_eq!(switch.handle_leave(ended, LeaveReason::Disconnect), None);
            }
        }
        switch.handle_timeout(now);
        let snapshot = switch.snapshot(now);
        assert_eq!(snapshot[0].members[0].conn, Some(ConnId(generation)));
    }

    assert_eq!(switch.members(), 1);
}
