//! A gateway that waits for another one's membership.

use std::time::Duration;

use lanparty_ctrl::{Message, RejectCode, close_code};
use lanparty_relay_core::Event;

use crate::stage::{A, Stage, client, gateway, resume};

#[test]
fn a_gateway_that_is_heard_keeps_its_membership() {
    let mut stage = Stage::new();
    let active = stage.join(&gateway());
    stage.heard.insert(active.conn, stage.now);
    stage.pass(Duration::from_millis(2499));

    let (standby, messages) = stage.knock(&gateway());

    assert!(matches!(
        &messages[..],
        [Message::Reject(reject)] if reject.code == RejectCode::GatewayPresent
    ));
    assert!(stage.is_open(active.conn));
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.closed[&standby].0, close_code::BUSY, "it may wait");
}

#[test]
fn a_gateway_that_is_silent_for_two_and_a_half_seconds_is_replaced() {
    let mut stage = Stage::new();
    let silent = stage.join(&gateway());
    let a = stage.join(&client(A));
    stage.heard.insert(silent.conn, stage.now);
    stage.pass(Duration::from_millis(2500));

    let standby = stage.join(&gateway());

    assert_eq!(stage.closed[&silent.conn].0, close_code::BUSY);
    assert_ne!(standby.welcome.peer, silent.welcome.peer);
    assert!(matches!(
        stage.events.iter().find(|event| matches!(event, Event::GatewayReplaced(_))),
        Some(Event::GatewayReplaced(room)) if room.as_str() == "ROOM1"
    ));
    assert_eq!(stage.broadcast(&a, A), Ok(vec![standby.conn]));
}

#[test]
fn a_gateway_that_takes_up_its_own_membership_is_no_rival_of_itself() {
    let mut stage = Stage::new();
    let old = stage.join(&gateway());
    stage.heard.insert(old.conn, stage.now);
    stage.pass(Duration::from_secs(10));

    let new = stage.join(&resume(gateway(), &old, 2));

    assert_eq!(new.welcome.peer, old.welcome.peer);
    assert_eq!(stage.closed[&old.conn].0, close_code::SUPERSEDED);
}

/// Packets vanish on the way to the gateway alone: it goes on talking, and acknowledges nothing.
#[test]
fn a_gateway_that_hears_nothing_is_replaced_once_it_has_owed_an_answer_for_two_and_a_half_seconds()
{
    let mut stage = Stage::new();
    let deaf = stage.join(&gateway());
    stage.answered.insert(deaf.conn, stage.now);
    stage.pass(Duration::from_secs(10));

    let (_, messages) = stage.knock(&gateway());
    assert!(matches!(
        &messages[..],
        [Message::Reject(reject)] if reject.code == RejectCode::GatewayPresent
    ));
    assert_eq!(stage.pinged, [deaf.conn], "nobody had asked it before");
    stage.pass(Duration::from_millis(2500));
    stage.join(&gateway());

    assert_eq!(stage.closed[&deaf.conn].0, close_code::BUSY);
}

#[test]
fn a_gateway_that_answers_when_it_is_asked_keeps_its_membership() {
    let mut stage = Stage::new();
    let active = stage.join(&gateway());
    stage.answered.insert(active.conn, stage.now);
    for _ in 0..5 {
        stage.pass(Duration::from_millis(2500));
        let (_, messages) = stage.knock(&gateway());

        assert!(matches!(
            &messages[..],
            [Message::Reject(reject)] if reject.code == RejectCode::GatewayPresent
        ));
        stage.answered.insert(active.conn, stage.now);
    }

    assert!(stage.is_open(active.conn));
}
