//! One turn after another.
//!
//! A turn: wait; read the clock once; drain the UDP sockets; hand events, then datagrams, to session and data path; drain
//! the port; run timers; send. What a turn reads leaves in the same turn. A loop that turns all the time rests between turns, so that
//! what comes meanwhile shares the cost of one ([`lanparty_queue::tempo`]).

mod diagnose;
mod handover;
mod outputs;
mod port_losses;
mod too_large;
mod traffic;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanparty_device::{FrameDevice as _, Losses, Ready};
use lanparty_net::{MemberSettings, RelayAddress};
use lanparty_obs::{Drops, StatusLine};
use lanparty_offload::coalesce::Coalescer;
use lanparty_queue::Tempo;
use lanparty_session::{JoinInfo, Session, SessionEnd};
use lanparty_tunnel::{DataPath, Outbox};

use self::diagnose::Diagnosis;
use self::handover::Drain;
use self::port_losses::PortLosses;
use self::too_large::TooLarge;
use crate::connections::{Connections, MAX_CONNECTIONS};
use crate::mailbox::{Command, Handle, Mailbox, mailbox};
use crate::membership::MembershipStore;
use crate::port::{Port, PortError, Socket};
use crate::sleep::SleepDetector;
use crate::writer::FileWriter;

/// How many batches a turn reads from one side before the other has its turn. A batch is at most 1 MiB from the network.
const BATCHES_PER_TURN: usize = 4;

/// How often the loop looks whether the relay is still heard, and asks it for a sign of life if not.
const SILENCE_CHECK: Duration = Duration::from_millis(500);

/// How often it looks for the answer: a second connection waits twice as long for it before it takes the membership over.
const SIGN_CHECK: Duration = Duration::from_millis(100);

/// How much longer than QUIC's idle timeout a connection may go without an answer: QUIC starts that
/// anew with the first packet sent after one was heard, and has the first word.
const DEAF: Duration = Duration::from_secs(2);

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
    connections: Connections,
    port: P,
    path: D,
    mailbox: Mailbox,
    handle: Handle,
    outbox: Outbox,
    coalescer: Coalescer,
    drops: LoopDrops,
    too_large: TooLarge,
    /// The losses of the port that were counted already.
    known_losses: Losses,
    port_losses: PortLosses,
    joined: Option<JoinInfo>,
    end: Option<SessionEnd>,
    /// Since when the member is in no room; the port goes down when that takes too long.
    away_since: Option<Instant>,
    next_check: Instant,
    has_dialled: bool,
    membership: Option<MembershipStore>,
    sleep: Option<SleepDetector>,
    tempo: Tempo,
    memory: Option<FileWriter>,
    diagnosis: Diagnosis,
    released: Option<Released>,
    drain: Option<Drain>,
}

/// Told that another process is the member.
struct Released(Box<dyn FnMut(Option<String>) + Send>);

impl std::fmt::Debug for Released {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Released").finish_non_exhaustive()
    }
}

impl<P: Port, D: DataPath> Member<P, D> {
    /// Makes a member and the handle by which other threads reach it; `wake` must end [`Port::wait`].
    pub fn new(
        config: Config,
        mut port: P,
        path: D,
        wake: Arc<dyn Fn() + Send + Sync>,
        now: Instant,
    ) -> (Self, Handle) {
        let (handle, mailbox) = mailbox(wake);
        let connections = Connections::new(config.settings.clone(), config.addresses.clone());
        let coalescer = Coalescer::new(port.device().capabilities().coalescing());
        let member = Self {
            config,
            connections,
            port,
            path,
            mailbox,
            handle: handle.clone(),
            outbox: Outbox::default(),
            coalescer,
            drops: LoopDrops::default(),
            too_large: TooLarge::default(),
            known_losses: Losses::default(),
            port_losses: PortLosses::default(),
            joined: None,
            end: None,
            away_since: None,
            next_check: now,
            has_dialled: false,
            membership: None,
            sleep: None,
            tempo: Tempo::default(),
            memory: None,
            diagnosis: Diagnosis::default(),
            released: None,
            drain: None,
        };

        (member, handle)
    }

