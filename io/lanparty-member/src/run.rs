//! One turn after another.
//!
//! A turn: wait; read the clock once; drain the UDP sockets; hand events, then datagrams, to session and data path; drain
//! the port; run timers; send. What a turn reads leaves in the same turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanparty_client_core::{Attempt, Cause, DataPath, End, JoinInfo, Outbox, Output, Session};
use lanparty_ctrl::{Stats, close_code};
use lanparty_net::{CloseCause, LinkEvent, MemberSettings, RelayAddress};
use lanparty_obs::{DropReason, Drops, StatusLine};
use lanparty_offload::coalesce::{CoalesceOptions, Coalescer};

use crate::dial::{Lines, MAX_LINES};
use crate::mailbox::{Command, Handle, Mailbox, mailbox};
use crate::port::{Port, PortError, Socket};

/// How many batches a turn reads from one side before the other has its turn. A batch is at most 1 MiB from the network.
const BATCHES_PER_TURN: usize = 4;

/// How often the loop looks whether the relay is still heard, and asks it for a sign of life if not.
const SILENCE_CHECK: Duration = Duration::from_millis(500);

/// How long an outage may be before the port goes down: shorter ones leave games their address and sockets.
const PORT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a leaving member waits for its last words to leave.
const LEAVE_GRACE: Duration = Duration::from_millis(300);

/// What a member needs to run.
pub struct Config {
    /// How links to the relay are made.
    pub settings: MemberSettings,
    /// The relay as the person wrote it, to be resolved again when it is out of reach.
    pub relay: RelayAddress,
    /// The addresses it stands for now.
    pub addresses: Vec<SocketAddr>,
    /// The control plane.
    pub session: Session,
    /// Told everything that a person should see; must not block.
    pub status: Box<dyn FnMut(&StatusLine) + Send>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

/// What the loop itself drops, between queue, link and port.
#[derive(Debug, Default)]
struct LoopDrops {
    up: Drops,
    down: Drops,
}

/// A member of a room: everything that one thread owns.
#[derive(Debug)]
pub struct Member<P, D> {
    config: Config,
    lines: Lines,
    port: P,
    path: D,
    mailbox: Mailbox,
    handle: Handle,
    outbox: Outbox,
    coalescer: Coalescer,
    drops: LoopDrops,
    joined: Option<JoinInfo>,
    end: Option<End>,
    /// Since when there is no place; the port goes down when that takes too long.
    away_since: Option<Instant>,
    next_check: Instant,
    has_dialled: bool,
}

impl<P: Port, D: DataPath> Member<P, D> {
    /// Makes a member and the handle by which other threads reach it; `wake` must end [`Port::wait`].
    pub fn new(
        config: Config,
        port: P,
        path: D,
        wake: Arc<dyn Fn() + Send + Sync>,
        now: Instant,
    ) -> (Self, Handle) {
        let (handle, mailbox) = mailbox(wake);
        let lines = Lines::new(config.settings.clone(), config.addresses.clone());
        let member = Self {
            config,
            lines,
            port,
            path,
            mailbox,
            handle: handle.clone(),
            outbox: Outbox::default(),
            coalescer: Coalescer::new(CoalesceOptions::default()),
            drops: LoopDrops::default(),
            joined: None,
            end: None,
            away_since: None,
            next_check: now,
            has_dialled: false,
        };

        (member, handle)
    }

    /// Runs until the session is over, and gives back the port so that it can be undone.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is gone for good.
    pub fn run(mut self) -> (Result<End, PortError>, P) {
        let result = self.turns();

        (result, self.port)
    }

    fn turns(&mut self) -> Result<End, PortError> {
        let now = Instant::now();
        self.config.session.start(now);
        self.obey(now)?;
        loop {
            if let Some(end) = self.end.take() {
                self.linger();
                return Ok(end);
            }
            self.turn()?;
        }
    }

