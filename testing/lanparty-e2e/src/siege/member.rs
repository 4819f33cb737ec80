//! A member that does what a program never would.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use lanparty_ctrl::{Decoder, Hello, MAX_ADMITTED, Message, Role, Welcome, encode};
use lanparty_net::{
    CloseCause, DEVELOPMENT_NAME, Endpoint, LinkEvent, LinkId, MemberSettings, Trust,
    read_certificate,
};
use lanparty_proto::{MacAddr, overlay};
use lanparty_queue::{Pace, TrafficClass};
use lanparty_samples::hello;

use crate::bed::Bed;
use crate::program::RELAY_PORT;

use super::{PATIENCE, Relay, bound};

/// One connection to a relay.
#[derive(Debug)]
pub struct Member {
    endpoint: Endpoint,
    link: LinkId,
    decoder: Decoder,
    messages: Vec<Message>,
    datagrams: Vec<Bytes>,
    welcome: Option<Welcome>,
    cause: Option<CloseCause>,
    is_connected: bool,
}

/// Returns what a member must know about the relay.
pub(super) fn settings(relay: &Relay) -> Result<MemberSettings> {
    settings_by(relay.certificate())
}

fn settings_by(certificate: &[u8]) -> Result<MemberSettings> {
    let trust = Trust::Pinned(read_certificate(certificate)?);

    Ok(MemberSettings::new(
        DEVELOPMENT_NAME.into(),
        &trust,
        Pace::Off,
    )?)
}

/// Builds an IPX frame, which the safety policy lets pass.
pub(super) fn ipx(destination: MacAddr, source: MacAddr) -> Vec<u8> {
    let packet = crate::frames::ipx(destination.0, source.0, b"siege");

    crate::frames::ethernet(destination.0, source.0, 0x8137, &packet)
}

impl Member {
    /// Starts a connection to the relay from an address.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be used.
    pub fn dial(relay: &Relay, from: Ipv4Addr) -> Result<Self> {
        Self::dial_to(relay, relay.address(), from)
    }

    /// Starts a connection that believes `to` to be the relay.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be used.
    pub fn dial_to(relay: &Relay, to: SocketAddr, from: Ipv4Addr) -> Result<Self> {
        Self::dial_worker(settings(relay)?, to, from, None)
    }

    fn dial_worker(
        settings: MemberSettings,
        to: SocketAddr,
        from: Ipv4Addr,
        worker: Option<u8>,
    ) -> Result<Self> {
        let socket = UdpSocket::bind(bound(from)).context("no such address on loopback")?;

        Self::dial_by(socket, settings, to, worker)
    }

    fn dial_by(
        socket: UdpSocket,
        settings: MemberSettings,
        to: SocketAddr,
        worker: Option<u8>,
    ) -> Result<Self> {
        let mut endpoint = Endpoint::member(socket, settings)?;
        let link = endpoint.connect(to, worker, Instant::now())?;

        Ok(Self {
            endpoint,
            link,
            decoder: Decoder::new(MAX_ADMITTED),
            messages: Vec::new(),
            datagrams: Vec::new(),
            welcome: None,
            cause: None,
            is_connected: false,
        })
    }

    /// Joins a room.
    ///
    /// # Errors
    ///
    /// Returns an error if the relay does not let it in.
    pub fn join(
        relay: &Relay,
        from: Ipv4Addr,
        role: Role,
        room: &str,
        mac: Option<MacAddr>,
    ) -> Result<Self> {
        Self::join_with(relay, &settings(relay)?, None, from, role, room, mac)
    }

    /// Joins a room, which is kept by this worker if it is a new one.
    ///
    /// # Errors
    ///
    /// Returns an error if the relay does not let it in.
    pub fn join_at(
        relay: &Relay,
        worker: u8,
        from: Ipv4Addr,
        room: &str,
        mac: MacAddr,
    ) -> Result<Self> {
        let settings = settings(relay)?;

        Self::join_with(
            relay,
            &settings,
            Some(worker),
            from,
            Role::Client,
            room,
            Some(mac),
        )
    }

    /// Joins a room as somebody whom the relay may know: clones of settings share what it gave to come back with.
    ///
    /// # Errors
    ///
    /// Returns an error if the relay does not let it in.
    pub fn join_with(
        relay: &Relay,
        settings: &MemberSettings,
        worker: Option<u8>,
        from: Ipv4Addr,
        role: Role,
        room: &str,
        mac: Option<MacAddr>,
    ) -> Result<Self> {
        let dial = |worker| Self::dial_worker(settings.clone(), relay.address(), from, worker);

        Self::join_by(dial, worker, role, room, mac)
    }

