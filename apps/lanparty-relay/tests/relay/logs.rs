//! What a log says of frames, and of datagrams that are none (SPEC R11, R12, R16).

use lanparty_ctrl::Role;
use lanparty_proto::MacAddr;

use crate::member::{Member, frame};
use crate::process::Relay;
use crate::{A, B};

/// Returns the lines of `log` that have all of `words`.
pub(crate) fn lines<'a>(log: &'a str, words: &[&str]) -> Vec<&'a str> {
    log.lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .collect()
}

#[test]
fn every_decision_is_logged_with_who_and_why_if_that_is_asked_for() {
    let mut relay = Relay::start("frames", &["--log", "info,frames=trace"]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    let mut gateway = Member::join(&relay, Role::Gateway, "ROOM1", None);
    let (room, peer) = (a.welcome().room.0, a.welcome().peer.0);

    a.send(&frame(MacAddr::BROADCAST, A));
    b.receive();
    gateway.receive();
    // Another's MAC; a bridge's business; then datagrams that claim to be somebody else's, and are none.
    a.send(&frame(B, B));
    a.send(&frame(MacAddr([1, 0x80, 0xc2, 0, 0, 0]), A));
    a.send_raw(&b.datagram(&frame(MacAddr::BROADCAST, B)));
    a.send_raw(&[1, 2, 3]);
    a.send(&frame(B, A));
    b.receive();

    let log = relay.end();
    let who = [
        "direction=\"across\"".to_owned(),
        format!("room={room}"),
        format!("peer={peer}"),
    ];
    let expect = |words: &[&str], count: usize| {
        let words: Vec<&str> = who
            .iter()
            .map(String::as_str)
            .chain(words.iter().copied())
            .collect();
        assert_eq!(lines(&log, &words).len(), count, "{words:?} in {log}");
    };
    let (from_a, from_b) = (format!("source={A}"), format!("source={B}"));
    let to_b = format!("destination={B}");
    let forwarded = ["ether_type=0x8137", "len=60", "action=\"forwarded\""];
    expect(
        &[
            &forwarded[..],
            &[&from_a, "targets=2", "destination=ff:ff:ff:ff:ff:ff"],
        ]
        .concat(),
        1,
    );
    expect(
        &[&forwarded[..], &[&from_a, &to_b, "targets=1"]].concat(),
        1,
    );
    expect(
        &[
            &from_b,
            &to_b,
            "action=\"filtered\"",
            "reason=\"spoofed_source\"",
        ],
        1,
    );
    expect(&["action=\"filtered\"", "reason=\"reserved_group\""], 1);
    // Who sent them is the connection's peer, whatever they claim, and nothing in them is believed.
    for reason in ["reason=\"foreign_source\"", "reason=\"malformed_datagram\""] {
        expect(&["action=\"dropped\"", reason, "targets=0"], 1);
        assert!(lines(&log, &[reason, "source="]).is_empty(), "{log}");
    }
}

#[test]
fn a_frame_that_came_in_halves_is_logged_whole_also_where_it_is_dropped() {
    let mut relay = Relay::start("fragments", &["--log", "info,frames=trace"]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    let mut long = frame(B, B);
    long.resize(1400, 0);

    a.send_halves(&long);
    a.send(&frame(B, A));
    b.receive();

    let from_b = format!("source={B}");
    let words = ["reason=\"spoofed_source\"", &from_b, "len=1400"];
    let log = relay.end();
    assert_eq!(lines(&log, &words).len(), 1, "{log}");
}

#[test]
fn no_frame_is_logged_unless_that_is_asked_for() {
    let mut relay = Relay::start("quiet", &["--log", "debug"]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    a.send(&frame(B, A));
    b.receive();

    let log = relay.end();
    assert!(!log.contains("direction="), "{log}");
}

#[test]
fn what_a_target_cannot_carry_and_what_is_malformed_is_logged_with_its_numbers() {
    let mut relay = Relay::start(
        "numbers",
        &[
            "--log",
            "debug",
            "--room-mode",
            "native",
            "--room-mtu",
            "1200",
        ],
    );
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join_with_budget(&relay, "ROOM1", B, 1226);
    let (from, to) = (a.welcome().peer.0, b.welcome().peer.0);

    // A VLAN tag's four bytes are in no MTU: what the LAN may send, a narrow path may not carry.
    let mut gateway = Member::join(&relay, Role::Gateway, "ROOM1", None);
    let mut tagged = frame(B, MacAddr([0, 0x11, 0x22, 0x33, 0x44, 0x55]));
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    tagged.resize(14 + 4 + 1200, 0);
    gateway.send(&tagged);
    a.send_raw(&[]);
    a.send_raw(&[]);
    a.send(&frame(B, A));
    b.receive();

    let log = relay.end();
    let ingress = gateway.welcome().peer.0;
    let words = [
        &format!("ingress={ingress}"),
        &format!("target={to}"),
        "encoded_len=1230",
        "budget=1226",
        "reason=\"target_budget\"",
    ];
    assert_eq!(lines(&log, &words).len(), 1, "{words:?} in {log}");
    for count in ["count=1", "count=2"] {
        let words = ["malformed datagram", "reason=\"malformed_datagram\"", count];
        assert_eq!(lines(&log, &words).len(), 1, "{from}: {words:?} in {log}");
    }
}
