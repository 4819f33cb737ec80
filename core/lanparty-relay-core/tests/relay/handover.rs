//! A relay's core that gives way to the next one (`docs/protocol.md`, clause 4.10).

use std::time::Duration;

use lanparty_ctrl::{Message, RejectCode};
use lanparty_relay_core::Directory;

use crate::stage::{A, B, C, Member, Stage, client, config, gateway, in_room, resume};

/// How long nothing must have come before the old process ends.
const QUIET: Duration = Duration::from_secs(1);

/// Not as long as that.
const ALMOST_QUIET: Duration = Duration::from_millis(950);

/// An old process, the next one, and what members have with the old one.
struct Pair {
    old: Stage,
    next: Stage,
    gateway: Member,
    a: Member,
}

impl Pair {
    /// A room with a gateway and a client, handed over to a process that listens.
    fn new() -> Self {
        let mut old = Stage::new();
        let (gateway, a) = (old.join(&gateway()), old.join(&client(A)));
        let next = successor(&mut old);
        let now = old.now;
        old.relay.begin_drain(now);
        old.process_outputs();

        Self {
            old,
            next,
            gateway,
            a,
        }
    }

    /// Lets time pass in both processes.
    fn pass(&mut self, time: Duration) {
        self.old.pass(time);
        self.next.pass(time);
    }

    /// The gateway takes its membership with the next process, and says so to the old one.
    fn gateway_arrives(&mut self) -> Member {
        let arrived = self.next.join(&resume(gateway(), &self.gateway, 2));
        self.old.say(self.gateway.conn, &Message::Arrived);
        self.pass(Duration::ZERO);

        arrived
    }

    fn a_arrives(&mut self) -> Member {
        let arrived = self.next.join(&resume(client(A), &self.a, 2));
        self.old.say(self.a.conn, &Message::Arrived);
        self.pass(Duration::ZERO);

        arrived
    }

    /// Returns how often the gateway and the client were told to move.
    fn moves(&mut self) -> [usize; 2] {
        [self.gateway.conn, self.a.conn].map(|conn| self.old.count(conn, &Message::Move))
    }

    fn is_over(&self) -> bool {
        self.old.relay.is_over(self.old.now)
    }
}

/// Has `old` prepare a handover, and makes the process that it is to.
fn successor(old: &mut Stage) -> Stage {
    let now = old.now;
    let rooms = old.relay.prepare_handover(now);
    old.process_outputs();
    let mut next = Stage::at(config(), Directory::new(2, 100), now);
    for room in &rooms {
        next.directory.inherit(&room.code, 0);
    }
    next.relay.take_over(rooms, now);

    next
}

#[test]
fn members_are_told_when_to_come_and_stay_until_then() {
    let mut pair = Pair::new();

    let waits = [pair.gateway.conn, pair.a.conn].map(|conn| {
        let messages = pair.old.take(conn);
        match messages.last() {
            Some(Message::Restarting(restarting)) => (restarting.reconnect_in_ms, restarting.stay),
            other => panic!("no announcement: {other:?}"),
        }
    });

    assert_eq!(waits, [(0, true), (10, true)]);
    assert_eq!(pair.old.broadcast(&pair.a, A), Ok(vec![pair.gateway.conn]));
}

#[test]
fn a_room_moves_once_everybody_has_arrived_and_the_process_ends_when_all_have_confirmed() {
    let mut pair = Pair::new();
    let gateway = pair.gateway_arrives();
    assert_eq!(pair.moves(), [0, 0], "one is missing");
    let a = pair.a_arrives();
    assert_eq!(pair.moves(), [1, 1]);
    assert_eq!(
        (a.welcome.room, a.welcome.peer),
        (pair.a.welcome.room, pair.a.welcome.peer)
    );
    assert_eq!(pair.next.broadcast(&a, A), Ok(vec![gateway.conn]));

    pair.old.say(pair.gateway.conn, &Message::Arrived);
    pair.pass(Duration::from_secs(5));
    assert!(!pair.is_over(), "A has not confirmed");
    pair.old.say(pair.a.conn, &Message::Arrived);
    pair.pass(Duration::from_millis(50));

    assert!(pair.is_over());
    assert_eq!(pair.moves(), [0, 0], "nobody is told twice");
}

#[test]
fn the_old_process_waits_until_it_has_been_quiet_for_a_second() {
    let mut pair = Pair::new();
    pair.gateway_arrives();
    pair.a_arrives();
    for conn in [pair.gateway.conn, pair.a.conn] {
        pair.old.say(conn, &Message::Arrived);
    }

    pair.pass(ALMOST_QUIET);
    assert!(!pair.is_over());
    let _targets = pair.old.broadcast(&pair.a, A);
    pair.pass(ALMOST_QUIET);
    assert!(!pair.is_over(), "a frame came");
    pair.pass(Duration::from_millis(100));

    assert!(pair.is_over());
}