    /// Joins a room as a client on remote PC `n` of a bed, where no TAP and no program of ours is in its way.
    ///
    /// # Errors
    ///
    /// Returns an error if the relay does not let it in.
    pub fn join_from(bed: &Bed, n: usize, room: &str, mac: MacAddr) -> Result<Self> {
        let settings = settings_by(&std::fs::read(bed.certificate())?)?;
        let remote = bed.remote(n);
        let dial = |worker| {
            let socket = remote.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
            let relay = Bed::relay_address(RELAY_PORT);

            Self::dial_by(socket, settings.clone(), relay, worker)
        };

        Self::join_by(dial, None, Role::Client, room, Some(mac))
    }

    fn join_by(
        dial: impl Fn(Option<u8>) -> Result<Self>,
        mut worker: Option<u8>,
        role: Role,
        room: &str,
        mac: Option<MacAddr>,
    ) -> Result<Self> {
        let hello = Hello {
            role,
            room: room.parse()?,
            program: "siege".into(),
            ..hello(mac)
        };
        loop {
            let mut member = dial(worker)?;
            member.wait(|member| member.is_connected)?;
            let hello = encode(&Message::Hello(hello.clone()));
            member.endpoint.send_control(member.link, hello);
            let answer = member.answer()?;
            if let Message::Redirect(redirect) = answer {
                worker = Some(redirect.worker);
                continue;
            }
            let Message::Welcome(welcome) = answer else {
                bail!("not let in: {answer:?}");
            };
            member.welcome = Some(welcome);

            return Ok(member);
        }
    }

    fn answer(&mut self) -> Result<Message> {
        self.wait(|member| !member.messages.is_empty())?;

        Ok(self.messages.remove(0))
    }

    fn wait(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_done(self) {
            if let Some(cause) = &self.cause {
                bail!("ended: {cause:?}");
            }
            if start.elapsed() > PATIENCE {
                bail!("no answer in {PATIENCE:?}");
            }
            self.turn(Duration::from_millis(1))?;
        }

        Ok(())
    }

    /// Returns the true header of a datagram with `len` bytes of payload.
    pub(super) fn header(&self, len: usize) -> [u8; overlay::HEADER_LEN] {
        let welcome = self.welcome.as_ref().expect("it has joined");
        let len = u16::try_from(len).expect("a frame is short");

        overlay::header(welcome.room, welcome.peer, false, len)
    }

    /// Sends a frame as programs do.
    pub fn send(&mut self, frame: &[u8]) {
        let datagram = [&self.header(frame.len())[..], frame].concat();
        self.send_raw(&datagram);
    }

    /// Sends a datagram as it is.
    pub fn send_raw(&mut self, datagram: &[u8]) {
        self.queue(datagram);
        self.endpoint.flush(Instant::now());
    }

    /// Puts a datagram into the queue.
    pub(super) fn queue(&mut self, datagram: &[u8]) {
        let datagram = Bytes::copy_from_slice(datagram);
        let now = Instant::now();
        // An attacker does not care what its own queue drops; it counts what it tried.
        let _dropped = self
            .endpoint
            .queue(self.link, datagram, 0, TrafficClass::Normal, 0, now);
    }

    /// Returns whether nothing that was queued waits for the socket.
    pub(super) const fn is_drained(&self) -> bool {
        !self.endpoint.wants_write()
    }

    /// Takes a datagram that came.
    pub fn take_datagram(&mut self) -> Option<Bytes> {
        self.datagrams.pop()
    }

    /// Returns why the connection ended, if it did.
    pub const fn cause(&self) -> Option<&CloseCause> {
        self.cause.as_ref()
    }

    /// Returns whether it was told to go, or its connection ended.
    pub(super) fn is_shown_out(&self) -> bool {
        let goodbye = |message: &Message| matches!(message, Message::Disconnect(_));

        self.cause.is_some() || self.messages.iter().any(goodbye)
    }

    /// Waits for a packet for at most `patience`, and does what is due.
    ///
    /// # Errors
    ///
    /// Returns an error if the relay sends what is no control message.
    pub fn turn(&mut self, patience: Duration) -> Result<()> {
        if !patience.is_zero() {
            let timeout = rustix::time::Timespec::try_from(patience)?;
            let mut fds = [rustix::event::PollFd::new(
                self.endpoint.socket(),
                rustix::event::PollFlags::IN,
            )];
            rustix::event::poll(&mut fds, Some(&timeout))?;
        }
        let now = Instant::now();
        while self.endpoint.receive(now) {}
        self.endpoint.handle_timeout(now);
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                LinkEvent::Connected { .. } => self.is_connected = true,
                LinkEvent::Budget { .. } => {}
                LinkEvent::Control { bytes, .. } => self.decoder.push(&bytes),
                LinkEvent::Closed { cause, .. } => self.cause = Some(cause),
            }
            while let Some(message) = self.decoder.poll_message()? {
                self.messages.push(message);
            }
        }
        while let Some((_, datagram)) = self.endpoint.poll_datagram() {
            self.datagrams.push(datagram);
        }
        self.endpoint.flush(now);

        Ok(())
    }
}