    /// Has the membership written down, so that it is resumed after a crash.
    #[must_use]
    pub fn save_membership(mut self, store: MembershipStore) -> Self {
        self.membership = Some(store);
        self
    }

    /// Has what the data path remembers written to `file` whenever it changed.
    #[must_use]
    pub fn keep_memory(mut self, file: FileWriter) -> Self {
        self.memory = Some(file);
        self
    }

    /// Has the loop notice that the system slept; `time_asleep` returns how long it did since it was started.
    #[must_use]
    pub fn notice_sleep(mut self, time_asleep: fn() -> Duration) -> Self {
        self.sleep = Some(SleepDetector::new(time_asleep));
        self
    }

    /// Has `joined` called whenever the room is entered. It must not block.
    #[must_use]
    pub fn on_join(mut self, joined: fn()) -> Self {
        let mut status = self.config.status;
        self.config.status = Box::new(move |line| {
            if line.is_entrance() {
                joined();
            }
            status(line);
        });
        self
    }

    /// Runs until the session is over, and gives back the port so that it can be undone.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is gone for good.
    pub fn run(mut self) -> (Result<SessionEnd, PortError>, P) {
        let result = self.turns();

        (result, self.port)
    }

    fn turns(&mut self) -> Result<SessionEnd, PortError> {
        let now = Instant::now();
        self.begin_logs();
        self.config.session.start(now);
        self.process_outputs(now)?;
        loop {
            if let Some(end) = self.end.take() {
                self.linger();
                return Ok(end);
            }
            self.turn()?;
        }
    }

    fn turn(&mut self) -> Result<(), PortError> {
        let ready = self.wait()?;
        let now = Instant::now();
        self.read_mailbox(now);
        if ready.network {
            self.read_network(now)?;
        }
        self.release(now);
        if ready.device && !self.is_draining() {
            self.read_port(now)?;
        }
        self.run_timers(now)?;
        self.end_if_quiet(now);
        self.send(now)?;
        self.log_frames();
        self.connections.sweep();
        // Windows wakes sleepers too late for this.
        if !cfg!(windows)
            && let Some(rest) = self.tempo.handle_turn(now)
        {
            std::thread::sleep(rest);
        }

        Ok(())
    }

    fn wait(&mut self) -> Result<Ready, PortError> {
        let deadlines = [
            self.connections.poll_timeout(),
            self.config.session.poll_timeout(),
            // What is due while the connection drains is the next process's to do.
            self.path.poll_timeout().filter(|_| !self.is_draining()),
            Some(self.next_check),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let mut sockets = self.connections.open.iter().map(|connection| Socket {
            udp: connection.endpoint.socket(),
            wants_write: connection.endpoint.wants_write(),
        });
        let sockets: [Option<Socket<'_>>; MAX_CONNECTIONS] =
            std::array::from_fn(|_| sockets.next());

        self.port.wait(&sockets, deadline)
    }

    fn read_mailbox(&mut self, now: Instant) {
        while let Ok(command) = self.mailbox.0.try_recv() {
            match command {
                Command::Leave => self.config.session.leave(now),
                Command::Resolved(addresses) => {
                    self.port.handle_relay(&addresses);
                    self.connections.set_addresses(addresses);
                }
                Command::Addresses(addresses) => self.path.handle_addresses(&addresses, now),
                // Whoever asked may be gone by now.
                Command::Alive(to) => drop(to.try_send(())),
                Command::NetworkChanged => self.handle_network_change(now),
                // Whoever asked may be gone by now; then nobody comes.
                Command::HandOver(to) => drop(to.try_send(self.member_handover(now))),
                Command::KeepOn => self.config.session.cancel_handover(),
                Command::TakePort(memory) => self.take_port(memory.as_deref(), now),
            }
        }
    }
}
