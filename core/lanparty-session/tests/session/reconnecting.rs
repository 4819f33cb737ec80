//! Silence, loss, and coming back.

use std::time::Duration;

use lanparty_ctrl::{Disconnect, LeaveReason, Message, Resume};
use lanparty_obs::StatusLine;
use lanparty_session::{ConnectionError, EndKind, Output, session};

use crate::harness::{Bench, SECOND, connect, end, hello, joins, lines, welcome};

#[test]
fn lost_connection_is_told_and_taken_up_with_token_and_a_higher_generation() {
    let (mut bench, attempt) = Bench::joined();
    bench.pass(10 * SECOND);
    bench.closed(attempt, ConnectionError::Reset);
    let outputs = bench.outputs();
    assert!(outputs.contains(&Output::Detached));
    assert!(outputs.contains(&Output::Status(StatusLine::ConnectionLost)));

    let attempt = connect(&outputs).unwrap();
    bench.now += Duration::from_millis(1200);
    bench.connected(attempt);
    let hello = hello(&bench.outputs());
    assert_eq!(hello.resume.as_deref(), Some("token"));
    assert_eq!(hello.instance, Some(format!("{:032x}", 0x5eed)));
    assert_eq!(hello.generation, 101);

    bench.say(attempt, Message::Welcome(welcome(5)));
    let outputs = bench.outputs();
    assert!(joins(&outputs).unwrap().same_membership);
    assert_eq!(lines(&outputs), ["back after 1.2 s"]);
}

#[test]
fn after_the_first_join_it_tries_for_ever_at_most_six_and_a_half_seconds_apart() {
    let (mut bench, attempt) = Bench::joined();
    bench.closed(attempt, ConnectionError::TimedOut);
    for _ in 0..200 {
        let before = bench.now;
        let attempt = bench.next_attempt();
        assert!(bench.now - before <= Duration::from_millis(6500));
        bench.closed(attempt, ConnectionError::Unreachable("no route".into()));
    }
}

#[test]
fn an_attempt_that_took_too_long_may_still_succeed_until_the_next_begins() {
    let (mut bench, attempt) = Bench::joined();
    bench.closed(attempt, ConnectionError::TimedOut);
    for _ in 0..10 {
        let attempt = bench.next_attempt();
        let outputs = std::iter::from_fn(|| {
            let outputs = bench.outputs();
            if connect(&outputs).is_none() {
                bench.now = bench.session.poll_timeout().unwrap();
                bench.session.handle_timeout(bench.now);
            }

            connect(&outputs).is_none().then_some(outputs)
        });
        let is_closed =
            |output: &Output| matches!(output, Output::Close { id, .. } if *id == attempt);
        assert!(
            !outputs.flatten().any(|output| is_closed(&output)),
            "too early"
        );
    }
}

#[test]
fn a_relay_that_answers_while_the_next_attempt_is_waited_for_is_joined_at_once() {
    let (mut bench, attempt) = Bench::joined();
    bench.closed(attempt, ConnectionError::TimedOut);
    let attempt = bench.next_attempt();
    bench.pass(Duration::from_millis(510));
    assert_eq!(connect(&bench.outputs()), None, "it waits");

    bench.connected(attempt);
    assert_eq!(hello(&bench.outputs()).generation, 101);
    bench.pass(SECOND);
    assert_eq!(connect(&bench.outputs()), None, "one is enough");
    bench.say(attempt, Message::Welcome(welcome(5)));
    assert!(joins(&bench.outputs()).is_some());
}

#[test]
fn silence_tries_a_second_connection_and_the_winner_takes_over() {
    let (mut bench, old) = Bench::joined();
    bench.session.handle_silence(old, SECOND, bench.now);
    assert_eq!(connect(&bench.outputs()), None);
    bench
        .session
        .handle_silence(old, session::SUSPICION, bench.now);
    let new = connect(&bench.outputs()).unwrap();

    bench.connected(new);
    bench.pass(SECOND / 4);
    bench.say(new, Message::Welcome(welcome(5)));
    let outputs = bench.outputs();
    let is_closed = |output: &Output| matches!(output, Output::Close { id, .. } if *id == old);
    assert!(outputs.iter().any(is_closed));
    assert_eq!(joins(&outputs).unwrap().connection, new);

    bench.closed(old, ConnectionError::TimedOut);
    assert_eq!(bench.outputs(), [], "the old one's end changes nothing");
}

#[test]
fn connection_that_answers_again_is_kept() {
    let (mut bench, old) = Bench::joined();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.session.handle_silence(old, Duration::ZERO, bench.now);

    let outputs = bench.outputs();
    assert!(matches!(outputs[..], [Output::Close { id, .. }] if id == new));
    assert_eq!(bench.session.connection(), Some(old));
}

#[test]
fn own_takeover_is_not_mistaken_for_being_thrown_out() {
    let (mut bench, old) = Bench::joined();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.pass(SECOND / 4);
    let kicked = Message::Disconnect(Disconnect {
        reason: LeaveReason::Kicked,
        message: "a newer connection of this computer has taken over".into(),
    });
    bench.say(old, kicked.clone());
    bench.say(new, Message::Welcome(welcome(5)));
    assert!(joins(&bench.outputs()).unwrap().same_membership);

    bench.say(new, kicked);
    assert_eq!(end(&bench.outputs()).unwrap().0, EndKind::Refused);
}

#[test]
fn same_numbers_with_another_token_are_another_place() {
    let (mut bench, old) = Bench::joined();
    bench.closed(old, ConnectionError::Reset);
    let new = bench.next_attempt();
    bench.connected(new);
    let mut other = welcome(5);
    other.resume = Some(Resume {
        token: "another".into(),
        seconds: 60,
    });
    bench.say(new, Message::Welcome(other));

    assert!(!joins(&bench.outputs()).unwrap().same_membership);
}
