//! The relay as a process, and members on the library that programs use.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests fail like tests, and what is tested is a process"
)]

mod floods;
mod logs;
mod member;
mod process;

use std::time::Duration;

use lanparty_ctrl::{LeaveReason, Message, RejectCode, Role};
use lanparty_net::CloseCause;
use lanparty_proto::MacAddr;

use crate::member::{Member, frame};
use crate::process::Relay;

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);

#[test]
fn members_of_a_room_hear_each_other_and_nobody_else() {
    let relay = Relay::start("hear", &["--workers", "2"]);
    let mut gateway = Member::join(&relay, Role::Gateway, "ROOM1", None);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    let mut outsider = Member::join(&relay, Role::Client, "ROOM2", Some(A));

    let everybody = frame(MacAddr::BROADCAST, A);
    a.send(&everybody);
    assert_eq!(b.receive(), everybody);
    assert_eq!(gateway.receive(), everybody);
    let only_a = frame(A, B);
    b.send(&only_a);

    assert_eq!(a.receive(), only_a, "and not its own broadcast");
    assert!(outsider.is_quiet());
    assert!(gateway.is_quiet());
}

#[test]
fn a_room_of_one_worker_is_found_from_every_other() {
    let relay = Relay::start("found", &["--workers", "4"]);
    let members: Vec<_> = (1..=8)
        .map(|number| {
            let mac = MacAddr([2, 0, 0, 0, 0, number]);
            Member::join(&relay, Role::Client, "ROOM1", Some(mac))
        })
        .collect();

    let rooms: Vec<_> = members.iter().map(|member| member.welcome().room).collect();
    assert!(rooms.iter().all(|room| *room == rooms[0]));
    let status = relay.status();
    assert_eq!(status["rooms"][0]["members"].as_array().unwrap().len(), 8);
    assert_eq!(status["rooms"].as_array().unwrap().len(), 1);
}

#[test]
fn status_shows_what_happened() {
    let relay = Relay::start("status", &[]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    a.send(&frame(B, A));
    b.receive();
    a.send(&frame(B, B));
    a.send(&frame(B, A));
    b.receive();

    let status = relay.status();

    let members = status["rooms"][0]["members"].as_array().unwrap();
    let shown = members
        .iter()
        .find(|member| member["mac"] == A.to_string())
        .unwrap();
    assert_eq!(shown["up"]["frames"], 2);
    assert_eq!(shown["drops"]["spoofed_source"], 1);
    assert_eq!(shown["connected"], true);
    assert_eq!(status["drops"]["spoofed_source"], 1);
}

#[test]
fn a_shutdown_is_told_and_takes_less_than_a_second() {
    let mut relay = Relay::start("shutdown", &[]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));

    relay.terminate();
    let goodbye = a.message(|message| matches!(message, Message::Disconnect(_)));

    let Message::Disconnect(goodbye) = goodbye else {
        unreachable!("that is what was waited for")
    };
    assert_eq!(goodbye.reason, LeaveReason::Shutdown);
    drop(a);
    assert!(relay.wait_for_end(Duration::from_secs(1)).success());
}

#[test]
fn a_duplicate_mac_and_a_second_gateway_are_told_so() {
    let relay = Relay::start("duplicate", &[]);
    let _a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let _gateway = Member::join(&relay, Role::Gateway, "ROOM1", None);

    for (role, mac, code) in [
        (Role::Client, Some(A), RejectCode::MacInUse),
        (Role::Gateway, None, RejectCode::GatewayPresent),
    ] {
        let reject = Member::try_join(&relay, role, "ROOM1", mac).unwrap_err();
        assert_eq!(reject.code, code);
        assert!(!reject.message.is_empty());
    }
}

#[test]
fn who_says_nothing_or_nonsense_is_gone_in_a_while() {
    let relay = Relay::start("silent", &[]);
    let mut silent = Member::connect(&relay);
    let mut babbler = Member::connect(&relay);
    babbler.send_control(b"\0\0\0\x02[]");
    let mut dripping = Member::connect(&relay);
    dripping.send_control(b"\0\0");

    let reject = babbler.message(|message| matches!(message, Message::Reject(_)));
    assert!(matches!(reject, Message::Reject(reject) if reject.code == RejectCode::BadHello));
    for member in [&mut silent, &mut dripping] {
        assert!(matches!(member.end(), CloseCause::Application { .. }));
    }
    assert_eq!(relay.status()["connections"], 0);
}

