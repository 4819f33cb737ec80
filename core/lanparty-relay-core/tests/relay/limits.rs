//! What one connection, one room and the relay may have.

use std::time::Duration;

use lanparty_ctrl::{Message, RejectCode, Stats, close_code, encode};
use lanparty_relay_core::{Config, Directory, Event, Limit};
use lanparty_switch::Limits;

use crate::stage::{A, B, C, Stage, client, config, gateway, in_room, remote};

fn rejected(messages: &[Message]) -> RejectCode {
    match messages {
        [Message::Reject(reject)] => reject.code,
        other => panic!("no reject: {other:?}"),
    }
}

#[test]
fn the_connection_that_is_silent_for_longest_goes_for_a_new_one() {
    let mut stage = Stage::with(Config {
        silent_connections: 3,
        ..config()
    });
    let silent: Vec<_> = (0..3).map(|_| stage.connect()).collect();
    assert!(silent.iter().all(|conn| stage.is_open(*conn)));

    stage.connect();

    assert_eq!(stage.closed[&silent[0]].0, close_code::BUSY);
    assert!(silent[1..].iter().all(|conn| stage.is_open(*conn)));
    assert_eq!(stage.reached, [Limit::SilentConnections]);
}

#[test]
fn connections_that_have_said_hello_or_are_gone_are_not_silent() {
    let mut stage = Stage::with(Config {
        silent_connections: 3,
        ..config()
    });
    let first = stage.connect();
    let gone = stage.connect();
    let a = stage.join(&client(A));
    stage.close(gone, None);

    stage.connect();
    stage.connect();
    assert!(stage.closed.is_empty());
    stage.connect();

    assert!(!stage.is_open(first));
    assert!(stage.is_open(a.conn));
}

#[test]
fn without_a_limit_any_number_may_be_silent() {
    let mut stage = Stage::with(Config {
        silent_connections: 0,
        ..config()
    });
    for _ in 0..1000 {
        stage.connect();
    }

    assert_eq!(stage.relay.connections(), 1000);
}

#[test]
fn sixty_control_messages_in_two_seconds_are_enough() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let stats = Message::Stats(Stats::default());
    // The hello was the first.
    for _ in 0..59 {
        stage.say(a.conn, &stats);
    }
    stage.pass(Duration::from_secs(2));
    for _ in 0..60 {
        stage.say(a.conn, &stats);
    }
    assert!(stage.take(a.conn).is_empty());

    stage.say(a.conn, &stats);

    assert!(matches!(
        &stage.take(a.conn)[..],
        [Message::Disconnect(goodbye)] if goodbye.message == "too many control messages"
    ));
    assert_eq!(stage.banned, [remote(a.conn)]);
}

#[test]
fn a_connection_that_is_broken_off_is_told_once_however_much_it_says() {
    let nonsense = b"\0\0\0\x02[]";
    for joins in [true, false] {
        let mut stage = Stage::new();
        let conn = if joins {
            stage.join(&client(A)).conn
        } else {
            stage.connect()
        };

        // What means nothing, what is well-formed and out of place, and half a message.
        for bytes in [nonsense.to_vec(), encode(&Message::Arrived)] {
            stage.send_control(conn, &bytes.repeat(1000));
        }
        for _ in 0..100 {
            stage.send_control(conn, &nonsense[..4]);
            stage.pass(Duration::from_millis(1));
        }

        let is_violation = |event: &&Event| matches!(event, Event::Violation { .. });
        assert_eq!(stage.events.iter().filter(is_violation).count(), 1);
        let messages = stage.take(conn);
        assert_eq!(messages.len(), 1, "{messages:?}");
        stage.pass(Duration::from_secs(1));
        assert!(!stage.is_open(conn));
        assert!(stage.take(conn).is_empty());
    }
}

#[test]
fn sixty_four_datagrams_before_the_welcome_end_the_connection() {
    let mut stage = Stage::new();
    let conn = stage.connect();
    for _ in 0..63 {
        assert!(stage.send_datagram(conn, &[]).is_err());
    }
    assert!(stage.take(conn).is_empty());

    assert!(stage.send_datagram(conn, &[]).is_err());

    let messages = stage.take(conn);
    assert_eq!(rejected(&messages), RejectCode::BadHello);
    for _ in 0..100 {
        assert!(stage.send_datagram(conn, &[]).is_err());
    }
    assert!(stage.take(conn).is_empty(), "it is told once");
}

