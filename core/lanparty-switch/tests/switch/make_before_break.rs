//! A member whose program goes on in another process.

use std::time::Duration;

use lanparty_ctrl::{Capability, Hello, LeaveReason, Message};
use lanparty_obs::DropReason;
use lanparty_switch::ConnId;

use crate::party::{A, B, SERVER, client, defaults, frame, gateway, resume};

fn make_before_break(hello: Hello) -> Hello {
    Hello {
        capabilities: vec![
            Capability::FullFrame,
            Capability::RoomBudget,
            Capability::Beside,
        ],
        ..hello
    }
}

#[test]
fn a_program_that_goes_on_in_another_process_is_heard_by_both_connections_and_gets_each_frame_once()
{
    let mut party = defaults();
    let old = party.join(&gateway());
    let b = party.join(&client(B));
    party.send(&old, &frame(B, SERVER, 60)).unwrap();
    party.news();

    let new = party.join(&make_before_break(resume(gateway(), &old, 2)));
    let news = party.news();
    assert!(
        news.iter().all(|(to, _)| *to == new.conn),
        "nobody else is told"
    );
    let (_, last) = news.last().unwrap();
    assert!(
        matches!(last, Message::RoomBudget(_)),
        "everybody was named"
    );
    assert!(party.superseded.is_empty());
    let up = frame(SERVER, B, 60);
    let down = frame(B, SERVER, 60);
    assert_eq!(party.send(&b, &up), Ok(vec![old.conn]));
    assert_eq!(party.send(&old, &down), Ok(vec![b.conn]));
    party.join(&client(A));
    let told: Vec<ConnId> = (party.news().iter())
        .filter(|(_, message)| matches!(message, Message::PeerJoined(info) if info.mac == Some(A)))
        .map(|(to, _)| *to)
        .collect();
    assert!(
        told.contains(&old.conn) && told.contains(&new.conn),
        "{told:?}"
    );

    party.switch.handle_arrived(new.at);
    party.drain();
    assert_eq!(party.news(), [(old.conn, Message::Move)]);
    assert_eq!(party.send(&b, &up), Ok(vec![new.conn]));
    assert_eq!(party.send(&old, &down), Ok(vec![b.conn]), "on its way");
    assert_eq!(party.send(&new, &down), Ok(vec![b.conn]));
    party.switch.handle_leave(old.at, LeaveReason::Disconnect);
    party.drain();
    assert!(
        party.news().is_empty(),
        "the old process left, not the gateway"
    );
    assert_eq!(party.send(&old, &down), Err(DropReason::UnknownPeer));
    assert_eq!(party.send(&b, &up), Ok(vec![new.conn]));
}

#[test]
fn a_new_process_that_dies_before_it_knows_the_room_leaves_the_old_one_as_it_was() {
    let mut party = defaults();
    let old = party.join(&gateway());
    let b = party.join(&client(B));
    let new = party.join(&make_before_break(resume(gateway(), &old, 9)));
    party.news();

    party.switch.handle_lost(new.at, party.now);
    party.drain();

    assert!(party.news().is_empty());
    assert_eq!(party.send(&b, &frame(SERVER, B, 60)), Ok(vec![old.conn]));
    let again = party.join(&resume(gateway(), &old, 2));
    assert_eq!(party.superseded, [old.conn]);
    assert_eq!(again.welcome.peer, old.welcome.peer);
}

#[test]
fn two_connections_of_one_membership_end_with_the_member_and_after_a_while() {
    let mut party = defaults();
    let old = party.join(&gateway());
    let b = party.join(&client(B));
    let new = party.join(&make_before_break(resume(gateway(), &old, 2)));
    party.pass(Duration::from_secs(30));
    assert_eq!(party.superseded, [old.conn]);
    assert_eq!(party.send(&b, &frame(SERVER, B, 60)), Ok(vec![new.conn]));

    let third = party.join(&make_before_break(resume(gateway(), &new, 3)));
    party.switch.handle_leave(third.at, LeaveReason::Disconnect);
    party.drain();
    assert_eq!(party.superseded, [old.conn, new.conn]);
}
