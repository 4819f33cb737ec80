//! The real relay's core and real sessions, joined by wires.
//!
//! The party plays the parts of the programs: it makes connections, carries control messages (in order and without loss, as QUIC
//! streams do) and datagrams (as the wire pleases), and runs every timer when it is due.

mod relay;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::Role;
use lanparty_proto::{MacAddr, overlay};
use lanparty_relay_core::{Config as RelayConfig, Directory, Relay};
use lanparty_session::session::{
    ConnectionError, ConnectionId, JoinInfo, Output as DesiredState, Session, SessionConfig,
};
use lanparty_switch::{ConnId, Limits};

use crate::{Line, Rng, Wire};

/// The budget of every connection.
const BUDGET: u16 = 1434;

/// The number of the relay's only worker.
const WORKER: u8 = 0;

/// More rooms than any test has.
const MAX_ROOMS: usize = 1000;

/// How long a connection that broke without a word looks alive to the other end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// What travels in order and surely.
#[derive(Debug, Clone)]
enum Sure {
    Connected(ConnId),
    ToRelay(ConnId, Vec<u8>),
    ToMember(ConnId, Vec<u8>),
    /// The relay ends the connection.
    RelayCloses(ConnId, u32, String),
    /// The member ends the connection.
    MemberCloses(ConnId, u32),
    /// The relay gives a silent connection up.
    RelayGivesUp(ConnId),
    /// The member notices that its connection is gone.
    MemberGivesUp(ConnId),
}

/// What travels as the wire pleases.
#[derive(Debug, Clone)]
enum Unsure {
    Up(ConnId, Vec<u8>),
    Down(ConnId, Bytes),
}

/// One member.
#[derive(Debug)]
pub struct Player {
    session: Session,
    mac: Option<MacAddr>,
    joined: Option<JoinInfo>,
    /// How many times it got a membership that was not its own before.
    pub memberships: usize,
    /// How many times it heard that somebody left.
    pub leaves_heard: usize,
    /// How it ended, if it did.
    pub ended: Option<String>,
}

impl Player {
    /// Returns whether it is a member and has a connection that carries it.
    pub fn is_joined(&self) -> bool {
        self.session.connection().is_some()
    }
}

/// A connection as both ends see it.
#[derive(Debug)]
struct Conn {
    player: usize,
    attempt: ConnectionId,
    /// Nothing passes any more, though neither end may know.
    is_cut: bool,
}

/// Somebody heard something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Who.
    pub player: usize,
    /// The frame.
    pub frame: Vec<u8>,
}

/// A relay and its members.
#[derive(Debug)]
pub struct Party {
    /// The time.
    pub now: Instant,
    /// Where all chance comes from.
    pub rng: Rng,
    /// The relay.
    pub relay: Relay,
    directory: Directory,
    /// Everybody who ever came.
    pub players: Vec<Player>,
    /// What was heard and not taken yet.
    pub heard: Vec<Heard>,
    conns: BTreeMap<ConnId, Conn>,
    by_attempt: BTreeMap<(usize, ConnectionId), ConnId>,
    sure: Wire<Sure>,
    unsure: Wire<Unsure>,
    later: BTreeMap<(Instant, u64), Sure>,
    counter: u64,
}

fn config(limits: Limits) -> RelayConfig {
    RelayConfig {
        worker: WORKER,
        limits,
        hello_deadline: Duration::from_secs(3),
        message_deadline: Duration::from_secs(5),
        silent_connections: 0,
        uplink_deficit: 0,
        flow_seed: 1,
    }
}

/// Makes an IPX frame that carries `number`.
pub fn frame(destination: MacAddr, source: MacAddr, number: u64) -> Vec<u8> {
    let ipx = [0xff, 0xff, 0, 46];
    let mut bytes = [
        &destination.0[..],
        &source.0,
        &[0x81, 0x37],
        &ipx,
        &number.to_be_bytes(),
    ]
    .concat();
    bytes.resize(60, 0);

    bytes
}

impl Party {
    /// Makes a party without members, whose datagrams travel over `line`.
    pub fn new(limits: Limits, line: Line, seed: u64, start: Instant) -> Self {
        Self {
            now: start,
            rng: Rng::new(seed),
            relay: Relay::new(config(limits), start),
            directory: Directory::new(1, MAX_ROOMS),
            players: Vec::new(),
            heard: Vec::new(),
            conns: BTreeMap::new(),
            by_attempt: BTreeMap::new(),
            sure: Wire::new(Line::clean(line.delay)),
            unsure: Wire::new(line),
            later: BTreeMap::new(),
            counter: 0,
        }
    }

