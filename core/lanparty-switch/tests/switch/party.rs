//! A switch, a clock and what was sent.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_ctrl::{Hello, LeaveReason, Message, RejectCode, Welcome};
use lanparty_obs::DropReason;
use lanparty_proto::fragment::{first_half_len, fragment_header};
use lanparty_proto::{MacAddr, overlay};
use lanparty_samples::hello;
use lanparty_switch::{
    ConnId, Fit, Joiner, Limits, MAX_BUDGET, Membership, Output, Switch, Verdict,
};

pub(crate) const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
pub(crate) const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
pub(crate) const C: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xc]);
pub(crate) const SERVER: MacAddr = MacAddr([0, 0x11, 0x22, 0x33, 0x44, 0x55]);
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A switch, a clock and what was sent, in order.
pub(crate) struct Party {
    pub(crate) switch: Switch,
    pub(crate) now: Instant,
    pub(crate) conns: u64,
    pub(crate) sent: Vec<(ConnId, Message)>,
    pub(crate) closed: Vec<(ConnId, LeaveReason)>,
    pub(crate) superseded: Vec<ConnId>,
    pub(crate) blocked: Vec<(MacAddr, Duration)>,
}

/// A member as its connection sees it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) at: Membership,
    pub(crate) conn: ConnId,
    pub(crate) welcome: Welcome,
}

impl Party {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            switch: Switch::new(limits, 0),
            now: Instant::now(),
            conns: 0,
            sent: Vec::new(),
            closed: Vec::new(),
            superseded: Vec::new(),
            blocked: Vec::new(),
        }
    }

    pub(crate) fn try_join(&mut self, hello: &Hello, budget: usize) -> Result<Member, RejectCode> {
        self.conns += 1;
        let conn = ConnId(self.conns);
        let joiner = Joiner {
            conn,
            budget,
            origin: HOME,
            token: u128::from(self.conns).to_be_bytes(),
        };
        let before = self.sent.len();
        let joined = self.switch.handle_hello(joiner, hello, self.now);
        self.drain();
        let at = joined.map_err(|reject| {
            assert!(!reject.message.is_empty());
            reject.code
        })?;
        let welcome = self.sent[before..]
            .iter()
            .find_map(|(to, message)| match message {
                Message::Welcome(welcome) if *to == conn => Some(welcome.clone()),
                _ => None,
            });

        Ok(Member {
            at,
            conn,
            welcome: welcome.unwrap(),
        })
    }

    pub(crate) fn join(&mut self, hello: &Hello) -> Member {
        self.try_join(hello, MAX_BUDGET).unwrap()
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { conn, message } => self.sent.push((conn, message)),
                Output::Close { conn, reason, .. } => self.closed.push((conn, reason)),
                Output::Superseded { conn } => self.superseded.push(conn),
                Output::Blocked { mac, lasting, .. } => self.blocked.push((mac, lasting)),
                Output::RoomGone(_) => {}
            }
        }
    }

    /// Returns who gets `frame` of `from`, or why nobody does.
    pub(crate) fn send(&mut self, from: &Member, frame: &[u8]) -> Result<Vec<ConnId>, DropReason> {
        self.send_raw(from, &datagram(from, frame))
    }

    pub(crate) fn send_raw(
        &mut self,
        from: &Member,
        datagram: &[u8],
    ) -> Result<Vec<ConnId>, DropReason> {
        let verdict = self.switch.handle_datagram(from.at, datagram, self.now);
        let result = match verdict {
            Verdict::Drop(dropped) => Err(dropped.reason),
            Verdict::Hold => Ok(Vec::new()),
            Verdict::Forward(forward) => Ok(forward
                .targets()
                .iter()
                .filter(|target| target.fit != Fit::TooLarge)
                .map(|target| target.conn)
                .collect()),
        };
        self.drain();

        result
    }

    /// Returns what was sent since the last call, to whom.
    pub(crate) fn news(&mut self) -> Vec<(ConnId, Message)> {
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.switch.handle_timeout(self.now);
        self.drain();
    }
}

pub(crate) fn client(mac: MacAddr) -> Hello {
    Hello {
        budget: u16::MAX,
        ..hello(Some(mac))
    }
}

pub(crate) fn gateway() -> Hello {
    Hello {
        budget: u16::MAX,
        ..hello(None)
    }
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

/// An IPX frame: the policy lets it pass in both directions and looks no deeper.
pub(crate) fn frame(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    let mut bytes = [&destination.0[..], &source.0, &[0x81, 0x37]].concat();
    bytes.resize(len, 0);
    bytes[14..16].copy_from_slice(&[0xff; 2]);
    let ipx_length = u16::try_from(len - 14).unwrap().to_be_bytes();
    bytes[16..18].copy_from_slice(&ipx_length);

    bytes
}

pub(crate) fn datagram(from: &Member, payload: &[u8]) -> Vec<u8> {
    framed(from, payload, false)
}

pub(crate) fn framed(from: &Member, payload: &[u8], is_part: bool) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let header = overlay::header(from.welcome.room, from.welcome.peer, is_part, length);

    [&header[..], payload].concat()
}

pub(crate) fn fragments(from: &Member, frame: &[u8], sequence: u32) -> [Vec<u8>; 2] {
    let total = u16::try_from(frame.len()).unwrap();
    let (first, second) = frame.split_at(first_half_len(frame.len()));
    let fragment = |payload: &[u8], is_second| {
        framed(
            from,
            &[&fragment_header(sequence, total, is_second)[..], payload].concat(),
            true,
        )
    };

    [fragment(first, false), fragment(second, true)]
}

pub(crate) fn defaults() -> Party {
    Party::new(Limits::default())
}

pub(crate) fn resume(hello: Hello, member: &Member, generation: u64) -> Hello {
    Hello {
        resume: member.welcome.resume.clone().map(|resume| resume.token),
        generation,
        ..hello
    }
}