#[test]
fn datagrams_before_the_welcome_end_the_connection() {
    let relay = Relay::start("early", &["--hello-deadline", "60"]);
    let mut early = Member::connect(&relay);
    for _ in 0..100 {
        early.send_raw(&[]);
    }

    let cause = early.end();

    assert!(
        matches!(&cause, CloseCause::Application { text, .. } if text == "datagrams before the welcome"),
        "{cause:?}"
    );
}

#[test]
fn a_limit_that_is_reached_is_named() {
    let relay = Relay::start("limits", &["--max-clients-per-room", "1", "--workers", "1"]);
    let _a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let reject = Member::try_join(&relay, Role::Client, "ROOM1", Some(B)).unwrap_err();

    assert_eq!(reject.code, RejectCode::RoomFull);
    assert_eq!(relay.status()["limits_reached"]["room_clients"], 1);
}

#[test]
fn garbage_ends_the_sender_and_nobody_else() {
    let relay = Relay::start("garbage", &[]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));

    for _ in 0..100 {
        a.send_raw(&[]);
    }
    let left = b.message(|message| matches!(message, Message::PeerLeft(_)));

    assert!(matches!(left, Message::PeerLeft(left) if left.reason == LeaveReason::Malformed));
    let goodbye = a.message(|message| matches!(message, Message::Disconnect(_)));
    assert!(
        matches!(goodbye, Message::Disconnect(goodbye) if goodbye.reason == LeaveReason::Malformed)
    );
}

#[test]
fn a_broken_connection_keeps_its_place_and_is_taken_up_again() {
    let relay = Relay::start("resume", &[]);
    let a = Member::join(&relay, Role::Client, "ROOM1", Some(A));
    let mut b = Member::join(&relay, Role::Client, "ROOM1", Some(B));
    let welcome = a.welcome().clone();
    // The process dies without a word.
    drop(a);

    let mut again = Member::resume(&relay, "ROOM1", A, &welcome);

    assert_eq!(again.welcome().peer, welcome.peer);
    again.send(&frame(B, A));
    assert_eq!(b.receive(), frame(B, A));
    assert!(!b.has(|message| matches!(message, Message::PeerLeft(_))));
}

#[test]
fn a_killed_relay_comes_back_with_its_certificate_and_tells_its_members_at_once() {
    let mut relay = Relay::start("killed", &[]);
    let mut a = Member::join(&relay, Role::Client, "ROOM1", Some(A));

    relay.kill();
    relay.restart();
    a.send(&frame(B, A));

    assert_eq!(a.end(), CloseCause::Reset);
    Member::join(&relay, Role::Client, "ROOM1", Some(A));
}

#[test]
fn what_keeps_it_from_starting_is_told_in_a_sentence() {
    let relay = Relay::start("port", &[]);
    let listen = relay.address().to_string();
    let (code, text) = Relay::refused("port2", &["--listen", &listen]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("is taken"), "{text}");

    for usage in [
        &["--cert", "/nonexistent"][..],
        &["--listen", "443/tcp"],
        &["--workers", "0"],
        &["--no-such-option"],
    ] {
        let (code, text) = Relay::refused("usage", usage);
        assert_eq!(code, 64, "{text}");
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_with_what_to_do() {
    let mine = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (arguments, sentence) in [
        (
            &["--cert", "/nonexistent", "--key", "/nonexistent"][..],
            "cannot read /nonexistent; it must be a PEM file that this user may read",
        ),
        (
            &["--cert", mine, "--key", mine][..],
            "must be a PEM file with the whole chain",
        ),
        (
            &["--dev-cert-out", "/nonexistent/cert.pem"][..],
            "name another file with --dev-cert-out",
        ),
        (
            &["--state-dir", "/dev/null/state"][..],
            "name another with --state-dir",
        ),
    ] {
        let (code, text) = Relay::refused("files", arguments);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(sentence), "{text}");
    }
}

#[test]
fn a_readable_key_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut relay = Relay::start("readable", &[]);
    relay.kill();
    let keys = relay.state().join("relay-keys.json");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();

    let state = relay.state().to_str().unwrap().to_owned();
    let (code, text) = Relay::refused("readable2", &["--state-dir", &state]);

    assert_eq!(code, 2, "{text}");
    assert!(text.contains("others may read"), "{text}");
}
