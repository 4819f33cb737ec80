//! From the first attempt to the membership.

use lanparty_ctrl::{
    Capability, ForeignSource, Message, Redirect, Reject, RejectCode, RoomBudget, close_code,
    encode,
};
use lanparty_proto::{PeerId, RoomId};
use lanparty_session::{ConnectionError, EndKind, Output, Standby, session};

use crate::harness::{Bench, MAC, OTHER, connect, end, hello, joins, lines, reject, welcome};

#[test]
fn joins_with_a_hello_and_a_welcome() {
    let mut bench = Bench::new();
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    let hello = hello(&bench.outputs());
    assert_eq!((hello.mac, hello.generation), (Some(MAC), 100));

    bench.say(attempt, Message::Welcome(welcome(5)));
    let outputs = bench.outputs();
    let info = joins(&outputs).unwrap();

    assert_eq!(
        (info.peer, info.room, info.budget),
        (PeerId(5), RoomId(9), 1400)
    );
    assert!(!info.same_membership);
    assert!(lines(&outputs)[0].starts_with("joined room PARTY: the LAN gateway is here"));
    assert_eq!(bench.session.budget(), 1400);
}

#[test]
fn welcome_that_comes_byte_by_byte_is_the_same() {
    let mut bench = Bench::new();
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    for byte in encode(&Message::Welcome(welcome(5))) {
        bench.session.handle_control(attempt, &[byte], bench.now);
    }

    assert!(joins(&bench.outputs()).is_some());
}

#[test]
fn budget_follows_the_path_up_to_what_was_agreed() {
    let (mut bench, attempt) = Bench::joined();

    bench.session.handle_budget(attempt, 1200, bench.now);
    assert_eq!(bench.session.budget(), 1200);
    bench.session.handle_budget(attempt, 9000, bench.now);
    assert_eq!(bench.session.budget(), 1500);
}

#[test]
fn budget_is_what_fits_everybody_while_the_room_says_so() {
    let (mut bench, attempt) = Bench::joined();

    for (told, budget) in [(Some(1162), 1162), (Some(9000), 1400), (None, 1400)] {
        let room = RoomBudget { budget: told };
        bench.say(attempt, Message::RoomBudget(room));
        assert_eq!(bench.session.budget(), budget);
    }
}

#[test]
fn first_join_that_finds_nobody_ends_after_ten_seconds_and_names_the_relay() {
    let mut bench = Bench::new();
    bench.pass(session::FIRST_JOIN);
    let (kind, sentence) = end(&bench.outputs()).unwrap();

    assert_eq!(kind, EndKind::Refused);
    assert!(sentence.contains("relay.example:443"), "{sentence}");
    assert_eq!(bench.session.poll_timeout(), None);
}

#[test]
fn unreachable_relay_is_tried_until_it_answers() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        let attempt = bench.next_attempt();
        bench.closed(
            attempt,
            ConnectionError::Unreachable("connection refused".into()),
        );
    }
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(5)));

    assert!(joins(&bench.outputs()).is_some());
}

#[test]
fn wrong_certificate_ends_at_once() {
    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.closed(
        attempt,
        ConnectionError::Certificate("unknown issuer".into()),
    );
    let (kind, sentence) = end(&bench.outputs()).unwrap();

    assert_eq!(kind, EndKind::Refused);
    assert!(sentence.contains("certificate"), "{sentence}");
}

#[test]
fn a_relay_cannot_make_lines_of_its_own() {
    let forged = "no\n$ sudo \u{1b}[2K";
    for (code, is_final) in [
        (RejectCode::RoomFull, true),
        (RejectCode::ShuttingDown, false),
    ] {
        let mut bench = Bench::new();
        let attempt = bench.next_attempt();
        bench.connected(attempt);
        let message = forged.into();
        bench.say(attempt, Message::Reject(Reject { code, message }));

        let outputs = bench.outputs();
        let told = match end(&outputs) {
            Some((_, sentence)) => sentence,
            None => lines(&outputs).concat(),
        };
        assert_eq!(end(&outputs).is_some(), is_final);
        assert!(told.starts_with(r"no\n$ sudo \u{1b}[2K"), "{told:?}");
    }
}

#[test]
fn permanent_rejects_end_with_their_sentence_whether_told_or_closed() {
    for code in [
        RejectCode::MacInUse,
        RejectCode::GatewayPresent,
        RejectCode::RoomFull,
    ] {
        let mut bench = Bench::new();
        let attempt = bench.next_attempt();
        bench.connected(attempt);
        bench.say(attempt, reject(code));
        assert_eq!(
            end(&bench.outputs()),
            Some((EndKind::Refused, "the sentence".into())),
            "{code:?}"
        );
    }

    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    let cause = ConnectionError::Closed {
        code: close_code::REJECTED.into(),
        text: "the sentence".into(),
    };
    bench.closed(attempt, cause);
    assert_eq!(
        end(&bench.outputs()),
        Some((EndKind::Refused, "the sentence".into()))
    );
}

#[test]
fn relay_that_is_shutting_down_is_tried_again() {
    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, reject(RejectCode::ShuttingDown));

    assert!(bench.next_attempt() > attempt);
}

#[test]
fn redirect_connects_to_the_worker_it_names() {
    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, Message::Redirect(Redirect { worker: 3 }));

    let outputs = bench.outputs();
    let is_sent_there = outputs
        .iter()
        .any(|output| matches!(output, Output::Connect { worker: Some(3), id } if *id != attempt));
    assert!(is_sent_there, "{outputs:?}");
}

#[test]
fn redirects_in_a_circle_do_not_go_on_without_a_pause() {
    let mut bench = Bench::new();
    let mut attempt = bench.next_attempt();
    for _ in 0..4 {
        bench.connected(attempt);
        bench.say(attempt, Message::Redirect(Redirect { worker: 3 }));
        match connect(&bench.outputs()) {
            Some(next) => attempt = next,
            None => return,
        }
    }
    panic!("four redirects were followed");
}

#[test]
fn a_gateway_and_nobody_else_hears_of_frames_that_are_not_a_clients_own() {
    let foreign = ForeignSource {
        peer: PeerId(6),
        mac: OTHER,
    };
    let told = |mut bench: Bench| {
        let attempt = bench.next_attempt();
        bench.connected(attempt);
        let can = hello(&bench.outputs()).can(Capability::ForeignSource);
        bench.say(attempt, Message::Welcome(welcome(5)));
        bench.outputs();
        bench.say(attempt, Message::ForeignSource(foreign));

        (can, bench.outputs())
    };

    let gateway = told(Bench::gateway(Standby::Never));
    assert_eq!(gateway, (true, vec![Output::ForeignSource(foreign)]));
    let (can, outputs) = told(Bench::new());
    assert!(!can && end(&outputs).is_some(), "{outputs:?}");
}
