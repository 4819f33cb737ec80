//! Who may join a room, and what the room then carries.

use lanparty_ctrl::{Hello, LeaveReason, Message, Mode, RejectCode};
use lanparty_obs::DropReason;
use lanparty_switch::{DEFAULT_NATIVE_MTU, Limits, MAX_BUDGET, RoomMode};

use crate::party::{A, B, C, Party, SERVER, client, defaults, frame, gateway, in_room, native};

#[test]
fn r3_clamps_a_budget_to_what_the_connection_and_the_relay_carry() {
    let mut party = defaults();

    let a = party.try_join(&client(A), 1162).unwrap();

    assert_eq!(usize::from(a.welcome.budget), MAX_BUDGET);
    assert_eq!(
        party.switch.snapshot(party.now)[0].members[0].budget,
        1162,
        "what goes out follows the path"
    );
}

#[test]
fn r4_a_room_comes_with_its_first_member_and_goes_with_its_last() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    assert_eq!(party.switch.rooms(), 1);

    let left = party.switch.handle_leave(a.at, LeaveReason::Disconnect);
    assert!(!left.unwrap().room_gone);
    let left = party.switch.handle_leave(b.at, LeaveReason::Disconnect);

    assert!(left.unwrap().room_gone);
    assert_eq!((party.switch.rooms(), party.switch.members()), (0, 0));
}

#[test]
fn r4_admits_one_gateway_and_every_mac_once() {
    let mut party = defaults();
    party.join(&gateway());
    party.join(&client(A));

    assert_eq!(
        party.try_join(&gateway(), MAX_BUDGET).unwrap_err(),
        RejectCode::GatewayPresent
    );
    assert_eq!(
        party.try_join(&client(A), MAX_BUDGET).unwrap_err(),
        RejectCode::MacInUse
    );
    assert!(
        party
            .try_join(&in_room(client(A), "ROOM2"), MAX_BUDGET)
            .is_ok()
    );
}

#[test]
fn r4_keeps_every_limit_and_says_which() {
    let mut party = Party::new(Limits {
        members: 4,
        clients_per_room: 2,
        ..Limits::default()
    });
    party.join(&client(A));
    party.join(&client(B));

    assert_eq!(
        party.try_join(&client(C), MAX_BUDGET).unwrap_err(),
        RejectCode::RoomFull
    );
    party.join(&gateway());
    party.join(&in_room(client(A), "ROOM2"));
    for room in ["ROOM2", "ROOM3"] {
        let hello = in_room(client(C), room);
        assert_eq!(
            party.try_join(&hello, MAX_BUDGET).unwrap_err(),
            RejectCode::RelayFull
        );
    }
}

#[test]
fn r4_refuses_other_versions_and_macs_that_are_no_identity() {
    let mut party = defaults();
    let old = Hello {
        version: 9,
        ..client(A)
    };

    assert_eq!(
        party.try_join(&old, MAX_BUDGET).unwrap_err(),
        RejectCode::UnsupportedVersion
    );
    assert_eq!(
        party.try_join(&client(SERVER), MAX_BUDGET).unwrap_err(),
        RejectCode::BadMac
    );
}

#[test]
fn r5_a_native_room_keeps_its_mtu_and_turns_away_who_cannot_carry_it() {
    let mut party = defaults();
    let a = party.join(&native(client(A)));
    assert_eq!(
        (a.welcome.mode, a.welcome.mtu),
        (Mode::Native, DEFAULT_NATIVE_MTU)
    );

    let narrow = party.try_join(&native(client(B)), 1162);
    assert_eq!(narrow.unwrap_err(), RejectCode::MtuTooSmall);
    let wide = party.join(&client(B));

    assert_eq!(
        (wide.welcome.mode, wide.welcome.mtu),
        (Mode::Native, DEFAULT_NATIVE_MTU)
    );
}

#[test]
fn r5_a_native_room_has_what_its_first_member_carries() {
    let mut party = defaults();

    let a = party.try_join(&native(client(A)), 1162).unwrap();
    assert_eq!(a.welcome.mtu, 1136);
    assert_eq!(party.join(&native(client(B))).welcome.mtu, 1136);
}

#[test]
fn r5_a_full_room_takes_every_path_and_turns_away_who_cannot_split() {
    let mut party = defaults();
    let a = party.join(&client(A));
    assert_eq!((a.welcome.mode, a.welcome.mtu), (Mode::Full, 1500));

    assert!(party.try_join(&client(B), 1162).is_ok());
    let unable = party.try_join(&native(client(C)), MAX_BUDGET);

    assert_eq!(unable.unwrap_err(), RejectCode::ModeUnsupported);
}

#[test]
fn r5_an_option_keeps_rooms_native() {
    let mut party = Party::new(Limits {
        mode: RoomMode::Native,
        ..Limits::default()
    });

    assert_eq!(party.join(&client(A)).welcome.mode, Mode::Native);
}

#[test]
fn r6_those_who_are_there_hear_of_the_joiner_before_it_is_welcome() {
    let mut party = defaults();
    let gateway = party.join(&gateway());
    party.news();

    let a = party.join(&client(A));
    let news = party.news();

    assert!(a.welcome.gateway);
    let types: Vec<_> = news
        .iter()
        .map(|(to, message)| match message {
            Message::PeerJoined(info) => (*to, "joined", info.mac),
            Message::Welcome(_) => (*to, "welcome", None),
            _ => (*to, "other", None),
        })
        .collect();
    assert_eq!(
        types,
        [
            (gateway.conn, "joined", Some(A)),
            (a.conn, "welcome", None),
            (a.conn, "joined", None)
        ]
    );
}

#[test]
fn r13_a_mac_is_free_at_once_and_the_clients_stay_when_the_gateway_goes() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    let b = party.join(&client(B));

    party
        .switch
        .handle_leave(a.at, LeaveReason::Disconnect)
        .unwrap();
    let again = party.join(&client(A));
    assert_ne!(again.welcome.peer, a.welcome.peer, "ids are not reused");
    party
        .switch
        .handle_leave(g.at, LeaveReason::Disconnect)
        .unwrap();

    assert_eq!(
        party.send(&again, &frame(SERVER, A, 60)),
        Err(DropReason::NoGateway)
    );
    assert_eq!(party.send(&again, &frame(B, A, 60)), Ok(vec![b.conn]));
    let g = party.join(&gateway());
    assert_eq!(party.send(&b, &frame(SERVER, B, 60)), Ok(vec![g.conn]));
}

#[test]
fn r14_a_leave_carries_its_reason() {
    for reason in [
        LeaveReason::Disconnect,
        LeaveReason::Timeout,
        LeaveReason::Kicked,
    ] {
        let mut party = defaults();
        let a = party.join(&client(A));
        party.join(&client(B));
        party.news();

        party.switch.handle_leave(a.at, reason).unwrap();
        party.drain();

        let [(_, Message::PeerLeft(left))] = &party.news()[..] else {
            panic!("the other is told");
        };
        assert_eq!((left.peer, left.reason), (a.welcome.peer, reason));
    }
}

#[test]
fn r14_a_shutdown_tells_everybody() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let g = party.join(&gateway());

    party.switch.close();
    party.drain();

    let mut closed = party.closed.clone();
    closed.sort_by_key(|(conn, _)| *conn);
    assert_eq!(
        closed,
        [
            (a.conn, LeaveReason::Shutdown),
            (g.conn, LeaveReason::Shutdown)
        ]
    );
    assert_eq!((party.switch.rooms(), party.switch.members()), (0, 0));
}
