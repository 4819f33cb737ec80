//! Rooms against the naive model.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Capability, Hello, LeaveReason, Message, PROTOCOL_VERSION, Role, Welcome};
use lanparty_proto::{MacAddr, overlay};
use lanparty_sim::Model;
use lanparty_switch::{ConnId, Joiner, Limits, Membership, Output, Rate, Switch, Verdict};

/// One connection that was admitted once.
struct Conn {
    number: u64,
    place: Membership,
    welcome: Welcome,
    first: u64,
    identity: u8,
}

/// Three bytes are a step: joins, resumes, ends, time and frames. Switch and model agree on who is there and who hears what.
pub fn room(bytes: &[u8]) {
    let limits = Limits {
        broadcast: Rate::UNLIMITED,
        unknown: Rate::UNLIMITED,
        lan_broadcast: Rate::UNLIMITED,
        ..Limits::default()
    };
    let (mut switch, mut model) = (Switch::new(limits, 3), Model::default());
    let (mut now, mut next) = (Instant::now(), 1);
    let mut conns: Vec<Conn> = Vec::new();

    for step in bytes.as_chunks::<3>().0.iter().take(200) {
        let [what, which, how] = *step;
        let chosen = conns.iter().rev().nth(usize::from(which % 6));
        match (what % 8, chosen) {
            (0..3, _) => {
                let resumed = (what >= 128).then_some(chosen).flatten();
                let joined = join(&mut switch, &mut model, (next, how), resumed, now);
                conns.extend(joined);
                next += 1;
            }
            (3, Some(conn)) => {
                switch.handle_lost(conn.place, now);
                model.lose(conn.number);
            }
            (4, Some(conn)) => {
                switch.handle_leave(conn.place, LeaveReason::Disconnect);
                model.leave(conn.number);
            }
            (5, _) => {
                now += Duration::from_mins(1);
                switch.handle_timeout(now);
                model.forget_lost();
            }
            (_, Some(conn)) => send(&mut switch, &model, conn, how, now),
            (_, None) => {}
        }
        while switch.poll_output().is_some() {}
        assert_eq!(switch.members(), model.members());
        assert_eq!(switch.rooms(), model.rooms());
    }
}

/// Number 0 is the gateway, and no MAC of the room; 5 is everybody.
fn mac(number: u8) -> MacAddr {
    match number {
        0 => MacAddr([0, 0x11, 0x22, 0x33, 0x44, 0x55]),
        5 => MacAddr::BROADCAST,
        _ => MacAddr([2, 0, 0, 0, 0, number]),
    }
}

fn join(
    switch: &mut Switch,
    model: &mut Model,
    (number, how): (u64, u8),
    resumed: Option<&Conn>,
    now: Instant,
) -> Option<Conn> {
    let (room, identity, generation) = (how & 1, how >> 1 & 3, u64::from(how >> 3));
    let client = (identity > 0).then(|| mac(identity));
    let resume = resumed.and_then(|conn| conn.welcome.resume.clone());
    let hello = Hello {
        version: PROTOCOL_VERSION,
        role: if client.is_some() {
            Role::Client
        } else {
            Role::Gateway
        },
        room: if room == 0 { "ROOM1" } else { "ROOM2" }.parse().ok()?,
        mac: client,
        budget: 1434,
        capabilities: vec![Capability::FullFrame],
        generation,
        resume: resume.map(|resume| resume.token),
        instance: None,
        down_rate: None,
        program: String::new(),
        program_version: String::new(),
    };
    let first = resumed.map(|conn| conn.first);
    let expected = model.join(number, room, client, first, generation);
    let joiner = Joiner {
        conn: ConnId(number),
        budget: 1434,
        // Two addresses that take a place from each other are stopped, which the model does not know.
        origin: [192, 0, 2, 1].into(),
        token: u128::from(number).to_be_bytes(),
    };
    let joined = switch.handle_hello(joiner, &hello, now);
    assert_eq!(joined.is_ok(), expected.is_ok());
    let welcome = std::iter::from_fn(|| switch.poll_output()).find_map(|output| match output {
        Output::Send {
            message: Message::Welcome(welcome),
            ..
        } => Some(welcome),
        _ => None,
    });

    Some(Conn {
        number,
        place: joined.ok()?,
        welcome: welcome?,
        first: expected.ok()?,
        identity,
    })
}

fn send(switch: &mut Switch, model: &Model, conn: &Conn, how: u8, now: Instant) {
    let (source, destination) = match how & 1 {
        0 => (mac(conn.identity), mac(how >> 1 & 7)),
        _ => (mac(4), mac(how >> 1 & 7)),
    };
    let mut frame = [&destination.0[..], &source.0, &[0x81, 0x37]].concat();
    frame.resize(60, 0);
    frame[14..18].copy_from_slice(&[0xff, 0xff, 0, 46]);
    let header = overlay::header(conn.welcome.room, conn.welcome.peer, false, 60);
    let heard = match switch.handle_datagram(conn.place, &[&header[..], &frame].concat(), now) {
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

    assert_eq!(heard, model.hears(conn.number, destination, source));
}
