//! Who else is in the room.

use lanparty_ctrl::{LeaveReason, Message, PeerLeft, PeerRef};
use lanparty_proto::PeerId;
use lanparty_session::{ConnectionError, Output};

use crate::harness::{Bench, OTHER, SECOND, client, connect, lines, welcome};

#[test]
fn a_mac_that_moves_to_another_id_leaves_before_it_joins() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.outputs();
    bench.say(attempt, client(7, OTHER));

    let outputs = bench.outputs();
    let moves = outputs.iter().filter_map(|output| match output {
        Output::PeerLeft(peer, _) => Some(("left", peer.id.0)),
        Output::PeerJoined(peer) => Some(("joined", peer.id.0)),
        _ => None,
    });
    assert_eq!(moves.collect::<Vec<_>>(), [("left", 6), ("joined", 7)]);
}

#[test]
fn peers_are_told_by_name() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.say(attempt, Message::PeerDetached(PeerRef { peer: PeerId(6) }));
    bench.say(attempt, Message::PeerResumed(PeerRef { peer: PeerId(6) }));
    bench.say(
        attempt,
        Message::PeerLeft(PeerLeft {
            peer: PeerId(6),
            reason: LeaveReason::Disconnect,
        }),
    );
    let outputs = bench.outputs();

    assert_eq!(
        lines(&outputs),
        [
            "client 02:00:00:00:00:02 joined",
            "client 02:00:00:00:00:02 left (disconnect)"
        ]
    );
    let kinds: Vec<u8> = (outputs.iter())
        .filter_map(|output| match output {
            Output::PeerJoined(_) => Some(1),
            Output::PeerDetached(_) => Some(2),
            Output::PeerResumed(_) => Some(3),
            Output::PeerLeft(..) => Some(4),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [1, 2, 3, 4]);
}

#[test]
fn party_that_comes_back_with_a_new_relay_is_not_announced_twice() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.pass(10 * SECOND);
    bench.closed(attempt, ConnectionError::Reset);
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(1)));
    bench.outputs();
    bench.say(attempt, client(2, OTHER));
    let outputs = bench.outputs();
    assert_eq!(lines(&outputs), [""; 0]);
    assert!(matches!(outputs[..], [Output::PeerJoined(peer)] if peer.id == PeerId(2)));

    bench.pass(20 * SECOND);
    assert_eq!(bench.outputs(), []);
}

#[test]
fn who_left_while_we_were_away_is_told_once() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.pass(10 * SECOND);
    bench.closed(attempt, ConnectionError::Reset);
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(5)));
    bench.outputs();
    bench.pass(20 * SECOND);

    assert_eq!(
        lines(&bench.outputs()),
        ["client 02:00:00:00:00:02 left (timeout)"]
    );
}