#[test]
fn rooms_move_one_by_one() {
    let mut old = Stage::new();
    let a = old.join(&client(A));
    let b = old.join(&in_room(client(B), "ROOM2"));
    successor(&mut old);
    let now = old.now;
    old.relay.begin_drain(now);
    old.process_outputs();

    old.say(a.conn, &Message::Arrived);
    old.pass(Duration::ZERO);

    assert_eq!(old.count(a.conn, &Message::Move), 1);
    assert_eq!(old.count(b.conn, &Message::Move), 0);
}

#[test]
fn a_member_that_leaves_is_not_waited_for() {
    let mut pair = Pair::new();
    pair.gateway_arrives();

    pair.old.close(pair.a.conn, None);
    pair.pass(Duration::ZERO);

    assert_eq!(pair.moves()[0], 1);
}

#[test]
fn members_that_have_arrived_move_without_the_late_ones_after_a_minute() {
    let mut pair = Pair::new();
    pair.gateway_arrives();
    // The last member was told to come after 20 ms.
    pair.pass(Duration::from_mins(1));
    assert_eq!(pair.moves(), [0, 0]);

    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.moves(), [1, 0]);

    assert!(!pair.is_over());
    pair.pass(QUIET + Duration::from_millis(50));
    assert!(pair.is_over(), "the late one is not waited for");
}

#[test]
fn a_relay_that_is_never_quiet_ends_ten_seconds_after_the_last_call() {
    let mut pair = Pair::new();
    let busy = |pair: &mut Pair, time: Duration| {
        let until = pair.old.now + time;
        while pair.old.now < until {
            pair.pass(Duration::from_millis(500));
            let _targets = pair.old.broadcast(&pair.a, A);
        }
    };

    busy(&mut pair, Duration::from_secs(69));
    assert!(!pair.is_over());
    busy(&mut pair, Duration::from_millis(1500));

    assert!(pair.is_over());
}

#[test]
fn newcomers_wait_while_members_are_on_their_way() {
    let mut pair = Pair::new();
    for stage in [&mut pair.old, &mut pair.next] {
        let (_, messages) = stage.knock(&client(C));
        assert!(matches!(
            &messages[..],
            [Message::Reject(reject)] if reject.code == RejectCode::ShuttingDown
        ));
    }

    let now = pair.next.now;
    pair.next.relay.handle_predecessor_gone(now);

    pair.next.join(&client(C));
}

#[test]
fn a_relay_whose_successor_dies_goes_on_as_if_nothing_had_happened() {
    let mut pair = Pair::new();
    pair.gateway_arrives();
    pair.a_arrives();
    assert_eq!(pair.moves(), [1, 1]);
    let now = pair.old.now;

    pair.old.relay.cancel_handover(now);
    pair.old.process_outputs();
    pair.old.pass(Duration::from_mins(5));

    assert!(!pair.is_over());
    assert_eq!(pair.old.broadcast(&pair.a, A), Ok(vec![pair.gateway.conn]));
    pair.old.join(&client(C));
}

#[test]
fn a_second_successor_is_waited_for_anew() {
    let mut pair = Pair::new();
    pair.gateway_arrives();
    pair.a_arrives();
    pair.moves();
    let now = pair.old.now;
    pair.old.relay.cancel_handover(now);
    pair.next = successor(&mut pair.old);
    pair.old.relay.begin_drain(now);
    pair.old.process_outputs();

    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.moves(), [0, 0], "nobody has arrived there yet");
    pair.gateway_arrives();
    pair.a_arrives();

    assert_eq!(pair.moves(), [1, 1]);
}

#[test]
fn a_member_that_does_not_come_times_out_with_the_next_process() {
    let mut pair = Pair::new();
    pair.gateway_arrives();
    let now = pair.next.now;
    pair.next.relay.handle_predecessor_gone(now);

    pair.next.pass(Duration::from_secs(149));
    assert_eq!(pair.next.relay.members(), 2);
    pair.next.pass(Duration::from_secs(1));

    assert_eq!(pair.next.relay.members(), 1);
}

#[test]
fn a_shutdown_during_a_handover_ends_it() {
    let mut pair = Pair::new();
    let now = pair.old.now;

    pair.old.relay.handle_shutdown(now);
    pair.old.process_outputs();
    pair.old.pass(Duration::from_millis(300));

    assert!(pair.is_over());
}

#[test]
fn rooms_of_the_process_before_do_not_make_way() {
    let mut old = Stage::new();
    old.join(&client(A));
    let now = old.now;
    let rooms = old.relay.prepare_handover(now);
    let mut next = Stage::at(config(), Directory::new(2, 1), now);
    next.directory.inherit(&rooms[0].code, 0);
    next.relay.take_over(rooms, now);

    let (_, messages) = next.knock(&in_room(client(B), "ROOM2"));

    assert!(matches!(
        &messages[..],
        [Message::Reject(reject)] if reject.code == RejectCode::RelayFull
    ));
    assert_eq!(next.relay.members(), 1);
}
