//! What always holds, for any sequence.

use std::time::Duration;

use lanparty_ctrl::{Message, Redirect, Restarting};
use lanparty_session::{ConnectionError, ConnectionId, Output, State};
use proptest::prelude::*;

use crate::harness::{Bench, SECOND, welcome};

proptest! {
    #[test]
    fn no_bytes_of_a_relay_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32)) {
        let (mut bench, attempt) = Bench::joined();
        for chunk in chunks {
            bench.session.handle_control(attempt, &chunk, bench.now);
        }
        prop_assert!(bench.outputs().len() < 1000);
    }

    #[test]
    fn in_any_order_of_events_there_are_at_most_two_connections_and_one_listened_to(steps in prop::collection::vec((0u8..10, 0u64..4), 0..200)) {
        let (mut bench, first) = Bench::joined();
        let mut open = vec![first];
        for (step, which) in steps {
            let attempt = open.get(usize::try_from(which).unwrap()).copied().unwrap_or(ConnectionId(which));
            if step == 2 {
                open.retain(|other| *other != attempt);
            }
            act(&mut bench, step, attempt);
            if step == PASS {
                bench.pass(SECOND);
            }
            for output in bench.outputs() {
                match output {
                    Output::Connect { id, .. } => open.push(id),
                    Output::Close { id, .. } => open.retain(|other| *other != id),
                    Output::Ended(_) => return Ok(()),
                    _ => {}
                }
            }
            prop_assert!(open.len() <= 3, "{open:?}");
            prop_assert!(open.iter().filter(|attempt| bench.session.hears(**attempt)).count() <= 3);
            prop_assert!(!open.is_empty() || bench.session.poll_timeout().is_some());
        }
    }

    #[test]
    fn in_any_order_of_events_the_state_follows_the_arrows_of_the_picture(steps in prop::collection::vec((0u8..10, 0u64..4), 0..200)) {
        let mut bench = Bench::new();
        let mut open = Vec::new();
        for (step, which) in steps {
            let attempt = open.get(usize::try_from(which).unwrap()).copied().unwrap_or(ConnectionId(which));
            let before = bench.session.state();
            act(&mut bench, step, attempt);
            if step == PASS {
                bench.tick();
            }
            let after = bench.session.state();
            prop_assert!(is_arrow(before, after), "{before:?} to {after:?} by {step}");
            for output in bench.outputs() {
                match output {
                    Output::Connect { id, .. } => open.push(id),
                    Output::Close { id, .. } => open.retain(|other| *other != id),
                    _ => {}
                }
            }
        }
    }
}

/// The step in which time passes.
const PASS: u8 = 9;

/// Has one thing happen.
fn act(bench: &mut Bench, step: u8, attempt: ConnectionId) {
    let restarting = |stay| {
        Message::Restarting(Restarting {
            reconnect_in_ms: 100,
            stay,
        })
    };
    match step {
        0 => bench.connected(attempt),
        1 => bench.say(attempt, Message::Welcome(welcome(5))),
        2 => bench.closed(attempt, ConnectionError::TimedOut),
        3 => (bench.session).handle_silence(attempt, 2 * SECOND, bench.now),
        4 => (bench.session).handle_silence(attempt, Duration::ZERO, bench.now),
        5 => bench.say(attempt, restarting(false)),
        6 => bench.say(attempt, Message::Redirect(Redirect { worker: 1 })),
        7 => bench.say(attempt, restarting(true)),
        8 => bench.say(attempt, Message::Move),
        _ => {}
    }
}

/// Whether one event can bring a session from one state to another: the arrows of the picture in the
/// crate's documentation, and what follows from several at once.
fn is_arrow(from: State, to: State) -> bool {
    let reachable: &[State] = match from {
        State::Idle => &[State::Joining],
        State::Joining => &[State::Joined, State::Standby],
        State::Joined => &[
            State::Probing,
            State::Moving,
            State::Reconnecting,
            State::HandedOver,
        ],
        State::Probing => &[
            State::Joined,
            State::Moving,
            State::Prepared,
            State::Reconnecting,
            State::Standby,
        ],
        State::Moving => &[
            State::Prepared,
            State::Joined,
            State::Reconnecting,
            State::Standby,
        ],
        State::Prepared => &[State::Joined, State::Moving],
        State::Reconnecting => &[State::Joined, State::Standby],
        State::Standby => &[State::Joined, State::Reconnecting],
        State::HandedOver | State::Leaving | State::Ended => &[],
    };

    from == to
        || reachable.contains(&to)
        || to == State::Ended
        || to == State::Leaving && from != State::Ended
}