    /// Lets somebody come; a gateway has no MAC.
    ///
    /// # Panics
    ///
    /// Panics if `room` is no room code.
    pub fn invite(&mut self, room: &str, mac: Option<MacAddr>) -> usize {
        let mut session = Session::new(SessionConfig {
            relay: "relay".into(),
            role: mac.map_or(Role::Gateway, |_| Role::Client),
            room: room.parse().expect("a test names its rooms properly"),
            mac,
            interface: "eth0".into(),
            budget: BUDGET,
            full_frame: true,
            down_rate: None,
            program: "sim".into(),
            program_version: "1".into(),
            generation: 1,
            resume: None,
            standby: lanparty_session::Standby::Never,
            instance: self.rng.next().into(),
            seed: self.rng.next(),
        });
        session.start(self.now);
        self.players.push(Player {
            session,
            mac,
            joined: None,
            memberships: 0,
            leaves_heard: 0,
            ended: None,
        });
        let player = self.players.len() - 1;
        self.process_outputs(player);

        player
    }

    /// Lets somebody leave.
    pub fn leave(&mut self, player: usize) {
        if let Some(found) = self.players.get_mut(player) {
            found.session.leave(self.now);
        }
        self.process_outputs(player);
    }

    /// Cuts a player's connection: from now on nothing passes. The player notices after `notices`, the relay when it gives up.
    pub fn cut(&mut self, player: usize, notices: Duration) {
        let Some(id) = self.conn_of(player) else {
            return;
        };
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_cut = true;
        }
        self.at(self.now + notices, Sure::MemberGivesUp(id));
        self.at(self.now + IDLE_TIMEOUT, Sure::RelayGivesUp(id));
    }

    /// Sends a frame in a player's name.
    pub fn send(&mut self, player: usize, frame: &[u8]) {
        let Some(id) = self.conn_of(player) else {
            return;
        };
        let Some(joined) = self.players.get(player).and_then(|p| p.joined.as_ref()) else {
            return;
        };
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        let header = overlay::header(joined.room, joined.peer, false, length);
        let datagram = [&header[..], frame].concat();
        self.unsure
            .send(Unsure::Up(id, datagram), &mut self.rng, self.now);
    }

    /// Returns the connection that carries a player's membership.
    pub fn conn_of(&self, player: usize) -> Option<ConnId> {
        let attempt = self.players.get(player)?.session.connection()?;

        self.by_attempt.get(&(player, attempt)).copied()
    }

    /// Returns the player's MAC.
    pub fn mac_of(&self, player: usize) -> Option<MacAddr> {
        self.players.get(player)?.mac
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = until;
    }

    fn next_timeout(&self) -> Option<Instant> {
        let sessions = self
            .players
            .iter()
            .filter_map(|player| player.session.poll_timeout());
        let others = [
            self.sure.poll_timeout(),
            self.unsure.poll_timeout(),
            self.later.first_key_value().map(|((at, _), _)| *at),
            self.relay.poll_timeout(),
        ];

        others.into_iter().flatten().chain(sessions).min()
    }

    fn turn(&mut self) {
        while let Some(what) = self.sure.poll(self.now) {
            self.deliver(what);
        }
        while self
            .later
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= self.now)
        {
            if let Some((_, what)) = self.later.pop_first() {
                self.deliver(what);
            }
        }
        while let Some(what) = self.unsure.poll(self.now) {
            self.deliver_datagram(what);
        }
        self.relay.handle_timeout(self.now);
        self.process_relay();
        for player in 0..self.players.len() {
            if let Some(found) = self.players.get_mut(player)
                && found
                    .session
                    .poll_timeout()
                    .is_some_and(|at| at <= self.now)
            {
                found.session.handle_timeout(self.now);
                self.process_outputs(player);
            }
        }
    }

    fn at(&mut self, at: Instant, what: Sure) {
        self.counter += 1;
        self.later.insert((at, self.counter), what);
    }

    fn post(&mut self, what: Sure) {
        self.sure.send(what, &mut self.rng, self.now);
    }

    fn deliver(&mut self, what: Sure) {
        match what {
            Sure::Connected(id) => self.tell_member(id, |session, attempt, now| {
                session.handle_connected(
                    attempt,
                    usize::from(BUDGET),
                    Duration::from_millis(20),
                    now,
                );
            }),
            Sure::ToMember(id, bytes) => self.tell_member(id, |session, attempt, now| {
                session.handle_control(attempt, &bytes, now);
            }),
            Sure::RelayCloses(id, code, text) => {
                self.tell_member(id, |session, attempt, now| {
                    let cause = ConnectionError::Closed {
                        code: code.into(),
                        text,
                    };
                    session.handle_closed(attempt, cause, now);
                });
                self.conns.remove(&id);
            }
            Sure::MemberGivesUp(id) => self.give_up(id),
            Sure::ToRelay(id, bytes) => self.tell_relay(id, &bytes),
            Sure::MemberCloses(id, code) => {
                if self.conns.remove(&id).is_some_and(|conn| !conn.is_cut) {
                    let code = Some(code.into());
                    self.relay.handle_closed(id, code, self.now);
                }
            }
            Sure::RelayGivesUp(id) => {
                self.conns.remove(&id);
                self.relay.handle_closed(id, None, self.now);
            }
        }
        self.process_relay();
    }

    /// The member's end of a cut connection times out; the relay's end lives on.
    fn give_up(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else {
            return;
        };
        let (player, attempt) = (conn.player, conn.attempt);
        if let Some(found) = self.players.get_mut(player) {
            found
                .session
                .handle_closed(attempt, ConnectionError::TimedOut, self.now);
        }
        self.process_outputs(player);
    }

    fn tell_member(&mut self, id: ConnId, tell: impl FnOnce(&mut Session, ConnectionId, Instant)) {
        let Some(conn) = self.conns.get(&id).filter(|conn| !conn.is_cut) else {
            return;
        };
        let (player, attempt) = (conn.player, conn.attempt);
        if let Some(found) = self.players.get_mut(player) {
            tell(&mut found.session, attempt, self.now);
        }
        self.process_outputs(player);
    }

    fn process_outputs(&mut self, player: usize) {
        while let Some(wish) = self
            .players
            .get_mut(player)
            .and_then(|found| found.session.poll_output())
        {
            match wish {
                DesiredState::Connect { id: attempt, .. } => self.connect(player, attempt),
                DesiredState::Send { id: attempt, bytes } => {
                    if let Some(id) = self.by_attempt.get(&(player, attempt)).copied() {
                        self.post(Sure::ToRelay(id, bytes));
                    }
                }
                DesiredState::Close {
                    id: attempt, code, ..
                } => {
                    if let Some(id) = self.by_attempt.remove(&(player, attempt)) {
                        self.post(Sure::MemberCloses(id, code));
                    }
                }
                DesiredState::Joined(info) => {
                    if let Some(found) = self.players.get_mut(player) {
                        found.memberships += usize::from(!info.same_membership);
                        found.joined = Some(info);
                    }
                }
                DesiredState::PeerLeft(..) => {
                    if let Some(found) = self.players.get_mut(player) {
                        found.leaves_heard += 1;
                    }
                }
                DesiredState::Ended(end) => {
                    if let Some(found) = self.players.get_mut(player) {
                        found.ended = Some(end.sentence);
                    }
                }
                DesiredState::PeerJoined(_)
                | DesiredState::PeerDetached(_)
                | DesiredState::PeerResumed(_)
                | DesiredState::ForeignSource(_)
                | DesiredState::Detached
                | DesiredState::Status(_) => {}
            }
        }
    }

    fn connect(&mut self, player: usize, attempt: ConnectionId) {
        self.counter += 1;
        let id = ConnId(self.counter);
        let number = u32::try_from(player).unwrap_or(u32::MAX);
        self.conns.insert(
            id,
            Conn {
                player,
                attempt,
                is_cut: false,
            },
        );
        self.by_attempt.insert((player, attempt), id);
        let remote = (Ipv4Addr::from_bits(number), 5000).into();
        let budget = usize::from(BUDGET);
        self.relay.handle_connected(id, remote, budget, self.now);
        self.process_relay();
        self.post(Sure::Connected(id));
    }
}
