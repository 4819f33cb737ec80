//! Joining, being sent to another worker, resuming and leaving.

use std::time::Duration;

use lanparty_ctrl::{
    Disconnect, Hello, LeaveReason, Message, Redirect, RejectCode, Stats, close_code, encode,
};
use lanparty_relay_core::{Claim, Ended, Event, Home, Output};

use crate::stage::{A, B, DEFICIT, Stage, client, in_room, native, remote, resume};

#[test]
fn a_room_of_another_worker_is_answered_with_a_redirect() {
    let mut stage = Stage::new();
    stage.directory.inherit(&client(A).room, 1);

    let (conn, messages) = stage.knock(&client(A));

    assert_eq!(messages, [Message::Redirect(Redirect { worker: 1 })]);
    assert_eq!(stage.relay.members(), 0);
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.closed[&conn].0, close_code::LEFT);
}

#[test]
fn what_is_sent_to_a_member_is_limited_as_its_hello_asks() {
    let mut stage = Stage::new();
    let hello = Hello {
        down_rate: Some(5_000_000),
        ..client(A)
    };

    let a = stage.join(&hello);

    assert_eq!(stage.rates[&a.conn], Some(5_000_000));
}

#[test]
fn messages_behind_a_hello_are_read_after_the_welcome() {
    let mut stage = Stage::new();
    let conn = stage.connect();
    let hello = encode(&Message::Hello(client(A)));
    let stats = Stats {
        frames_up: 42,
        ..Stats::default()
    };

    stage.send_control(conn, &[hello, encode(&Message::Stats(stats))].concat());

    stage.member(conn);
    let now = stage.now;
    let snapshot = stage.relay.snapshot(now);
    let stats = snapshot[0].members[0].stats.as_ref();
    assert_eq!(stats.map(|stats| stats.frames_up), Some(42));
}

#[test]
fn a_broken_connection_keeps_its_membership_and_is_taken_up_again() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let b = stage.join(&client(B));
    let now = stage.now;
    let ended = stage.relay.handle_closed(a.conn, None, now);
    let remote = remote(a.conn);
    assert_eq!(ended, Some(Ended::Lost { remote }));
    stage.process_outputs();

    stage.pass(Duration::from_secs(59));
    let again = stage.join(&resume(client(A), &a, 2));

    assert_eq!(again.welcome.peer, a.welcome.peer);
    assert_eq!(stage.broadcast(&again, A), Ok(vec![b.conn]));
    assert!(
        !stage
            .take(b.conn)
            .iter()
            .any(|m| matches!(m, Message::PeerLeft(_)))
    );
}

#[test]
fn a_membership_that_nobody_takes_up_again_expires() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let b = stage.join(&client(B));
    stage.close(a.conn, None);

    stage.pass(Duration::from_mins(1));

    assert!(matches!(
        stage.take(b.conn).last(),
        Some(Message::PeerLeft(left)) if left.reason == LeaveReason::Timeout
    ));
    let again = stage.join(&resume(client(A), &a, 2));
    assert_ne!(again.welcome.peer, a.welcome.peer);
}

#[test]
fn a_newer_connection_takes_over_and_the_older_one_is_closed() {
    let mut stage = Stage::new();
    let old = stage.join(&client(A));

    let new = stage.join(&resume(client(A), &old, 2));

    assert_eq!(stage.closed[&old.conn].0, close_code::SUPERSEDED);
    stage.close(old.conn, None);
    assert!(stage.is_open(new.conn));
    assert_eq!(stage.relay.members(), 1);
}

#[test]
fn a_goodbye_and_a_close_that_says_left_end_a_membership_at_once() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let b = stage.join(&client(B));
    let goodbye = Message::Disconnect(Disconnect {
        reason: LeaveReason::Disconnect,
        message: "bye".to_owned(),
    });

    stage.say(a.conn, &goodbye);
    assert_eq!(stage.closed[&a.conn].0, close_code::LEFT);
    stage.close(b.conn, Some(close_code::LEFT.into()));

    assert_eq!((stage.relay.members(), stage.relay.rooms()), (0, 0));
    assert!(matches!(stage.events.last(), Some(Event::RoomGone(_))));
    stage.directory.inherit(&client(A).room, 1);
    let (_, messages) = stage.knock(&client(A));
    assert!(
        matches!(messages[..], [Message::Redirect(_)]),
        "the room was released"
    );
}

#[test]
fn a_message_out_of_place_is_a_violation() {
    let mut stage = Stage::new();
    let early = stage.connect();
    stage.say(early, &Message::Stats(Stats::default()));
    assert!(matches!(
        &stage.take(early)[..],
        [Message::Reject(reject)] if reject.code == RejectCode::BadHello
    ));

    let a = stage.join(&client(A));
    stage.say(a.conn, &Message::Hello(client(A)));
    assert!(matches!(&stage.take(a.conn)[..], [Message::Disconnect(_)]));
    assert_eq!(stage.relay.members(), 0);
}

/// The program has to answer a claim before the next input; the core holds out where it does not.
#[test]
fn a_claim_for_a_connection_that_is_gone_is_given_back() {
    let mut stage = Stage::new();
    let conn = stage.connect();
    let now = stage.now;
    let hello = encode(&Message::Hello(in_room(client(A), "ROOM7")));
    stage.relay.handle_control(conn, &hello, now);
    let Some(Output::Claim { room, .. }) = stage.relay.poll_output() else {
        panic!("the room is asked for");
    };
    stage.relay.handle_closed(conn, None, now);

    let claim = Claim {
        room: room.clone(),
        home: Home::Here,
        members_elsewhere: 0,
        rival: None,
        token: Some([1; 16]),
    };
    stage.relay.handle_claim(conn, &claim, now);

    assert_eq!(stage.relay.poll_output(), Some(Output::Release(room)));
    assert_eq!(stage.relay.members(), 0);
}

/// Two hellos for one new room are due at once: the first is refused, the second opens the room.
#[test]
fn a_room_that_the_next_hello_opens_is_not_released_for_the_one_that_was_refused() {
    let mut stage = Stage::new();
    let [refused, admitted] = [500, 1200 + DEFICIT].map(|budget| stage.connect_with(budget));
    for (conn, mac) in [(refused, A), (admitted, B)] {
        stage.say(conn, &Message::Hello(native(client(mac))));
    }

    stage.pass(Duration::from_millis(500));

    assert!(matches!(
        &stage.take(refused)[..],
        [Message::Reject(reject)] if reject.code == RejectCode::MtuTooSmall
    ));
    stage.member(admitted);
    assert_eq!(
        stage.directory.claim(&client(B).room, 1),
        Home::Elsewhere(0)
    );
}
