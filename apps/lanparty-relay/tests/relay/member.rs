//! A member on the library that programs use, and nothing above it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::{
    Decoder, Disconnect, Hello, LeaveReason, MAX_ADMITTED, Message, Reject, Resume, Role, Welcome,
    encode,
};
use lanparty_net::{
    CloseCause, DEVELOPMENT_NAME, Endpoint, LinkEvent, LinkId, MemberSettings, Trust,
    member_socket, read_certificate,
};
use lanparty_proto::fragment::{first_half_len, fragment_header};
use lanparty_proto::{MacAddr, overlay};
use lanparty_queue::{Pace, TrafficClass};

use crate::process::Relay;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing must come for a member to be quiet.
const QUIET: Duration = Duration::from_millis(200);

/// One member and what it has heard.
#[derive(Debug)]
pub(crate) struct Member {
    endpoint: Endpoint,
    link: LinkId,
    decoder: Decoder,
    messages: Vec<Message>,
    datagrams: Vec<Bytes>,
    welcome: Option<Welcome>,
    is_connected: bool,
    cause: Option<CloseCause>,
}

/// An IPX frame.
pub(crate) fn frame(destination: MacAddr, source: MacAddr) -> Vec<u8> {
    let mut bytes = [&destination.0[..], &source.0, &[0x81, 0x37]].concat();
    bytes.resize(60, 0);
    bytes[14..18].copy_from_slice(&[0xff, 0xff, 0, 46]);

    bytes
}

impl Member {
    /// Connects and says nothing.
    pub(crate) fn connect(relay: &Relay) -> Self {
        Self::connect_to(relay, None)
    }

    fn connect_to(relay: &Relay, worker: Option<u8>) -> Self {
        let trust = Trust::Pinned(read_certificate(&relay.certificate()).unwrap());
        let settings = MemberSettings::new(DEVELOPMENT_NAME.into(), &trust, Pace::Auto).unwrap();
        let socket = member_socket(relay.address()).unwrap();
        let mut endpoint = Endpoint::member(socket, settings).unwrap();
        let link = endpoint
            .connect(relay.address(), worker, Instant::now())
            .unwrap();
        let mut member = Self {
            endpoint,
            link,
            decoder: Decoder::new(MAX_ADMITTED),
            messages: Vec::new(),
            datagrams: Vec::new(),
            welcome: None,
            is_connected: false,
            cause: None,
        };
        member.run_until(|member| member.is_connected);

        member
    }

    pub(crate) fn join(relay: &Relay, role: Role, room: &str, mac: Option<MacAddr>) -> Self {
        Self::try_join(relay, role, room, mac).unwrap()
    }

    pub(crate) fn try_join(
        relay: &Relay,
        role: Role,
        room: &str,
        mac: Option<MacAddr>,
    ) -> Result<Self, Reject> {
        Self::say_hello(relay, &hello(role, room, mac))
    }

    /// Joins as a client that takes datagrams of up to `budget` bytes.
    pub(crate) fn join_with_budget(relay: &Relay, room: &str, mac: MacAddr, budget: u16) -> Self {
        let hello = Hello {
            budget,
            ..hello(Role::Client, room, Some(mac))
        };

        Self::say_hello(relay, &hello).unwrap()
    }

    /// Joins as a client of a program that calls itself `program` and speaks `version`.
    pub(crate) fn try_join_named(
        relay: &Relay,
        program: &str,
        version: u16,
    ) -> Result<Self, Reject> {
        let hello = Hello {
            program: program.to_owned(),
            version,
            ..hello(Role::Client, "ROOM1", Some(MacAddr([2, 0, 0, 0, 0, 9])))
        };

        Self::say_hello(relay, &hello)
    }

    /// Takes up the membership that `welcome` gave.
    pub(crate) fn resume(relay: &Relay, room: &str, mac: MacAddr, welcome: &Welcome) -> Self {
        let token = welcome.resume.as_ref().map(|Resume { token, .. }| token);
        let hello = Hello {
            resume: token.cloned(),
            generation: 2,
            ..hello(Role::Client, room, Some(mac))
        };

        Self::say_hello(relay, &hello).unwrap()
    }

    fn say_hello(relay: &Relay, hello: &Hello) -> Result<Self, Reject> {
        let mut worker = None;
        loop {
            let mut member = Self::connect_to(relay, worker);
            member.send_control(&encode(&Message::Hello(hello.clone())));
            let answer = member.message(|message| {
                matches!(
                    message,
                    Message::Welcome(_) | Message::Reject(_) | Message::Redirect(_)
                )
            });
            if let Message::Redirect(redirect) = answer {
                assert_eq!(worker, None, "a redirect leads to the right worker");
                worker = Some(redirect.worker);
                continue;
            }
            if let Message::Reject(reject) = answer {
                return Err(reject);
            }
            if let Message::Welcome(welcome) = answer {
                member.welcome = Some(welcome);
            }

            return Ok(member);
        }
    }

