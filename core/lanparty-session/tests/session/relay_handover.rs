//! A relay that has a successor.

use std::time::Duration;

use lanparty_ctrl::{Message, PeerRef, Restarting, close_code};
use lanparty_proto::PeerId;
use lanparty_session::{ConnectionError, ConnectionId, State};

use crate::harness::{Bench, OTHER, RTT, SECOND, client, connect, joins, lines, said, welcome};

#[test]
fn relay_that_restarts_is_left_only_for_its_successor() {
    let (mut bench, old) = Bench::joined();
    bench.say(
        old,
        Message::Restarting(Restarting {
            reconnect_in_ms: 300,
            stay: false,
        }),
    );
    bench.pass(Duration::from_millis(299));
    assert_eq!(connect(&bench.outputs()), None);
    bench.pass(Duration::from_millis(1));
    let new = connect(&bench.outputs()).unwrap();
    assert_eq!(bench.session.connection(), Some(old));

    bench.connected(new);
    bench.say(new, Message::Welcome(welcome(8)));
    let outputs = bench.outputs();
    assert_eq!(bench.session.connection(), Some(new));
    assert_eq!(lines(&outputs), [""; 0], "nobody noticed anything");
}

/// A session whose relay has a successor, where the new connection `.2` waits.
fn prepared() -> (Bench, ConnectionId, ConnectionId) {
    let (mut bench, old) = Bench::joined();
    bench.say(
        old,
        Message::Restarting(Restarting {
            reconnect_in_ms: 300,
            stay: true,
        }),
    );
    bench.pass(Duration::from_millis(300));
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.outputs();
    bench.say(new, Message::Welcome(welcome(5)));

    (bench, old, new)
}

#[test]
fn a_connection_to_the_successor_that_is_lost_is_made_again() {
    let (mut bench, _, new) = prepared();
    assert_eq!(bench.session.state(), State::Prepared);

    bench.closed(new, ConnectionError::TimedOut);

    assert_eq!(bench.session.state(), State::Moving);
}

#[test]
fn successor_of_a_relay_is_only_listened_to_until_the_word_to_move() {
    let (mut bench, old, new) = prepared();
    let outputs = bench.outputs();
    assert_eq!(said(&outputs, old), [Message::Arrived]);
    assert!(joins(&outputs).is_none());
    assert_eq!(bench.session.connection(), Some(old));
    assert!(bench.session.hears(old) && bench.session.hears(new));

    bench.say(old, Message::Move);
    let outputs = bench.outputs();
    assert!(joins(&outputs).unwrap().same_membership);
    assert_eq!(said(&outputs, old), [Message::Arrived], "nothing follows");
    assert_eq!(lines(&outputs), [""; 0], "nobody noticed anything");
    assert_eq!(bench.session.connection(), Some(new));
    assert!(bench.session.hears(old) && bench.session.hears(new));

    bench.closed(
        old,
        ConnectionError::Closed {
            code: close_code::SHUTDOWN.into(),
            text: String::new(),
        },
    );
    assert!(bench.outputs().is_empty());
    assert!(!bench.session.hears(old));
    assert_eq!(bench.session.connection(), Some(new));
}

#[test]
fn others_who_come_to_the_successor_later_are_not_told_as_gone() {
    let (mut bench, old, new) = prepared();
    bench.say(old, client(6, OTHER));
    bench.outputs();
    bench.say(new, client(6, OTHER));
    bench.say(new, Message::PeerDetached(PeerRef { peer: PeerId(6) }));
    bench.say(old, Message::Move);
    bench.say(new, Message::PeerResumed(PeerRef { peer: PeerId(6) }));
    bench.pass(Duration::from_secs(20));

    assert_eq!(lines(&bench.outputs()), [""; 0]);
    assert_eq!(bench.session.peers().count(), 1);
}

#[test]
fn old_relay_that_dies_in_the_middle_of_a_move_is_left_at_once() {
    let (mut bench, old, new) = prepared();
    bench.closed(old, ConnectionError::Reset);
    assert_eq!(bench.session.connection(), Some(new));
    assert_eq!(lines(&bench.outputs()), [""; 0]);

    let (mut bench, old, new) = prepared();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    assert_eq!(bench.session.connection(), Some(new));
}

#[test]
fn who_left_a_silent_relay_by_itself_confirms_when_that_says_move_after_all() {
    let (mut bench, old, _new) = prepared();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    bench.outputs();

    bench.say(old, Message::PeerDetached(PeerRef { peer: PeerId(6) }));
    assert_eq!(said(&bench.outputs(), old), []);
    bench.say(old, Message::Move);

    assert_eq!(said(&bench.outputs(), old), [Message::Arrived]);
    // Others may still be told to come for 20 s, and have a minute for it; until then they send by the old connection.
    bench.pass(80 * SECOND);
    assert!(bench.session.hears(old), "what is on its way is ours");
    bench.pass(20 * SECOND);
    assert!(!bench.session.hears(old));
}

#[test]
fn connection_that_carries_less_arrives_when_it_carries_as_much_or_has_had_its_time() {
    for grows in [true, false] {
        let (mut bench, old) = Bench::joined();
        bench.say(
            old,
            Message::Restarting(Restarting {
                reconnect_in_ms: 0,
                stay: true,
            }),
        );
        bench.pass(Duration::ZERO);
        let new = connect(&bench.outputs()).unwrap();
        bench.session.handle_connected(new, 1200, RTT, bench.now);
        bench.say(new, Message::Welcome(welcome(5)));
        assert_eq!(said(&bench.outputs(), old), []);
        if grows {
            bench.session.handle_budget(new, 1400, bench.now);
        } else {
            bench.pass(SECOND);
        }
        assert_eq!(said(&bench.outputs(), old), [Message::Arrived]);
    }
}

#[test]
fn successor_that_knows_nothing_of_the_place_is_moved_to_at_once() {
    let (mut bench, old) = Bench::joined();
    bench.say(
        old,
        Message::Restarting(Restarting {
            reconnect_in_ms: 0,
            stay: true,
        }),
    );
    bench.pass(Duration::ZERO);
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.say(new, Message::Welcome(welcome(8)));

    assert!(!joins(&bench.outputs()).unwrap().same_membership);
    assert_eq!(bench.session.connection(), Some(new));
    assert!(!bench.session.hears(old));
}
