//! What peers cannot do to a log, and what a log that nobody reads cannot do to the relay.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use lanparty_ctrl::{Message, PROTOCOL_VERSION, Role, encode};
use lanparty_proto::MacAddr;

use crate::logs::lines;
use crate::member::{Member, frame};
use crate::process::Relay;
use crate::{A, B};

/// How many connections flood the relay at each stage.
const FLOODERS: u8 = 10;

/// How the log says that lines are missing.
const MISSING: &str = "log lines are missing here";

/// How many messages each of them sends: 100,000 together.
const MESSAGES: usize = 5000;

#[test]
fn a_flood_of_control_messages_leaves_a_line_for_each_connection_and_gets_one_answer() {
    let mut relay = Relay::start("flood", &["--log", "info", "--workers", "1"]);
    let mac = |number| MacAddr([2, 0, 0, 0, 1, number]);
    let mut members: Vec<Member> = (0..FLOODERS)
        .map(|number| Member::join(&relay, Role::Client, "ROOM1", Some(mac(number))))
        .collect();
    members.extend((0..FLOODERS).map(|_| Member::connect(&relay)));

    // What is well-formed and too much, and what means nothing.
    let messages = [encode(&Message::Arrived), b"\0\0\0\x02[]".to_vec()];
    for (member, message) in members.iter_mut().zip(messages.iter().cycle()) {
        for _ in 0..MESSAGES / 100 {
            member.insist(&message.repeat(100));
        }
    }
    for member in &mut members {
        member.end();
        let answers =
            member.count(|message| matches!(message, Message::Reject(_) | Message::Disconnect(_)));
        assert_eq!(answers, 1);
    }

    let log = relay.end();
    assert_eq!(
        lines(&log, &["connection ended"]).len(),
        members.len(),
        "{log}"
    );
    assert!(log.lines().count() <= 100, "{log}");
}

#[test]
fn coming_and_going_without_end_leaves_a_bounded_log() {
    let arguments = ["--log", "info", "--workers", "1", "--address-connects", "0"];
    let mut relay = Relay::start("revolving", &arguments);
    let begun = Instant::now();
    for _ in 0..150 {
        Member::join(&relay, Role::Client, "ROOM1", Some(A)).leave();
    }

    let log = relay.end();
    // A hundred at once, and two more a second at most.
    let most = 101 + 2 * begun.elapsed().as_secs();
    for kind in [" joined ", " left "] {
        let count = lines(&log, &[kind]).len() as u64;
        assert!((100..=most).contains(&count), "{count} of {most}: {log}");
    }
}

#[test]
fn a_relay_whose_log_nobody_reads_serves_and_ends_as_ever() {
    let (mut relay, unread) = Relay::start_mute("mute", &["--log", "info"]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    for _ in 0..20 {
        Member::join(&relay, Role::Client, "ROOM2", Some(A)).leave();
        a.send(&frame(B, A));
        assert_eq!(b.receive(), frame(B, A));
        a.turn();
    }

    relay.terminate();
    assert!(relay.wait_for_end(Duration::from_secs(5)).success());
    drop(unread);
}

#[test]
fn a_log_that_is_read_late_says_what_is_missing_and_has_the_last_line() {
    let arguments = ["--log", "info,frames=trace", "--workers", "1"];
    let (mut relay, late) = Relay::start_mute("late", &arguments);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    for _ in 0..3000 {
        a.send(&frame(B, A));
        b.receive();
        a.turn();
    }
    let (sender, has_caught_up) = sync_channel(1);
    let log = std::thread::spawn(move || {
        let lines = BufReader::new(late).lines().map(Result::unwrap);
        let tell = |line: &String| {
            if line.contains(MISSING) {
                sender.try_send(()).unwrap();
            }
        };
        lines.inspect(tell).collect::<Vec<String>>().join("\n")
    });

    has_caught_up.recv_timeout(Duration::from_secs(10)).unwrap();
    relay.terminate();
    assert!(relay.wait_for_end(Duration::from_secs(5)).success());

    let log = log.join().unwrap();
    let missing = lines(&log, &[MISSING]);
    let lost: usize = (missing.iter())
        .map(|line| {
            line.split_once("lost=")
                .unwrap()
                .1
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    let frames = lines(&log, &["action=\"forwarded\""]).len();
    assert_eq!(frames + lost, 3000, "{missing:?}");
    assert!(lost > 0);
    assert_eq!(lines(&log, &["ended", "frames_in=3000"]).len(), 1);
}

#[test]
fn a_relay_that_cannot_start_ends_though_nobody_reads_why() {
    let arguments = ["--cert", "/nonexistent", "--key", "/nonexistent"];
    let code = Relay::refused_mute("mute-cert", &arguments, Duration::from_secs(5));

    assert_eq!(code, Some(2));
}

#[test]
fn a_name_cannot_forge_a_line() {
    let mut relay = Relay::start("forged", &["--log", "info"]);
    let name = "x\nFORGED INFO joined \u{1b}[2K";

    let reject = Member::try_join_named(&relay, name, u16::MAX).unwrap_err();
    drop(Member::try_join_named(&relay, name, PROTOCOL_VERSION).unwrap());

    assert!(reject.message.contains("x\\nFORGED"), "{}", reject.message);
    let log = relay.end();
    assert_eq!(lines(&log, &["FORGED"]).len(), 2, "{log}");
    for line in lines(&log, &["FORGED"]) {
        assert!(
            line.starts_with("20") && !line.contains('\u{1b}'),
            "{line:?}"
        );
    }
}