#[test]
fn a_member_of_which_control_messages_pile_up_has_lost_its_connection() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let b = stage.join(&client(B));
    stage.take(b.conn);
    let now = stage.now;

    stage.relay.handle_backlog(a.conn, now);
    stage.process_outputs();

    let (code, reason) = &stage.closed[&a.conn];
    assert_eq!(
        (*code, reason.as_str()),
        (close_code::PROTOCOL, "control messages pile up")
    );
    assert!(matches!(
        &stage.take(b.conn)[..],
        [Message::PeerDetached(_)]
    ));
    assert_eq!(stage.relay.members(), 2, "its membership is kept");
}

#[test]
fn a_connection_that_was_told_to_go_and_reads_nothing_hears_why_by_the_close() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    stage.send_control(a.conn, b"no message");
    let now = stage.now;

    stage.relay.handle_backlog(a.conn, now);
    stage.process_outputs();

    assert_eq!(stage.closed[&a.conn].0, close_code::KICKED);
}

#[test]
fn a_member_that_sends_garbage_is_removed_and_its_address_banned() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let b = stage.join(&client(B));
    for _ in 0..17 {
        assert!(stage.send_datagram(a.conn, &[]).is_err());
    }

    assert!(matches!(
        &stage.take(a.conn).last(),
        Some(Message::Disconnect(_))
    ));
    assert!(matches!(
        &stage.take(b.conn).last(),
        Some(Message::PeerLeft(_))
    ));
    assert_eq!(stage.banned, [remote(a.conn)]);
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.closed[&a.conn].0, close_code::KICKED);
}

#[test]
fn a_room_has_so_many_clients_and_the_limit_is_named() {
    let mut stage = Stage::with(Config {
        limits: Limits {
            clients_per_room: 1,
            ..Limits::default()
        },
        ..config()
    });
    stage.join(&client(A));
    stage.join(&gateway());

    let (conn, messages) = stage.knock(&client(B));

    assert_eq!(rejected(&messages), RejectCode::RoomFull);
    assert_eq!(stage.reached, [Limit::RoomClients]);
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.closed[&conn].0, close_code::REJECTED);
}

#[test]
fn members_of_all_workers_count_for_the_limit() {
    let mut stage = Stage::with(Config {
        limits: Limits {
            members: 10,
            ..Limits::default()
        },
        ..config()
    });
    stage.directory.set_members(1, 9);
    stage.join(&client(A));

    let (_, messages) = stage.knock(&in_room(client(B), "ROOM2"));

    assert_eq!(rejected(&messages), RejectCode::RelayFull);
    assert_eq!(stage.reached, [Limit::Members]);
    stage.directory.set_members(1, 8);
    stage.join(&in_room(client(B), "ROOM2"));
}

fn one_room() -> Stage {
    let stage = Stage::new();

    Stage::at(config(), Directory::new(2, 1), stage.now)
}

#[test]
fn the_relay_has_so_many_rooms_and_says_so_in_one_sentence() {
    let mut stage = one_room();
    stage.join(&client(A));

    let (_, messages) = stage.knock(&in_room(client(A), "ROOM2"));

    assert_eq!(rejected(&messages), RejectCode::RelayFull);
    assert_eq!(stage.reached, [Limit::Rooms]);
    assert_eq!(stage.relay.totals().rejected, 1);
    let sentence =
        "the relay has as many rooms as it may have; try again later or use another relay";
    assert!(stage.events.iter().any(|event| matches!(
        event,
        Event::Refused { sentence: said, .. } if said == sentence
    )));
}

#[test]
fn a_room_that_everybody_has_vanished_from_makes_way_for_a_new_one() {
    let mut stage = one_room();
    let a = stage.join(&client(A));
    stage.close(a.conn, None);

    stage.join(&in_room(client(B), "ROOM2"));

    assert_eq!(stage.relay.rooms(), 1);
    assert_eq!(stage.relay.members(), 1);
    assert!(stage.reached.is_empty());
}

#[test]
fn a_refused_first_member_leaves_no_room_behind_in_the_directory() {
    let mut stage = one_room();
    let old = lanparty_ctrl::Hello {
        version: 9,
        ..client(C)
    };

    let (_, messages) = stage.knock(&old);
    assert_eq!(rejected(&messages), RejectCode::UnsupportedVersion);

    stage.join(&in_room(client(A), "ROOM2"));
}
