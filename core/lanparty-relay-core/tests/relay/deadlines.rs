//! What is not waited for any longer.

use std::time::Duration;

use lanparty_ctrl::{Message, RejectCode, Stats, close_code, encode};
use lanparty_proto::budget;
use lanparty_switch::{DEFAULT_NATIVE_MTU, MAX_BUDGET};

use crate::stage::{A, DEFICIT, HELLO, MESSAGE, Stage, client, native};

/// The least time that makes a difference here.
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_connection_that_says_no_hello_in_time_is_closed() {
    let mut stage = Stage::new();
    let silent = stage.connect();

    stage.pass(HELLO.saturating_sub(MOMENT));
    assert!(stage.is_open(silent));
    stage.pass(MOMENT);

    let (code, reason) = &stage.closed[&silent];
    assert_eq!(
        (*code, reason.as_str()),
        (close_code::PROTOCOL, "no hello in time")
    );
    assert_eq!(stage.relay.connections(), 0);
    assert_eq!(stage.relay.poll_timeout(), None);
}

#[test]
fn a_member_outlives_the_deadline_of_its_hello() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));

    stage.pass(HELLO * 2);

    assert!(stage.is_open(a.conn));
}

#[test]
fn a_message_that_was_begun_has_to_be_completed_in_time() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let stats = encode(&Message::Stats(Stats::default()));
    let (head, rest) = stats.split_at(10);

    stage.send_control(a.conn, head);
    stage.pass(MESSAGE.saturating_sub(MOMENT));
    stage.send_control(a.conn, rest);
    stage.pass(MESSAGE);
    assert!(stage.is_open(a.conn), "it was completed in time");

    stage.send_control(a.conn, head);
    stage.pass(MESSAGE);
    assert!(matches!(
        &stage.take(a.conn)[..],
        [Message::Disconnect(goodbye)]
            if goodbye.message == "a control message was not completed in time"
    ));
    assert_eq!(stage.relay.members(), 0);
}

#[test]
fn a_hello_in_pieces_has_the_deadline_of_a_hello_and_not_of_a_message() {
    let mut stage = Stage::new();
    let conn = stage.connect();
    stage.pass(Duration::from_secs(1));
    stage.send_control(conn, &[0, 0]);

    stage.pass(HELLO.saturating_sub(Duration::from_secs(1)));

    assert!(!stage.is_open(conn));
}

#[test]
fn a_connection_that_was_told_to_go_has_a_second_to_read_why() {
    let mut stage = Stage::new();
    let conn = stage.connect();
    stage.send_control(conn, b"\0\0\0\x02[]");
    assert!(matches!(
        &stage.take(conn)[..],
        [Message::Reject(reject)] if reject.code == RejectCode::BadHello
    ));

    stage.pass(Duration::from_millis(999));
    assert!(stage.is_open(conn));
    stage.pass(Duration::from_millis(1));

    assert_eq!(stage.closed[&conn].0, close_code::REJECTED);
}

#[test]
fn a_connection_that_was_told_to_go_is_told_once_and_not_read_any_more() {
    let mut stage = Stage::new();
    let conn = stage.connect();
    for _ in 0..100 {
        stage.send_control(conn, b"\0\0\0\x02[]");
        stage.send_control(conn, &[0]);
    }

    assert_eq!(stage.take(conn).len(), 1);
    let violations = stage.events.len();
    assert_eq!(violations, 1, "{:?}", stage.events);
    stage.pass(Duration::from_secs(1));
    assert!(!stage.is_open(conn));
    assert_eq!(stage.events.len(), 1);
}

/// The least budget towards a member by which a native room has its MTU.
fn enough() -> usize {
    budget::datagram_len(DEFAULT_NATIVE_MTU) + DEFICIT
}

#[test]
fn a_hello_waits_for_the_path_where_the_rooms_mtu_depends_on_it() {
    let mut stage = Stage::new();
    let conn = stage.connect_with(1200);
    stage.say(conn, &Message::Hello(native(client(A))));
    assert!(stage.take(conn).is_empty());

    let now = stage.now;
    stage.relay.handle_budget(conn, enough() - 1, now);
    stage.process_outputs();
    assert!(stage.take(conn).is_empty(), "one byte is missing");
    stage.relay.handle_budget(conn, enough(), now);
    stage.process_outputs();

    assert_eq!(stage.member(conn).welcome.mtu, DEFAULT_NATIVE_MTU);
}

#[test]
fn a_path_that_does_not_settle_is_taken_as_it_is_after_half_a_second() {
    let mut stage = Stage::new();
    let conn = stage.connect_with(1200 + DEFICIT);
    stage.say(conn, &Message::Hello(native(client(A))));

    stage.pass(Duration::from_millis(499));
    assert!(stage.take(conn).is_empty());
    stage.pass(Duration::from_millis(1));

    let mtu = stage.member(conn).welcome.mtu;
    assert_eq!(mtu, budget::ip_mtu(1200));
}

#[test]
fn a_full_frame_room_waits_for_no_path() {
    let mut stage = Stage::new();
    let conn = stage.connect_with(1200);
    stage.say(conn, &Message::Hello(client(A)));

    assert_eq!(usize::from(stage.member(conn).welcome.budget), MAX_BUDGET);
}
