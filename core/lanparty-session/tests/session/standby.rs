//! A gateway whose room has one already.

use lanparty_ctrl::{Message, RejectCode};
use lanparty_proto::MacAddr;
use lanparty_session::{ConnectionError, EndKind, Neighbor, Output, Standby};

use crate::harness::{Bench, SECOND, connect, end, joins, lines, reject, welcome};

const NEIGHBOR: Neighbor = Neighbor {
    source: MacAddr([0x06, 0x88, 0xb5, 1, 2, 3]),
    is_leaving: false,
};

impl Bench {
    /// Has one attempt answered that the room has a gateway.
    fn turned_away(&mut self) -> Vec<Output> {
        let attempt = self.next_attempt();
        self.connected(attempt);
        self.say(attempt, reject(RejectCode::GatewayPresent));

        self.outputs()
    }

    /// Lets time pass, with the active gateway heard every second and every attempt turned away. Returns what was told, and how often
    /// the gateway asked to take over.
    fn stand_by(&mut self, seconds: u32) -> (Vec<String>, u32) {
        let (mut told, mut asked) = (Vec::new(), 0);
        for tenth in 0..seconds * 10 {
            if tenth % 10 == 0 {
                self.session.handle_neighbor(NEIGHBOR, self.now);
            }
            let outputs = self.outputs();
            told.extend(lines(&outputs));
            if let Some(attempt) = connect(&outputs) {
                asked += 1;
                self.connected(attempt);
                self.say(attempt, reject(RejectCode::GatewayPresent));
            }
            self.pass(SECOND / 10);
        }
        told.extend(lines(&self.outputs()));

        (told, asked)
    }
}

#[test]
fn a_second_gateway_stands_by_and_says_so_once() {
    let mut bench = Bench::gateway(Standby::SameLan);
    assert!(
        lines(&bench.turned_away()).is_empty(),
        "nobody was heard yet"
    );

    let (lines, _) = bench.stand_by(60);

    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("01:02:03"), "{lines:?}");
}

#[test]
fn a_standby_asks_now_and_then_while_the_other_gateway_is_heard() {
    let mut bench = Bench::gateway(Standby::SameLan);
    bench.turned_away();
    let (_, asked) = bench.stand_by(60);

    assert!((8..=25).contains(&asked), "{asked} times in a minute");
}

#[test]
fn a_standby_takes_over_as_soon_as_the_other_gateway_leaves_or_is_silent() {
    for is_leaving in [true, false] {
        let mut bench = Bench::gateway(Standby::SameLan);
        bench.turned_away();
        bench.stand_by(3);
        bench.session.handle_neighbor(
            Neighbor {
                is_leaving,
                ..NEIGHBOR
            },
            bench.now,
        );
        bench.outputs();
        let gone = bench.now;
        let attempt = bench.next_attempt();
        let waited = bench.now - gone;
        bench.connected(attempt);
        bench.say(attempt, Message::Welcome(welcome(5)));
        let outputs = bench.outputs();

        let patience = if is_leaving {
            SECOND / 4
        } else {
            SECOND * 5 / 2
        };
        assert!(waited <= patience, "{waited:?}");
        assert!(joins(&outputs).is_some());
        assert!(
            lines(&outputs)[0].starts_with("took over: room PARTY"),
            "{outputs:?}"
        );
    }
}

#[test]
fn a_gateway_that_lost_its_place_to_another_stands_by() {
    let mut bench = Bench::gateway(Standby::SameLan);
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(5)));
    bench.closed(attempt, ConnectionError::TimedOut);
    bench.outputs();
    let outputs = bench.turned_away();
    assert_eq!(end(&outputs), None);

    let (lines, _) = bench.stand_by(1);
    assert!(lines[0].starts_with("standby: room PARTY"), "{lines:?}");
    assert_eq!(bench.session.budget(), 0, "nothing may be sent");
}

#[test]
fn a_gateway_that_is_not_heard_on_this_lan_is_waited_for_only_if_asked_for() {
    let ends = |standby| {
        let mut bench = Bench::gateway(standby);
        let mut outputs = bench.turned_away();
        let start = bench.now;
        while bench.now - start < SECOND * 5 && end(&outputs).is_none() {
            bench.pass(SECOND / 10);
            let new = bench.outputs();
            if let Some(attempt) = connect(&new) {
                bench.connected(attempt);
                bench.say(attempt, reject(RejectCode::GatewayPresent));
            }
            outputs.extend(new);
        }
        outputs
    };

    let (kind, sentence) = end(&ends(Standby::SameLan)).unwrap();
    assert_eq!(kind, EndKind::Refused);
    assert!(
        sentence.contains("the sentence") && sentence.contains("--standby any"),
        "{sentence}"
    );
    let outputs = ends(Standby::Anywhere);
    assert_eq!(end(&outputs), None);
    assert!(
        lines(&outputs)
            .iter()
            .any(|line| line.contains("another LAN")),
        "{outputs:?}"
    );
    assert!(end(&Bench::gateway(Standby::Never).turned_away()).is_some());
}

#[test]
fn a_standby_asks_on_while_the_relay_is_renewed() {
    let mut bench = Bench::gateway(Standby::SameLan);
    bench.turned_away();
    bench.stand_by(3);
    bench.outputs();

    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, reject(RejectCode::ShuttingDown));
    let outputs = bench.outputs();
    assert_eq!(end(&outputs), None);
    assert!(joins(&outputs).is_none());

    let (_, asked) = bench.stand_by(60);
    assert!(asked >= 8, "{asked} times in a minute");
}
