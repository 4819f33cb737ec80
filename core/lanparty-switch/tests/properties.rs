//! The switch against the naive model, for any sequence of joins, ends, resumes and frames.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_ctrl::{Hello, LeaveReason, Message, RejectCode, RoomCode, Welcome};
use lanparty_proto::{MacAddr, overlay};
use lanparty_samples::hello;
use lanparty_sim::{Model, Refused};
use lanparty_switch::{ConnId, Joiner, Limits, Membership, Output, Rate, Switch, Verdict};
use proptest::prelude::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Few rooms, few members and few generations, so that sequences collide often. Connections are named by how long ago they were made.
#[derive(Debug, Clone)]
enum Step {
    Join {
        room: u8,
        who: u8,
        resume: Option<usize>,
        generation: u64,
    },
    Lose(usize),
    Leave(usize),
    Wait,
    Send {
        from: usize,
        to: u8,
        source: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let join = (0..2_u8, 0..4_u8, proptest::option::of(0..6_usize), 0..6_u64);
    let step = prop_oneof![
        4 => join.prop_map(|(room, who, resume, generation)| Step::Join { room, who, resume, generation }),
        1 => (0..6_usize).prop_map(Step::Lose),
        1 => (0..6_usize).prop_map(Step::Leave),
        1 => Just(Step::Wait),
        8 => (0..6_usize, 0..6_u8, 0..5_u8).prop_map(|(from, to, source)| Step::Send { from, to, source }),
    ];

    proptest::collection::vec(step, 1..60)
}

/// One connection that was admitted once.
struct Conn {
    number: u64,
    at: Membership,
    welcome: Welcome,
    /// The first connection of its membership.
    first: u64,
    identity: u8,
}

struct World {
    switch: Switch,
    model: Model,
    now: Instant,
    conns: Vec<Conn>,
    next: u64,
}

/// Number 0 is the gateway, and no MAC of the room; 5 is everybody.
fn mac(number: u8) -> MacAddr {
    match number {
        0 => MacAddr([0, 0x11, 0x22, 0x33, 0x44, 0x55]),
        5 => MacAddr::BROADCAST,
        _ => MacAddr([2, 0, 0, 0, 0, number]),
    }
}

fn room_code(number: u8) -> RoomCode {
    format!("ROOM{number}").parse().unwrap()
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn new() -> Self {
        let limits = Limits {
            broadcast: Rate::UNLIMITED,
            unknown: Rate::UNLIMITED,
            lan_broadcast: Rate::UNLIMITED,
            ..Limits::default()
        };

        Self {
            switch: Switch::new(limits, 3),
            model: Model::default(),
            now: Instant::now(),
            conns: Vec::new(),
            next: 1,
        }
    }

    /// Returns the connection that was made `ago` connections ago.
    fn conn(&self, ago: usize) -> Option<&Conn> {
        self.conns.iter().rev().nth(ago)
    }

    fn join(
        &mut self,
        room: u8,
        who: u8,
        resume: Option<usize>,
        generation: u64,
    ) -> Result<(), TestCaseError> {
        let number = self.next;
        self.next += 1;
        let resumed = resume.and_then(|ago| self.conn(ago));
        let client = (who > 0).then(|| mac(who));
        let hello = Hello {
            room: room_code(room),
            generation,
            resume: resumed
                .and_then(|conn| conn.welcome.resume.clone())
                .map(|resume| resume.token),
            ..hello(client)
        };
        let first = resumed.map(|conn| conn.first);
        let expected = self.model.join(number, room, client, first, generation);
        let joiner = Joiner {
            conn: ConnId(number),
            budget: 1434,
            origin: HOME,
            token: u128::from(number).to_be_bytes(),
        };
        let joined = self.switch.handle_hello(joiner, &hello, self.now);
        let mut welcome = None;
        while let Some(output) = self.switch.poll_output() {
            if let Output::Send {
                conn,
                message: Message::Welcome(sent),
            } = output
            {
                prop_assert_eq!(conn, ConnId(number));
                welcome = Some(sent);
            }
        }

        match (expected, joined) {
            (Ok(first), Ok(at)) => self.conns.push(Conn {
                number,
                at,
                welcome: welcome.unwrap(),
                first,
                identity: who,
            }),
            (Err(Refused::Taken), Err(reject)) => {
                prop_assert!(matches!(
                    reject.code,
                    RejectCode::MacInUse | RejectCode::GatewayPresent
                ));
            }
            (Err(Refused::Superseded), Err(reject)) => {
                prop_assert_eq!(reject.code, RejectCode::Superseded);
            }
            (expected, joined) => {
                return Err(TestCaseError::fail(format!(
                    "the model says {expected:?}, the switch {joined:?}"
                )));
            }
        }

        Ok(())
    }

    fn send(&mut self, from: usize, to: u8, source: u8) -> Result<(), TestCaseError> {
        let Some(conn) = self.conn(from) else {
            return Ok(());
        };
        let own = mac(conn.identity);
        let source = if source == 0 { mac(4) } else { own };
        let destination = mac(to);
        let expected = self.model.hears(conn.number, destination, source);

        let mut frame = [&destination.0[..], &source.0, &[0x81, 0x37]].concat();
        frame.resize(60, 0);
        frame[14..18].copy_from_slice(&[0xff, 0xff, 0, 46]);
        let header = overlay::header(conn.welcome.room, conn.welcome.peer, false, 60);
        let datagram = [&header[..], &frame].concat();
        let (at, number) = (conn.at, conn.number);
        let heard = match self.switch.handle_datagram(at, &datagram, self.now) {
            Verdict::Drop(_) | Verdict::Hold => None,
            Verdict::Forward(forward) => {
                let mut heard: Vec<u64> = forward
                    .targets()
                    .iter()
                    .map(|target| target.conn.0)
                    .collect();
                heard.sort_unstable();
                Some(heard)
            }
        };

        prop_assert!(heard.iter().flatten().all(|conn| *conn != number));
        prop_assert_eq!(heard, expected);

        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Join {
                room,
                who,
                resume,
                generation,
            } => self.join(room, who, resume, generation)?,
            Step::Lose(ago) => {
                if let Some((at, number)) = self.conn(ago).map(|conn| (conn.at, conn.number)) {
                    self.switch.handle_lost(at, self.now);
                    self.model.lose(number);
                }
            }
            Step::Leave(ago) => {
                if let Some((at, number)) = self.conn(ago).map(|conn| (conn.at, conn.number)) {
                    self.switch.handle_leave(at, LeaveReason::Disconnect);
                    self.model.leave(number);
                }
            }
            Step::Wait => {
                self.now += Duration::from_mins(1);
                self.switch.handle_timeout(self.now);
                self.model.forget_lost();
            }
            Step::Send { from, to, source } => self.send(from, to, source)?,
        }
        while self.switch.poll_output().is_some() {}
        prop_assert_eq!(self.switch.members(), self.model.members());
        prop_assert_eq!(self.switch.rooms(), self.model.rooms());

        Ok(())
    }
}

proptest! {
    #[test]
    fn everybody_hears_what_the_model_says_and_nobody_else(steps in steps()) {
        let mut world = World::new();

        for step in steps {
            world.step(&step)?;
        }
    }

    #[test]
    fn no_datagram_makes_it_panic_or_forward_more_than_a_frame(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..40)
    ) {
        let mut world = World::new();
        world.join(0, 1, None, 1)?;
        world.join(0, 2, None, 1)?;
        let at = world.conn(1).unwrap().at;

        for datagram in datagrams {
            let verdict = world.switch.handle_datagram(at, &datagram, world.now);
            prop_assert!(!matches!(verdict, Verdict::Forward(_)));
        }
    }
}
