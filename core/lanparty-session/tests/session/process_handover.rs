//! A program that goes on in another process.

use std::time::Instant;

use lanparty_ctrl::{Capability, Message, RejectCode, Role, RoomBudget, close_code};
use lanparty_session::{ConnectionError, ConnectionId, EndKind, Session, SessionConfig};

use crate::harness::{Bench, OTHER, SECOND, client, connect, end, hello, reject, said, welcome};

/// A gateway's new process, welcomed beside the old one.
fn successor() -> (Bench, ConnectionId) {
    let config = SessionConfig {
        role: Role::Gateway,
        mac: None,
        resume: Some("t5".into()),
        ..Bench::config()
    };
    let mut bench = Bench {
        session: Session::new(config).succeed(),
        now: Instant::now(),
    };
    bench.session.start(bench.now);
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);

    (bench, attempt)
}

#[test]
fn a_new_process_takes_frames_once_everybody_was_named_and_its_path_was_explored() {
    let (mut bench, attempt) = successor();
    let asked = hello(&bench.outputs());
    assert!(asked.can(Capability::Beside));
    bench.say(attempt, Message::Welcome(welcome(5)));
    bench.say(attempt, client(6, OTHER));
    assert!(
        said(&bench.outputs(), attempt).is_empty(),
        "others may follow"
    );

    bench.say(attempt, Message::RoomBudget(RoomBudget { budget: None }));
    bench.session.handle_budget(attempt, 1300, bench.now);
    assert!(
        said(&bench.outputs(), attempt).is_empty(),
        "larger ones may pass"
    );
    bench.pass(SECOND);

    assert_eq!(said(&bench.outputs(), attempt), [Message::Arrived]);
    bench.closed(attempt, ConnectionError::Reset);
    let next = bench.next_attempt();
    bench.connected(next);
    let asked = hello(&bench.outputs());
    assert!(!asked.can(Capability::Beside), "a member like any other");
}

#[test]
fn a_new_process_that_is_not_admitted_ends_and_never_stands_by() {
    let (mut bench, attempt) = successor();
    bench.say(attempt, reject(RejectCode::GatewayPresent));

    assert_eq!(end(&bench.outputs()).unwrap().0, EndKind::Refused);
}

#[test]
fn an_old_process_gives_way_when_it_is_told_to_move_or_superseded() {
    for is_told in [true, false] {
        let (mut bench, attempt) = Bench::joined();
        assert!(bench.session.hand_over().is_some());
        assert_eq!(bench.session.hand_over(), None, "one at a time");
        assert!(!bench.session.is_handed_over());
        if is_told {
            bench.say(attempt, Message::Move);
        } else {
            bench.closed(
                attempt,
                ConnectionError::Closed {
                    code: close_code::SUPERSEDED.into(),
                    text: String::new(),
                },
            );
        }

        assert!(bench.session.is_handed_over());
        bench.pass(SECOND * 30);
        let outputs = bench.outputs();
        assert_eq!((end(&outputs), connect(&outputs)), (None, None));
    }
}

#[test]
fn an_old_process_whose_successor_did_not_come_is_a_member_like_any_other() {
    let (mut bench, attempt) = Bench::joined();
    bench.session.hand_over().unwrap();
    bench.session.cancel_handover();

    bench.closed(attempt, ConnectionError::Reset);
    assert!(!bench.session.is_handed_over());
    bench.next_attempt();
    assert_eq!(
        bench.session.hand_over(),
        None,
        "there is no membership to give"
    );
}
