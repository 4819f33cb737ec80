//! Members that send what is no datagram of this protocol.

use std::time::Duration;

use lanparty_ctrl::{LeaveReason, Message};
use lanparty_obs::DropReason;
use lanparty_proto::{MacAddr, RoomId, overlay};

use crate::party::{A, B, client, defaults, frame};

#[test]
fn r12_a_member_that_goes_on_sending_garbage_is_removed_with_the_reason() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.news();

    for _ in 0..16 {
        party.send_raw(&a, &[]).unwrap_err();
    }
    assert!(party.closed.is_empty());
    party.send_raw(&a, &[1, 2, 3]).unwrap_err();

    assert_eq!(party.closed, [(a.conn, LeaveReason::Malformed)]);
    let [(to, Message::PeerLeft(left))] = &party.news()[..] else {
        panic!("the other is told");
    };
    assert_eq!((*to, left.reason), (b.conn, LeaveReason::Malformed));
    assert_eq!(
        party.send(&a, &frame(B, A, 60)),
        Err(DropReason::UnknownPeer)
    );
}

#[test]
fn r12_a_slow_trickle_of_garbage_ends_as_well() {
    let mut party = defaults();
    let a = party.join(&client(A));

    let survived = (0..1000)
        .take_while(|_| {
            party.pass(Duration::from_mins(1));
            party.send_raw(&a, &[0; 12]).unwrap_err();
            party.closed.is_empty()
        })
        .count();

    assert_eq!(survived, 64);
}

#[test]
fn d3_what_a_member_writes_as_room_and_sender_is_checked_and_not_believed() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let frame = frame(MacAddr::BROADCAST, A, 60);
    let lie = |room, peer| {
        let header = overlay::header(room, peer, false, 60);
        [&header[..], &frame].concat()
    };

    let other_room = lie(RoomId(a.welcome.room.0 + 1), a.welcome.peer);
    assert_eq!(
        party.send_raw(&a, &other_room),
        Err(DropReason::ForeignRoom)
    );
    let other_peer = lie(a.welcome.room, b.welcome.peer);
    assert_eq!(
        party.send_raw(&a, &other_peer),
        Err(DropReason::ForeignSource)
    );
}