    fn turn(&mut self) -> Result<(), PortError> {
        self.wait()?;
        let now = Instant::now();
        self.read_mailbox(now);
        self.read_network(now)?;
        self.read_port(now)?;
        self.run_timers(now)?;
        self.send(now);
        self.lines.sweep();

        Ok(())
    }

    fn wait(&mut self) -> Result<(), PortError> {
        let deadlines = [
            self.lines.poll_timeout(),
            self.config.session.poll_timeout(),
            self.path.poll_timeout(),
            Some(self.next_check),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let mut sockets = self.lines.open.iter().map(|line| Socket {
            udp: line.endpoint.socket(),
            wants_write: line.endpoint.wants_write(),
        });
        let sockets: [Option<Socket<'_>>; MAX_LINES] = std::array::from_fn(|_| sockets.next());

        self.port.wait(&sockets, deadline)
    }

    fn read_mailbox(&mut self, now: Instant) {
        while let Ok(command) = self.mailbox.0.try_recv() {
            match command {
                Command::Leave => self.config.session.leave(now),
                Command::Resolved(addresses) => {
                    self.port.handle_relay(&addresses);
                    self.lines.set_addresses(addresses);
                }
                Command::NetworkChanged => {
                    for line in &mut self.lines.open {
                        line.endpoint.handle_network_change(now);
                    }
                }
            }
        }
    }

    /// Drains every socket; events go before datagrams, so that a member is known before its first frame.
    fn read_network(&mut self, now: Instant) -> Result<(), PortError> {
        for index in 0..self.lines.open.len() {
            for _ in 0..BATCHES_PER_TURN {
                let Some(line) = self.lines.open.get_mut(index) else {
                    break;
                };
                let has_more = line.endpoint.receive(now);
                self.read_events(index, now);
                self.obey(now)?;
                self.read_datagrams(index, now);
                self.deliver();
                if !has_more {
                    break;
                }
            }
        }

        Ok(())
    }

    fn read_events(&mut self, index: usize, now: Instant) {
        while let Some(line) = self.lines.open.get_mut(index) {
            let (id, attempt) = (line.id, line.attempt);
            match line.endpoint.poll_event() {
                None => return,
                Some(LinkEvent::Connected { link }) => {
                    let facts = line.endpoint.facts(link);
                    if let (Some(attempt), Some(facts)) =
                        (self.lines.handle_connected(id, now), facts)
                    {
                        self.config
                            .session
                            .handle_connected(attempt, facts.budget, facts.rtt, now);
                    }
                }
                Some(LinkEvent::Control { bytes, .. }) => {
                    self.config.session.handle_control(attempt, &bytes, now);
                }
                Some(LinkEvent::Budget { budget, .. }) => {
                    self.config.session.handle_budget(attempt, budget, now);
                }
                Some(LinkEvent::Closed { cause, .. }) => {
                    if let Some(attempt) = self.lines.handle_closed(id, now) {
                        self.config
                            .session
                            .handle_closed(attempt, cause_of(cause), now);
                    }
                }
            }
        }
    }

    fn read_datagrams(&mut self, index: usize, now: Instant) {
        let Some(line) = self.lines.open.get_mut(index) else {
            return;
        };
        let is_ours = self
            .joined
            .as_ref()
            .is_some_and(|joined| joined.attempt == line.attempt);
        while let Some((_, datagram)) = line.endpoint.poll_datagram() {
            if is_ours {
                self.path.handle_datagram(&datagram, now, &mut self.outbox);
            }
        }
    }

    /// Hands what is for this machine to the port, consecutive segments of a flow as one super-frame.
    fn deliver(&mut self) {
        if self.outbox.local.is_empty() {
            return;
        }
        for frame in self.outbox.local.drain(..) {
            self.coalescer.push(frame);
        }
        let mut refused = 0_u64;
        let port = &mut self.port;
        self.coalescer.flush(|out| {
            if !port.send(&out.vnet, out.pieces) {
                refused += 1;
            }
        });
        refused += self.port.flush();
        self.drops.down.add_many(DropReason::PortBusy, refused);
    }

    /// Drains the port, at most a few batches; each leaves before the next is read.
    fn read_port(&mut self, now: Instant) -> Result<(), PortError> {
        for _ in 0..BATCHES_PER_TURN {
            let count = self.port.receive()?;
            if count == 0 {
                break;
            }
            let budget = self.config.session.budget();
            for index in 0..count {
                if let Some((vnet, frame)) = self.port.received(index) {
                    self.path
                        .handle_local(vnet, frame, budget, now, &mut self.outbox);
                }
            }
            self.forward(now);
            self.deliver();
        }

        Ok(())
    }

    /// Puts what is for the relay into the link's queue, and sends what may go.
    fn forward(&mut self, now: Instant) {
        if self.outbox.up.is_empty() {
            return;
        }
        let attempt = self.joined.as_ref().map(|joined| joined.attempt);
        let Some(line) = attempt.and_then(|attempt| self.lines.connected(attempt)) else {
            let count = u64::try_from(self.outbox.up.len()).unwrap_or(u64::MAX);
            self.drops.up.add_many(DropReason::NotJoined, count);
            self.outbox.up.clear();
            return;
        };
        let mut overflow = 0_u64;
        for (datagram, flow) in self.outbox.up.drain(..) {
            let queued = line
                .endpoint
                .queue(line.link, datagram, flow.id, flow.class, 0, now);
            overflow += u64::from(queued.overflow);
        }
        line.endpoint.flush(now);
        self.drops.up.add_many(DropReason::QueueFull, overflow);
    }
}

impl<P: Port, D: DataPath> Member<P, D> {
    /// Carries out what the session asks for.
    fn obey(&mut self, now: Instant) -> Result<(), PortError> {
        while let Some(output) = self.config.session.poll_output() {
            self.path.handle_session(&output, now, &mut self.outbox);
            match output {
                Output::Connect { attempt, worker } => self.dial(attempt, worker, now),
                Output::Send { attempt, bytes } => self.send_control(attempt, bytes, now),
                Output::Close {
                    attempt,
                    code,
                    reason,
                } => self.lines.close(attempt, code, reason, now),
                Output::Joined(info) => {
                    self.port.handle_joined(&info)?;
                    self.away_since = None;
                    self.joined = Some(info);
                }
                Output::Detached => {
                    self.joined = None;
                    self.away_since = Some(now);
                }
                Output::PeerJoined(_)
                | Output::PeerLeft(..)
                | Output::PeerDetached(_)
                | Output::PeerResumed(_) => {}
                Output::Status(line) => (self.config.status)(&line),
                Output::Ended(end) => self.end = Some(end),
            }
        }
        if let Some(remotes) = self.path.take_remotes() {
            self.port.handle_remotes(&remotes);
        }

        Ok(())
    }

    /// Begins an attempt at the addresses known, and asks for newer ones beside it unless it is the first.
    fn dial(&mut self, attempt: Attempt, worker: Option<u8>, now: Instant) {
        self.lines.dial(attempt, worker, now);
        if !std::mem::replace(&mut self.has_dialled, true) {
            return;
        }
        let (relay, handle) = (self.config.relay.clone(), self.handle.clone());
        // The system's resolver blocks for seconds while there is no network. The thread ends with its one answer.
        let _detached = std::thread::Builder::new()
            .name("resolve".to_owned())
            .spawn(move || match relay.resolve() {
                Ok(addresses) => drop(handle.send(Command::Resolved(addresses))),
                Err(error) => tracing::debug!(%error, "the relay's name cannot be resolved now"),
            });
    }

    fn send_control(&mut self, attempt: Attempt, bytes: Vec<u8>, now: Instant) {
        let Some(line) = self.lines.connected(attempt) else {
            return;
        };
        if !line.endpoint.send_control(line.link, bytes) {
            self.lines.close(
                attempt,
                close_code::PROTOCOL,
                "the relay does not read",
                now,
            );
            self.config
                .session
                .handle_closed(attempt, Cause::ControlEnded, now);
        }
    }

    fn run_timers(&mut self, now: Instant) -> Result<(), PortError> {
        for (attempt, cause) in self.lines.handle_timeout(now) {
            self.config
                .session
                .handle_closed(attempt, cause_of(cause), now);
        }
        if self.next_check <= now {
            self.next_check = now + SILENCE_CHECK;
            self.check_silence(now);
            self.check_away(now);
            let stats = self.stats();
            self.config.session.handle_stats(stats, now);
        }
        self.config.session.handle_timeout(now);
        self.path.handle_timeout(now, &mut self.outbox);
        self.obey(now)?;
        self.forward(now);
        self.deliver();

        Ok(())
    }

    /// Tells the session how long the relay has been silent, and asks it for a sign of life.
    fn check_silence(&mut self, now: Instant) {
        for line in self
            .lines
            .open
            .iter_mut()
            .filter(|line| line.is_connected && !line.is_closing)
        {
            let Some(facts) = line.endpoint.facts(line.link) else {
                continue;
            };
            let silence = now.saturating_duration_since(facts.last_heard);
            if silence >= SILENCE_CHECK {
                line.endpoint.ping(line.link);
                self.config
                    .session
                    .handle_silence(line.attempt, silence, now);
            }
        }
    }

    /// Takes the port down once an outage is so long that games are better told.
    fn check_away(&mut self, now: Instant) {
        if self
            .away_since
            .is_some_and(|since| now.saturating_duration_since(since) >= PORT_PATIENCE)
        {
            self.away_since = None;
            self.port.handle_away();
        }
    }

    fn stats(&mut self) -> Stats {
        let counters = self.path.counters();
        let mut drops = counters.drops_up.clone();
        for more in [&counters.drops_down, &self.drops.up, &self.drops.down] {
            drops.merge(more);
        }
        let attempt = self.joined.as_ref().map(|joined| joined.attempt);
        let facts = attempt.and_then(|attempt| {
            let line = self.lines.connected(attempt)?;
            line.endpoint.facts(line.link)
        });
        let counters = self.path.counters();

        Stats {
            frames_up: counters.up.frames,
            bytes_up: counters.up.bytes,
            frames_down: counters.down.frames,
            bytes_down: counters.down.bytes,
            rtt_us: facts.map_or(0, |facts| {
                u64::try_from(facts.rtt.as_micros()).unwrap_or(u64::MAX)
            }),
            budget: facts.map_or(0, |facts| u16::try_from(facts.budget).unwrap_or(u16::MAX)),
            drops: drops
                .iter()
                .map(|(reason, count)| (reason.as_str().to_owned(), count))
                .collect(),
        }
    }

    fn send(&mut self, now: Instant) {
        for line in &mut self.lines.open {
            line.endpoint.flush(now);
        }
    }

    /// Gives the last words a moment to leave, if the socket did not take them at once.
    fn linger(&mut self) {
        let end = Instant::now() + LEAVE_GRACE;
        while self
            .lines
            .open
            .iter()
            .any(|line| line.endpoint.wants_write())
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(10));
            self.send(Instant::now());
        }
    }
}

fn cause_of(cause: CloseCause) -> Cause {
    match cause {
        CloseCause::TimedOut => Cause::TimedOut,
        CloseCause::Reset => Cause::Reset,
        CloseCause::Certificate(text) => Cause::Certificate(text),
        CloseCause::Application { code, text } => Cause::Closed { code, text },
        CloseCause::Transport(text) => Cause::Transport(text),
        CloseCause::Control => Cause::ControlEnded,
    }
}