    pub(crate) fn welcome(&self) -> &Welcome {
        self.welcome.as_ref().unwrap()
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        let datagram = self.datagram(frame);
        self.send_raw(&datagram);
    }

    /// Returns the datagram by which this member would send `frame`.
    pub(crate) fn datagram(&self, frame: &[u8]) -> Vec<u8> {
        self.framed(frame, false)
    }

    /// Sends `frame` as two fragments.
    pub(crate) fn send_halves(&mut self, frame: &[u8]) {
        let total = u16::try_from(frame.len()).unwrap();
        let (first, second) = frame.split_at(first_half_len(frame.len()));
        for (payload, is_second) in [(first, false), (second, true)] {
            let fragment = [&fragment_header(7, total, is_second)[..], payload].concat();
            let datagram = self.framed(&fragment, true);
            self.send_raw(&datagram);
        }
    }

    fn framed(&self, payload: &[u8], is_part: bool) -> Vec<u8> {
        let welcome = self.welcome();
        let length = u16::try_from(payload.len()).unwrap();
        let header = overlay::header(welcome.room, welcome.peer, is_part, length);

        [&header[..], payload].concat()
    }

    pub(crate) fn send_raw(&mut self, datagram: &[u8]) {
        let datagram = Bytes::copy_from_slice(datagram);
        let now = Instant::now();
        let queued = self
            .endpoint
            .queue(self.link, datagram, 0, TrafficClass::Normal, 0, now);
        assert_eq!(queued.overflow, 0, "the queue has room for a test");
        self.endpoint.flush(now);
    }

    pub(crate) fn send_control(&mut self, bytes: &[u8]) {
        assert!(self.endpoint.send_control(self.link, bytes.to_vec()));
        self.endpoint.flush(Instant::now());
    }

    /// Sends as much as the relay takes, and waits until it takes all of `bytes` or has closed the connection.
    pub(crate) fn insist(&mut self, bytes: &[u8]) {
        while !self.endpoint.send_control(self.link, bytes.to_vec()) && self.cause.is_none() {
            self.turn();
        }
        self.endpoint.flush(Instant::now());
    }

    /// Says goodbye, and waits for the end.
    pub(crate) fn leave(mut self) {
        let goodbye = Disconnect {
            reason: LeaveReason::Disconnect,
            message: String::new(),
        };
        self.send_control(&encode(&Message::Disconnect(goodbye)));
        self.end();
    }

    /// Waits for a message and takes it.
    pub(crate) fn message(&mut self, is_it: impl Fn(&Message) -> bool) -> Message {
        self.run_until(|member| member.messages.iter().any(&is_it));
        let at = self.messages.iter().position(is_it).unwrap();

        self.messages.remove(at)
    }

    /// Returns how many such messages have come.
    pub(crate) fn count(&self, is_it: impl Fn(&Message) -> bool) -> usize {
        self.messages
            .iter()
            .filter(|message| is_it(message))
            .count()
    }

    /// Returns whether such a message has come.
    pub(crate) fn has(&self, is_it: impl Fn(&Message) -> bool) -> bool {
        self.messages.iter().any(is_it)
    }

    /// Waits for a frame and takes it.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        self.run_until(|member| !member.datagrams.is_empty());

        self.datagrams.remove(0)[overlay::HEADER_LEN..].to_vec()
    }

    /// Waits for the end and returns its cause.
    pub(crate) fn end(&mut self) -> CloseCause {
        self.run_until(|member| member.cause.is_some());

        self.cause.clone().unwrap()
    }

    /// Returns whether no frame comes.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let until = Instant::now() + QUIET;
        while Instant::now() < until {
            self.turn();
        }

        self.datagrams.is_empty()
    }

    fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.turn();
            if is_done(self) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "nothing came; messages: {:?}, cause: {:?}",
                self.messages,
                self.cause
            );
        }
    }

    /// Reads what has come, acknowledgements of what it sent among it, and sends what is due.
    pub(crate) fn turn(&mut self) {
        std::thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        while self.endpoint.receive(now) {}
        self.endpoint.handle_timeout(now);
        self.endpoint.flush(now);
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                LinkEvent::Connected { .. } => self.is_connected = true,
                LinkEvent::Control { bytes, .. } => self.decoder.push(&bytes),
                LinkEvent::Budget { .. } => {}
                LinkEvent::Closed { cause, .. } => self.cause = Some(cause),
            }
            while let Some(message) = self.decoder.poll_message().unwrap() {
                self.messages.push(message);
            }
        }
        while let Some((_, datagram)) = self.endpoint.poll_datagram() {
            self.datagrams.push(datagram);
        }
        self.endpoint.flush(now);
    }
}

fn hello(role: Role, room: &str, mac: Option<MacAddr>) -> Hello {
    Hello {
        role,
        room: room.parse().unwrap(),
        ..lanparty_samples::hello(mac)
    }
}
