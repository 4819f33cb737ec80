//! A relay's core, its program played by the test, and a clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use lanparty_ctrl::{Decoder, Hello, MAX_ADMITTED, Message, Welcome, encode};
use lanparty_obs::DropReason;
use lanparty_proto::{MacAddr, overlay};
use lanparty_relay_core::{
    Claim, Config, Directory, Event, Limit, Liveness, Output, Relay, Verdict,
};
use lanparty_samples::hello;
use lanparty_switch::{ConnId, Fit, Limits, MAX_BUDGET};

pub(crate) const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
pub(crate) const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
pub(crate) const C: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xc]);

/// The deadline of a hello.
pub(crate) const HELLO: Duration = Duration::from_secs(3);

/// The deadline of a message that was begun.
pub(crate) const MESSAGE: Duration = Duration::from_secs(5);

/// By how much a member's datagrams are shorter than the relay's.
pub(crate) const DEFICIT: usize = 4;

/// Gives the decisions of one worker, and does for it what a program does.
pub(crate) struct Stage {
    pub(crate) relay: Relay,
    pub(crate) directory: Directory,
    pub(crate) now: Instant,
    /// When a connection was heard last, for those that fell silent.
    pub(crate) heard: BTreeMap<ConnId, Instant>,
    /// When a connection acknowledged something last, for those that hear nothing.
    pub(crate) answered: BTreeMap<ConnId, Instant>,
    pub(crate) pinged: Vec<ConnId>,
    pub(crate) closed: BTreeMap<ConnId, (u32, String)>,
    pub(crate) events: Vec<Event>,
    pub(crate) reached: Vec<Limit>,
    pub(crate) banned: Vec<SocketAddr>,
    pub(crate) rates: BTreeMap<ConnId, Option<u64>>,
    worker: u8,
    conns: u64,
    decoders: BTreeMap<ConnId, Decoder>,
    messages: Vec<(ConnId, Message)>,
}

