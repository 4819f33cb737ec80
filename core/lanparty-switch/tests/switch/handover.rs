//! Rooms that pass from one relay process to the next.

use std::time::Duration;

use lanparty_ctrl::{LeaveReason, Message, RejectCode};
use lanparty_obs::DropReason;
use lanparty_switch::{Limits, MAX_BUDGET};

use crate::party::{
    A, B, C, Member, Party, SERVER, client, defaults, frame, gateway, in_room, resume,
};

#[test]
fn rooms_pass_to_the_next_process_with_everything_that_members_know_of_them() {
    let mut old = defaults();
    let (gate, a, b) = (
        old.join(&gateway()),
        old.join(&client(A)),
        old.join(&client(B)),
    );
    old.send(&gate, &frame(A, SERVER, 100)).unwrap();

    let records = old.switch.hand_over(old.now);
    assert_eq!(
        old.send(&a, &frame(B, A, 100)),
        Ok(vec![b.conn]),
        "the old process carries on"
    );

    let mut new = defaults();
    new.conns = 100;
    new.switch.take_over(records, new.now);
    assert_eq!(
        new.try_join(&client(C), MAX_BUDGET).unwrap_err(),
        RejectCode::ShuttingDown,
        "newcomers wait"
    );
    let (new_a, new_gate) = (
        new.join(&resume(client(A), &a, 2)),
        new.join(&resume(gateway(), &gate, 2)),
    );
    assert_eq!(
        (new_a.welcome.room, new_a.welcome.peer, new_a.welcome.mtu),
        (a.welcome.room, a.welcome.peer, a.welcome.mtu)
    );
    assert_eq!(new_gate.welcome.peer, gate.welcome.peer);
    assert_eq!(
        new.send(&new_a, &frame(B, A, 100)),
        Err(DropReason::TargetDetached),
        "B is not there yet"
    );
    let new_b = new.join(&resume(client(B), &b, 2));
    assert_eq!(new.send(&new_a, &frame(B, A, 100)), Ok(vec![new_b.conn]));
    assert_eq!(new.switch.snapshot(new.now)[0].lan_stations, 1);

    new.switch.finish_arrival(new.now);
    let c = new.join(&client(C));
    assert!(
        ![a, b, gate]
            .iter()
            .any(|m| m.welcome.peer == c.welcome.peer)
    );
    new.pass(Duration::from_mins(2));
    assert_eq!(new.switch.members(), 4, "who came does not time out");
}

#[test]
fn who_does_not_come_to_the_next_process_times_out_there() {
    let mut old = defaults();
    old.join(&gateway());
    let a = old.join(&client(A));
    let records = old.switch.hand_over(old.now);
    old.join(&client(B));

    let mut new = defaults();
    new.switch.take_over(records, new.now);
    new.join(&resume(client(A), &a, 2));
    new.switch.finish_arrival(new.now);
    let b = new.join(&client(B));
    new.switch.handle_lost(b.at, new.now);
    new.pass(Limits::default().detached_lifetime);
    assert_eq!(
        new.switch.members(),
        2,
        "B is gone, and the gateway awaited"
    );
    new.pass(Duration::from_secs(90));
    assert_eq!(new.switch.members(), 1);
    assert!(matches!(
        new.news().last(),
        Some((_, Message::PeerLeft(left))) if left.reason == LeaveReason::Timeout
    ));
}

/// A room with a gateway and a client that is on its way from one process to the next.
fn renewed() -> (Party, Member) {
    let mut old = defaults();
    let gate = old.join(&gateway());
    old.join(&client(A));
    let records = old.switch.hand_over(old.now);
    let mut new = Party::new(Limits {
        members: 2,
        ..Limits::default()
    });
    new.conns = 100;
    new.switch.take_over(records, new.now);

    (new, gate)
}

/// Returns why a gateway that stands by is not admitted now.
fn standby_is_told(party: &mut Party) -> RejectCode {
    let standby = gateway();
    assert_eq!(party.switch.rival_of(&standby), None);

    party.try_join(&standby, MAX_BUDGET).unwrap_err()
}

#[test]
fn a_standby_does_not_get_the_membership_of_a_gateway_that_is_on_its_way_to_the_next_process() {
    let (mut new, gate) = renewed();
    assert_eq!(standby_is_told(&mut new), RejectCode::ShuttingDown);
    new.pass(Duration::from_secs(29));
    assert_eq!(standby_is_told(&mut new), RejectCode::ShuttingDown);

    let came = new.join(&resume(gateway(), &gate, 2));
    new.switch.finish_arrival(new.now);

    assert_eq!(came.welcome.peer, gate.welcome.peer);
    assert_eq!(
        new.try_join(&gateway(), MAX_BUDGET).unwrap_err(),
        RejectCode::GatewayPresent
    );
    new.switch.handle_lost(came.at, new.now);
    new.join(&gateway());
}

#[test]
fn a_standby_waits_for_the_gateway_of_an_old_process_that_died_on_the_way() {
    let (mut new, gate) = renewed();
    new.switch.finish_arrival(new.now);
    assert_eq!(standby_is_told(&mut new), RejectCode::GatewayPresent);
    new.pass(Duration::from_secs(4));
    assert_eq!(standby_is_told(&mut new), RejectCode::GatewayPresent);
    let came = new.join(&resume(gateway(), &gate, 2));
    assert_eq!(came.welcome.peer, gate.welcome.peer);
    new.switch.handle_lost(came.at, new.now);
    new.join(&gateway());

    let (mut without, gate) = renewed();
    without.switch.finish_arrival(without.now);
    without.pass(Duration::from_secs(5));
    let other = without.join(&gateway());
    assert_ne!(
        other.welcome.peer, gate.welcome.peer,
        "who does not come has lost its membership"
    );
}

#[test]
fn a_room_on_its_way_does_not_make_way_for_a_new_one() {
    let (mut new, gate) = renewed();

    let refused = new.try_join(&in_room(client(B), "ROOM2"), MAX_BUDGET);

    assert_eq!(refused.unwrap_err(), RejectCode::RelayFull);
    new.join(&resume(gateway(), &gate, 2));
}
