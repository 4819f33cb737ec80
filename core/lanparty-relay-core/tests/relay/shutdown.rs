//! A relay that ends without a next process.

use std::time::Duration;

use lanparty_ctrl::{LeaveReason, Message, RejectCode, close_code};
use lanparty_proto::MacAddr;

use crate::stage::{A, Member, Stage, client, in_room};

/// Returns in how many milliseconds each member is told to come back, and whether it stays till then.
fn announced(stage: &mut Stage, members: &[Member]) -> Vec<(u32, bool)> {
    let of = |member: &Member, stage: &mut Stage| {
        let messages = stage.take(member.conn);
        let restarting = messages.iter().find_map(|message| match message {
            Message::Restarting(restarting) => Some(*restarting),
            _ => None,
        });
        let restarting = restarting.unwrap();
        assert!(matches!(
            messages.last(),
            Some(Message::Disconnect(goodbye)) if goodbye.reason == LeaveReason::Shutdown
        ));

        (restarting.reconnect_in_ms, restarting.stay)
    };

    members.iter().map(|member| of(member, stage)).collect()
}

#[test]
fn members_are_told_to_come_back_one_after_the_other() {
    let mut stage = Stage::new();
    let members: Vec<Member> = (1..=3)
        .map(|number| stage.join(&client(MacAddr([2, 0, 0, 0, 0, number]))))
        .collect();
    for member in &members {
        stage.take(member.conn);
    }
    let now = stage.now;

    stage.relay.handle_shutdown(now);
    stage.process_outputs();

    assert_eq!(
        announced(&mut stage, &members),
        [(200, false), (201, false), (202, false)]
    );
}

#[test]
fn a_crowd_is_spread_over_two_seconds_at_most() {
    let mut stage = Stage::new();
    let members: Vec<Member> = (0..2500_u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let room = format!("ROOM{}", number / 50);
            stage.join(&in_room(client(MacAddr([2, 0, 0, 0, high, low])), &room))
        })
        .collect();
    let now = stage.now;

    stage.relay.handle_shutdown(now);
    stage.process_outputs();

    let last = announced(&mut stage, &members[2499..]);
    assert_eq!(last, [(2200, false)]);
}

#[test]
fn a_shutdown_is_over_after_three_tenths_of_a_second_or_when_nobody_is_left() {
    let mut stage = Stage::new();
    let a = stage.join(&client(A));
    let silent = stage.connect();
    let now = stage.now;
    assert!(!stage.relay.is_over(now));

    stage.relay.handle_shutdown(now);
    stage.process_outputs();
    assert!(!stage.relay.is_over(now + Duration::from_millis(299)));
    assert!(stage.relay.is_over(now + Duration::from_millis(300)));

    let told = stage.take(silent);
    assert!(matches!(
        &told[..],
        [Message::Reject(reject)] if reject.code == RejectCode::ShuttingDown
    ));
    stage.close(a.conn, Some(close_code::LEFT.into()));
    stage.close(silent, None);
    assert!(stage.relay.is_over(now));
}

#[test]
fn a_connection_that_comes_during_a_shutdown_is_sent_away() {
    let mut stage = Stage::new();
    stage.join(&client(A));
    let now = stage.now;
    stage.relay.handle_shutdown(now);
    stage.process_outputs();

    let late = stage.connect();

    assert!(matches!(
        &stage.take(late)[..],
        [Message::Reject(reject)] if reject.code == RejectCode::ShuttingDown
    ));
}