/// A member as its connection sees it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) conn: ConnId,
    pub(crate) welcome: Welcome,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    pub(crate) fn with(config: Config) -> Self {
        Self::at(config, Directory::new(2, 100), Instant::now())
    }

    pub(crate) fn at(config: Config, directory: Directory, now: Instant) -> Self {
        Self {
            worker: config.worker,
            relay: Relay::new(config, now),
            directory,
            now,
            heard: BTreeMap::new(),
            answered: BTreeMap::new(),
            pinged: Vec::new(),
            closed: BTreeMap::new(),
            events: Vec::new(),
            reached: Vec::new(),
            banned: Vec::new(),
            rates: BTreeMap::new(),
            conns: 0,
            decoders: BTreeMap::new(),
            messages: Vec::new(),
        }
    }

    /// Connects and says nothing.
    pub(crate) fn connect(&mut self) -> ConnId {
        self.connect_with(MAX_BUDGET + DEFICIT)
    }

    /// Connects over a path that carries so many bytes to the member.
    pub(crate) fn connect_with(&mut self, budget: usize) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.decoders.insert(conn, Decoder::new(MAX_ADMITTED));
        self.relay
            .handle_connected(conn, remote(conn), budget, self.now);
        self.process_outputs();

        conn
    }

    pub(crate) fn say(&mut self, conn: ConnId, message: &Message) {
        self.send_control(conn, &encode(message));
    }

    pub(crate) fn send_control(&mut self, conn: ConnId, bytes: &[u8]) {
        self.relay.handle_control(conn, bytes, self.now);
        self.process_outputs();
    }

    pub(crate) fn join(&mut self, hello: &Hello) -> Member {
        let conn = self.connect();
        self.say(conn, &Message::Hello(hello.clone()));

        self.member(conn)
    }

    /// Returns the member whose welcome `conn` has got.
    pub(crate) fn member(&mut self, conn: ConnId) -> Member {
        let messages = self.take(conn);
        let welcome = messages.iter().find_map(|message| match message {
            Message::Welcome(welcome) => Some(welcome.clone()),
            _ => None,
        });

        Member {
            conn,
            welcome: welcome.unwrap_or_else(|| panic!("no welcome in {messages:?}")),
        }
    }

    /// Connects, says hello, and returns what the relay answers.
    pub(crate) fn knock(&mut self, hello: &Hello) -> (ConnId, Vec<Message>) {
        let conn = self.connect();
        self.say(conn, &Message::Hello(hello.clone()));
        let messages = self.take(conn);

        (conn, messages)
    }

    /// Sends a frame for everybody, and returns the connections that get it.
    pub(crate) fn broadcast(
        &mut self,
        from: &Member,
        mac: MacAddr,
    ) -> Result<Vec<ConnId>, DropReason> {
        let mut frame = [&MacAddr::BROADCAST.0[..], &mac.0, &[0x81, 0x37]].concat();
        frame.resize(60, 0);
        frame[14..18].copy_from_slice(&[0xff, 0xff, 0, 46]);
        let header = overlay::header(from.welcome.room, from.welcome.peer, false, 60);

        self.send_datagram(from.conn, &[&header[..], &frame].concat())
    }

    pub(crate) fn send_datagram(
        &mut self,
        conn: ConnId,
        datagram: &[u8],
    ) -> Result<Vec<ConnId>, DropReason> {
        let result = match self.relay.handle_datagram(conn, datagram, self.now) {
            Verdict::Early => Err(DropReason::UnknownPeer),
            Verdict::Hold => Ok(Vec::new()),
            Verdict::Drop(dropped) => Err(dropped.reason),
            Verdict::Forward(forward, _) => Ok(forward
                .targets()
                .iter()
                .filter(|target| target.fit != Fit::TooLarge)
                .map(|target| target.conn)
                .collect()),
        };
        self.process_outputs();

        result
    }

    pub(crate) fn close(&mut self, conn: ConnId, code: Option<u64>) {
        self.relay.handle_closed(conn, code, self.now);
        self.process_outputs();
    }

    /// Lets time pass, from one deadline to the next.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.relay.poll_timeout().filter(|next| *next <= until) {
            if self.relay.is_over(self.now) {
                break;
            }
            self.now = self.now.max(next);
            self.relay.handle_timeout(self.now);
            self.process_outputs();
        }
        self.now = until;
    }

    /// Takes the messages that `conn` has got.
    pub(crate) fn take(&mut self, conn: ConnId) -> Vec<Message> {
        let (taken, left) = std::mem::take(&mut self.messages)
            .into_iter()
            .partition(|(to, _)| *to == conn);
        self.messages = left;

        taken.into_iter().map(|(_, message)| message).collect()
    }

    /// Takes how often `conn` has got `message`.
    pub(crate) fn count(&mut self, conn: ConnId, message: &Message) -> usize {
        self.take(conn).iter().filter(|got| *got == message).count()
    }

    pub(crate) fn is_open(&self, conn: ConnId) -> bool {
        !self.closed.contains_key(&conn)
    }

    pub(crate) fn process_outputs(&mut self) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Send { conn, bytes } => self.receive(conn, &bytes),
                Output::Close { conn, code, reason } => {
                    self.closed.insert(conn, (code, reason));
                }
                Output::Claim { conn, room, rival } => {
                    let claim = Claim {
                        home: self.directory.claim(&room, self.worker),
                        members_elsewhere: self.directory.members_elsewhere(self.worker),
                        room,
                        rival: rival.map(|rival| self.liveness(rival)),
                        token: Some(u128::from(conn.0).to_be_bytes()),
                    };
                    self.relay.handle_claim(conn, &claim, self.now);
                }
                Output::Ping(conn) => self.pinged.push(conn),
                Output::Release(room) => self.directory.release(&room, self.worker),
                Output::SetRate { conn, down_rate } => {
                    self.rates.insert(conn, down_rate);
                }
                Output::Ban(remote) => self.banned.push(remote),
                Output::LimitReached { limit, .. } => self.reached.push(limit),
                Output::Event(event) => self.events.push(event),
            }
        }
        let members = self.relay.members();
        self.directory.set_members(self.worker, members);
    }

    fn liveness(&self, conn: ConnId) -> Liveness {
        let heard = self.heard.get(&conn).copied().unwrap_or(self.now);

        Liveness {
            heard,
            answered: self.answered.get(&conn).copied().unwrap_or(heard),
        }
    }

    fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        let decoder = self.decoders.get_mut(&conn).unwrap();
        decoder.push(bytes);
        while let Some(message) = decoder.poll_message().unwrap() {
            self.messages.push((conn, message));
        }
    }
}

pub(crate) fn config() -> Config {
    Config {
        worker: 0,
        limits: Limits::default(),
        hello_deadline: HELLO,
        message_deadline: MESSAGE,
        silent_connections: 100,
        uplink_deficit: DEFICIT,
        flow_seed: 1,
    }
}

pub(crate) fn remote(conn: ConnId) -> SocketAddr {
    let number = u32::try_from(conn.0).unwrap();

    (Ipv4Addr::from_bits(0x0a00_0000 + number), 5000).into()
}

pub(crate) fn client(mac: MacAddr) -> Hello {
    hello(Some(mac))
}

pub(crate) fn gateway() -> Hello {
    hello(None)
}

pub(crate) fn native(hello: Hello) -> Hello {
    Hello {
        capabilities: Vec::new(),
        ..hello
    }
}

pub(crate) fn in_room(hello: Hello, room: &str) -> Hello {
    Hello {
        room: room.parse().unwrap(),
        ..hello
    }
}

/// Says hello as a member that takes its membership up again.
pub(crate) fn resume(hello: Hello, member: &Member, generation: u64) -> Hello {
    let token = member
        .welcome
        .resume
        .as_ref()
        .map(|resume| resume.token.clone());

    Hello {
        resume: token,
        generation,
        ..hello
    }
}
