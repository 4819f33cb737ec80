//! What every test starts from.

use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Decoder, Hello, MAX_ADMITTED, Message, Mode, PeerInfo, Reject, RejectCode, Resume, Role,
    Welcome, encode,
};
use lanparty_proto::{MacAddr, PeerId, RoomId};
use lanparty_session::{
    ConnectionError, ConnectionId, EndKind, JoinInfo, Output, Session, SessionConfig, Standby,
};

pub(crate) const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

pub(crate) const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

pub(crate) const RTT: Duration = Duration::from_millis(20);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Bench {
    pub(crate) session: Session,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Self::config())
    }

    /// A gateway that may stand by.
    pub(crate) fn gateway(standby: Standby) -> Self {
        Self::with(SessionConfig {
            role: Role::Gateway,
            mac: None,
            standby,
            ..Self::config()
        })
    }

    pub(crate) fn config() -> SessionConfig {
        SessionConfig {
            relay: "relay.example:443".into(),
            role: Role::Client,
            room: "PARTY".parse().unwrap(),
            mac: Some(MAC),
            interface: "softlan0".into(),
            budget: 1600,
            full_frame: true,
            down_rate: None,
            program: "test".into(),
            program_version: "1".into(),
            generation: 100,
            resume: None,
            standby: Standby::Never,
            instance: 0x5eed,
            seed: 7,
        }
    }

    pub(crate) fn with(config: SessionConfig) -> Self {
        let mut bench = Self {
            session: Session::new(config),
            now: Instant::now(),
        };
        bench.session.start(bench.now);

        bench
    }

    /// A session that has joined on its first attempt.
    pub(crate) fn joined() -> (Self, ConnectionId) {
        let mut bench = Self::new();
        let attempt = connect(&bench.outputs()).unwrap();
        bench.connected(attempt);
        bench.outputs();
        bench.say(attempt, Message::Welcome(welcome(5)));
        bench.outputs();

        (bench, attempt)
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    pub(crate) fn connected(&mut self, attempt: ConnectionId) {
        self.session.handle_connected(attempt, 1400, RTT, self.now);
    }

    pub(crate) fn say(&mut self, attempt: ConnectionId, message: Message) {
        self.session
            .handle_control(attempt, &encode(&message), self.now);
    }

    pub(crate) fn closed(&mut self, attempt: ConnectionId, cause: ConnectionError) {
        self.session.handle_closed(attempt, cause, self.now);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// Lets time pass until the session's next deadline, or for a second if that is sooner.
    pub(crate) fn tick(&mut self) {
        let second = self.now + SECOND;
        let next = self.session.poll_timeout().unwrap_or(second);
        self.now = next.clamp(self.now, second);
        self.session.handle_timeout(self.now);
    }

    /// Lets time pass until the session wants to connect, answering nothing.
    pub(crate) fn next_attempt(&mut self) -> ConnectionId {
        for _ in 0..100 {
            if let Some(attempt) = connect(&self.outputs()) {
                return attempt;
            }
            self.now = self.session.poll_timeout().unwrap();
            self.session.handle_timeout(self.now);
        }
        panic!("the session wants no connection");
    }
}

pub(crate) fn connect(outputs: &[Output]) -> Option<ConnectionId> {
    outputs.iter().find_map(|output| match output {
        Output::Connect { id, .. } => Some(*id),
        _ => None,
    })
}

pub(crate) fn joins(outputs: &[Output]) -> Option<JoinInfo> {
    outputs.iter().find_map(|output| match output {
        Output::Joined(info) => Some(info.clone()),
        _ => None,
    })
}

pub(crate) fn end(outputs: &[Output]) -> Option<(EndKind, String)> {
    outputs.iter().find_map(|output| match output {
        Output::Ended(end) => Some((end.kind, end.sentence.clone())),
        _ => None,
    })
}

pub(crate) fn sent(outputs: &[Output]) -> Vec<Message> {
    let mut decoder = Decoder::new(MAX_ADMITTED);
    for output in outputs {
        if let Output::Send { bytes, .. } = output {
            decoder.push(bytes);
        }
    }

    std::iter::from_fn(|| decoder.poll_message().unwrap()).collect()
}

pub(crate) fn hello(outputs: &[Output]) -> Hello {
    match sent(outputs).into_iter().next() {
        Some(Message::Hello(hello)) => hello,
        other => panic!("no hello but {other:?}"),
    }
}

pub(crate) fn lines(outputs: &[Output]) -> Vec<String> {
    let lines = outputs.iter().filter_map(|output| match output {
        Output::Status(line) => Some(line.to_string()),
        _ => None,
    });

    lines.collect()
}

pub(crate) fn welcome(peer: u16) -> Welcome {
    Welcome {
        peer: PeerId(peer),
        room: RoomId(9),
        mtu: 1500,
        mode: Mode::Full,
        budget: 1500,
        gateway: true,
        resume: Some(Resume {
            token: "token".into(),
            seconds: 60,
        }),
        relay_version: String::new(),
    }
}

pub(crate) fn client(peer: u16, mac: MacAddr) -> Message {
    Message::PeerJoined(PeerInfo {
        peer: PeerId(peer),
        role: Role::Client,
        mac: Some(mac),
    })
}

pub(crate) fn reject(code: RejectCode) -> Message {
    Message::Reject(Reject {
        code,
        message: "the sentence".into(),
    })
}

pub(crate) fn said(outputs: &[Output], to: ConnectionId) -> Vec<Message> {
    let mut decoder = Decoder::new(MAX_ADMITTED);
    for output in outputs {
        match output {
            Output::Send { id, bytes } if *id == to => decoder.push(bytes),
            _ => {}
        }
    }

    std::iter::from_fn(|| decoder.poll_message().unwrap()).collect()
}
