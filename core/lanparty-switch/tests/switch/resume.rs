//! Broken connections and newer ones.

use std::time::Duration;

use lanparty_ctrl::{Hello, LeaveReason, Message, RejectCode};
use lanparty_obs::DropReason;
use lanparty_switch::{Limits, MAX_BUDGET};

use crate::party::{A, B, Party, client, defaults, frame, gateway, in_room, resume};

#[test]
fn a_broken_connection_keeps_its_membership_and_others_see_no_leave() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.news();

    party.switch.handle_lost(a.at, party.now);
    party.drain();
    assert!(matches!(party.news()[..], [(to, Message::PeerDetached(_))] if to == b.conn));
    assert_eq!(
        party.send(&b, &frame(A, B, 60)),
        Err(DropReason::TargetDetached)
    );
    party.pass(Duration::from_secs(59));
    let back = party.join(&resume(client(A), &a, 2));

    assert_eq!(back.welcome.peer, a.welcome.peer);
    let news = party.news();
    assert!(matches!(news[0], (to, Message::PeerResumed(_)) if to == b.conn));
    assert!(news.iter().skip(1).all(|(to, _)| *to == back.conn));
    assert_eq!(party.send(&b, &frame(A, B, 60)), Ok(vec![back.conn]));
    party.pass(Duration::from_mins(10));
    assert_eq!(party.switch.members(), 2, "the old deadline is nobody's");
}

#[test]
fn a_member_that_does_not_come_back_times_out() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.switch.handle_lost(a.at, party.now);
    party.drain();
    party.news();

    let deadline = party.switch.poll_timeout().unwrap();
    assert_eq!(deadline, party.now + Duration::from_mins(1));
    party.pass(Duration::from_mins(1));

    let [(to, Message::PeerLeft(left))] = &party.news()[..] else {
        panic!("the other is told");
    };
    assert_eq!((*to, left.reason), (b.conn, LeaveReason::Timeout));
    assert_eq!(party.switch.poll_timeout(), None);
}

#[test]
fn a_room_that_everybody_has_vanished_from_makes_way_and_a_live_one_does_not() {
    let mut party = Party::new(Limits {
        members: 2,
        ..Limits::default()
    });
    let gone = party.join(&in_room(client(A), "ROOM1"));
    let stays = party.join(&in_room(client(A), "ROOM2"));
    let joiner = in_room(client(A), "ROOM3");
    assert_eq!(
        party.try_join(&joiner, MAX_BUDGET).unwrap_err(),
        RejectCode::RelayFull
    );
    party.switch.handle_lost(gone.at, party.now);

    party.join(&joiner);

    assert_eq!(party.switch.rooms(), 2);
    assert_eq!(party.switch.members(), 2);
    assert!(
        party
            .switch
            .handle_leave(stays.at, LeaveReason::Disconnect)
            .is_some()
    );
}

#[test]
fn a_newer_connection_takes_over_and_the_old_one_cannot_evict_it() {
    let mut party = defaults();
    let old = party.join(&client(A));
    let b = party.join(&client(B));
    party.news();

    let new = party.join(&resume(client(A), &old, 2));
    assert_eq!(party.superseded, [old.conn]);
    assert!(
        party.news().iter().all(|(to, _)| *to == new.conn),
        "others notice nothing"
    );

    assert!(
        party
            .switch
            .handle_leave(old.at, LeaveReason::Disconnect)
            .is_none()
    );
    party.switch.handle_lost(old.at, party.now);
    assert_eq!(
        party.send(&old, &frame(B, A, 60)),
        Err(DropReason::UnknownPeer)
    );
    assert_eq!(party.send(&b, &frame(A, B, 60)), Ok(vec![new.conn]));
}

#[test]
fn an_older_attempt_or_a_wrong_token_takes_nothing() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let wrong = Hello {
        resume: Some("0".repeat(32)),
        generation: 9,
        ..client(A)
    };

    assert_eq!(
        party
            .try_join(&resume(client(A), &a, 1), MAX_BUDGET)
            .unwrap_err(),
        RejectCode::Superseded
    );
    assert_eq!(
        party.try_join(&wrong, MAX_BUDGET).unwrap_err(),
        RejectCode::MacInUse
    );
    assert!(party.superseded.is_empty());
}

/// Its welcome was lost, and it says hello by another connection.
#[test]
fn a_member_that_never_heard_its_welcome_gets_its_membership_and_a_copy_of_it_does_not() {
    for hello in [client(A), gateway()] {
        let started = |instance: u8, generation| Hello {
            instance: Some(format!("{instance:032x}")),
            generation,
            ..hello.clone()
        };
        let mut party = defaults();
        let b = party.join(&client(B));
        let old = party.join(&started(7, 1));
        party.news();

        let new = party.join(&started(7, 2));
        assert_eq!(new.welcome.peer, old.welcome.peer);
        assert_eq!(party.superseded, [old.conn]);
        assert!(party.news().iter().all(|(to, _)| *to != b.conn));

        let mut silent = started(7, 3);
        silent.instance = None;
        for other in [started(8, 3), silent] {
            let refused = party.try_join(&other, MAX_BUDGET).unwrap_err();
            assert!(matches!(
                refused,
                RejectCode::MacInUse | RejectCode::GatewayPresent
            ));
        }
    }
}

#[test]
fn a_computer_that_forgot_its_token_gets_its_mac_back_once_its_connection_broke() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.switch.handle_lost(a.at, party.now);
    party.drain();
    party.news();

    let again = party.join(&client(A));

    assert_ne!(again.welcome.peer, a.welcome.peer);
    let to_b: Vec<_> = party
        .news()
        .into_iter()
        .filter_map(|(to, message)| (to == b.conn).then_some(message))
        .collect();
    assert!(matches!(
        to_b[..],
        [Message::PeerLeft(_), Message::PeerJoined(_)]
    ));
    assert_eq!(party.switch.members(), 2);
}

#[test]
fn a_joiner_hears_who_is_away() {
    let mut party = defaults();
    let g = party.join(&gateway());
    party.switch.handle_lost(g.at, party.now);
    party.drain();
    party.news();

    let a = party.join(&client(A));

    assert!(!a.welcome.gateway);
    let news = party.news();
    assert!(matches!(
        news[..],
        [
            (_, Message::Welcome(_)),
            (_, Message::PeerJoined(_)),
            (_, Message::PeerDetached(_))
        ]
    ));
}
