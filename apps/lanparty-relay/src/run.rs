//! Starts the relay, and ends it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lanparty_handover::{Predecessor, Program, Successor};
use lanparty_linux::realtime::RealtimePriority;
use lanparty_linux::steer::Aim;
use lanparty_linux::{Supervisor, UDP};
use lanparty_net::{Endpoint, RelaySettings};
use lanparty_relay_core::Directory;
use lanparty_state::{Environment, StateDir};
use lanparty_switch::RoomRecord;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::cli::{self, Run};
use crate::directory::SharedDirectory;
use crate::failure::Failure;
use crate::handover::{self, HandoverState};
use crate::identity;
use crate::limiter::{ConnectionLimiter, LimiterHandle};
use crate::ports::Ports;
use crate::status_server::StatusServer;
use crate::worker::{Mailbox, Request, Shared, Worker};

/// The stack of a worker thread: its deepest call chain is quinn-proto's and rustls', which fit the default of the main thread.
const STACK: usize = 4 * 1024 * 1024;

/// How long workers have to say what the next process must know: they answer in their next turn.
const ANSWER: Duration = Duration::from_secs(2);

/// How often it is looked whether everybody has moved to the next process.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a relay until it is told to end.
pub(crate) fn run(run: &Run) -> Result<(), Failure> {
    lanparty_telemetry::init(&run.log, run.log_format).map_err(anyhow::Error::from)?;
    // From here on a signal ends the relay properly, also one that comes before it is ready.
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGUSR2]).context("cannot watch for signals")?;
    let program = Program::remember()?;
    let state = StateDir::open(run.state_dir.as_deref(), &Environment::read())
        .map_err(|error| Failure::Refused(error.into()))?;
    let (handover_state, predecessor, settings) = prepare(run, &state)?;
    let settings = settings.with_handshake_patience(run.connections.handshake());
    let HandoverState { ports, rooms } = handover_state;

    let mut relay = Relay::start(run, &ports, &settings, rooms)?;
    let server = StatusServer::open(
        &state,
        ports.metrics.as_ref(),
        relay.mailboxes.clone(),
        Arc::clone(&relay.shared.limiter),
        predecessor.is_some(),
    )
    .map_err(Failure::Refused)?;
    std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(move || server.serve())
        .context("cannot start a thread")?;
    let word = if predecessor.is_some() {
        "took over"
    } else {
        "ready"
    };
    let ports = Arc::new(ports);
    if let Some(predecessor) = predecessor {
        relay.succeed(predecessor, &ports)?;
    }
    let workers = relay.mailboxes.clone();
    Supervisor::from_environment()
        .watch(move || workers.iter().all(Mailbox::is_alive))
        .context("cannot start a thread")?;
    say(&format!("{}\n", ready(run, &ports, word)))?;
    Supervisor::from_environment().ready();

    loop {
        let asked: Vec<_> = signals.wait().collect();
        if asked.iter().any(|signal| *signal != SIGUSR2) {
            break;
        }
        if !asked.is_empty() && relay.hand_over(&program, &ports, &mut signals)? {
            return Ok(());
        }
    }
    tracing::info!("shutting down");
    Supervisor::from_environment().stopping();
    relay.end();
    // The next relay replaces a socket that stays behind.
    let _removed = std::fs::remove_file(StatusServer::socket(&state));

    Ok(())
}

/// Reads all settings, and opens the sockets or takes them over.
fn prepare(
    run: &Run,
    state: &StateDir,
) -> Result<(HandoverState, Option<Predecessor>, RelaySettings), Failure> {
    if !run.take_over {
        let ports = Ports::open(run)?;
        let rooms = Vec::new();
        let settings = identity::settings(run, state)?;
        return Ok((HandoverState { ports, rooms }, None, settings));
    }
    let mut predecessor = Predecessor::meet()?;
    let settings = identity::settings(run, state)?;
    let handover_state = handover::receive(&mut predecessor)?;

    Ok((handover_state, Some(predecessor), settings))
}

/// Prints a line that a person reads.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();

    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
        .map_err(Failure::from)
}

/// The line that says the relay is there.
fn ready(run: &Run, ports: &Ports, word: &str) -> String {
    let (address, workers) = (ports.address, ports.workers);
    let threads = if workers == 1 { "worker" } else { "workers" };
    let certificate = match (
        &run.cert,
        run.dev_cert_out.as_ref().or(run.dev_cert_der_out.as_ref()),
    ) {
        (Some(cert), _) => format!("certificate {}", cert.display()),
        (None, Some(out)) => format!("development certificate in {}", out.display()),
        (None, None) => {
            "development certificate in no file (--dev-cert-out FILE writes it)".to_owned()
        }
    };
    let names = if run.cert.is_none() {
        format!(
            ", for {}",
            cli::certificate_names(&run.cert_name).join(", ")
        )
    } else {
        String::new()
    };

    format!("relay {word}: listening on {address} (UDP), {workers} {threads}, {certificate}{names}")
}

/// Workers that are running.
struct Relay {
    mailboxes: Vec<Mailbox>,
    threads: Vec<JoinHandle<()>>,
    shared: Shared,
}

impl Relay {
    /// Starts a worker for each of our sockets, with the rooms that it goes on with.
    fn start(
        run: &Run,
        ports: &Ports,
        settings: &RelaySettings,
        rooms: Vec<Vec<RoomRecord>>,
    ) -> Result<Self, Failure> {
        let directory = Directory::new(ports.workers, run.limits.max_rooms);
        let shared = Shared {
            directory: Arc::new(SharedDirectory::new(directory)),
            limiter: Arc::new(ConnectionLimiter::new(run.connections.to_limits())),
            patience: run.connections.patience(),
            silent: run.connections.silent(ports.workers),
        };
        let mut relay = Self {
            mailboxes: Vec::new(),
            threads: Vec::new(),
            shared,
        };

        let realtime = Arc::new(RealtimePriority::secure(!run.no_realtime));
        let mut rooms = rooms.into_iter();
        for (number, socket) in (0..ports.workers).zip(ports.own()?) {
            let limiter = LimiterHandle(Arc::clone(&relay.shared.limiter));
            let settings = settings
                .for_worker(ports.bank.mark(number))
                .with_udp_system(UDP);
            let endpoint = Endpoint::relay(socket, &settings, Box::new(limiter))
                .map_err(anyhow::Error::from)?;
            let limits = run.limits.to_limits();
            let (mut worker, mailbox) =
                Worker::new(number, endpoint, limits, relay.shared.clone())?;
            worker.take_over(rooms.next().unwrap_or_default());
            let realtime = Arc::clone(&realtime);
            let thread = std::thread::Builder::new()
                .name(format!("worker {number}"))
                .stack_size(STACK)
                .spawn(move || {
                    let _registered = realtime.register();
                    worker.run();
                })
                .context("cannot start a thread")?;
            relay.mailboxes.push(mailbox);
            relay.threads.push(thread);
        }

        Ok(relay)
    }

    /// Takes new connections from now on, and everything once the old relay is gone.
    fn succeed(&self, mut predecessor: Predecessor, ports: &Arc<Ports>) -> Result<(), Failure> {
        let newcomers = ports.bank;
        ports
            .steer(Aim::Both { newcomers })
            .context("cannot steer new connections here")?;
        predecessor.listening()?;
        let (ports, workers) = (Arc::clone(ports), self.mailboxes.clone());
        std::thread::Builder::new()
            .name("predecessor".to_owned())
            .spawn(move || {
                let _gone = predecessor.hear();
                if let Err(error) = ports.steer(Aim::One(ports.bank)) {
                    tracing::warn!(%error, "cannot steer all connections here");
                }
                tell(&workers, || Request::PredecessorGone);
                tracing::info!("the old relay is gone; everybody has moved");
            })
            .context("cannot start a thread")?;

        Ok(())
    }

    /// Lets a new process take over. Returns whether one has, and this one has nothing more to do.
    fn hand_over(
        &mut self,
        program: &Program,
        ports: &Ports,
        signals: &mut Signals,
    ) -> Result<bool, Failure> {
        tracing::info!("starting the successor");
        let mut successor = match self.introduce(program, ports) {
            Ok(successor) => successor,
            Err(error) => {
                tracing::warn!("no successor: {error:#}; going on");
                return Ok(false);
            }
        };
        Supervisor::from_environment().main_process(successor.process.id());
        tell(&self.mailboxes, || Request::Drain);
        while !self.threads.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(LOOK);
            if signals.pending().any(|signal| signal != SIGUSR2) {
                tell(&self.mailboxes, || Request::Shutdown);
            }
            if let Ok(Some(status)) = successor.process.try_wait() {
                tracing::warn!(%status, "the successor is gone; going on");
                Supervisor::from_environment().main_process(std::process::id());
                self.go_on(ports)?;
                return Ok(false);
            }
        }
        let id = successor.process.id();
        say(&format!("relay handed over to process {id}\n"))?;

        Ok(true)
    }

    fn introduce(&self, program: &Program, ports: &Ports) -> anyhow::Result<Successor> {
        ensure!(
            ports.can_be_shared(),
            "this system cannot steer connections to two processes"
        );
        let mut successor = Successor::start(program)?;
        let handed = self
            .rooms()
            .and_then(|rooms| handover::hand_over(&mut successor, ports, &rooms));
        if let Err(error) = handed {
            successor.abandon();
            self.go_on(ports)?;
            return Err(error);
        }

        Ok(successor)
    }

    /// Asks every worker for its rooms; from then on it admits nobody.
    fn rooms(&self) -> anyhow::Result<Vec<Vec<RoomRecord>>> {
        let (sender, answers) = sync_channel(self.mailboxes.len());
        tell(&self.mailboxes, || Request::PrepareHandover(sender.clone()));
        let mut rooms = Vec::new();
        for _ in &self.mailboxes {
            rooms.push(answers.recv_timeout(ANSWER).context("a worker is stuck")?);
        }
        rooms.sort_by_key(|(worker, _)| *worker);

        Ok(rooms.into_iter().map(|(_, rooms)| rooms).collect())
    }

    /// Goes on without a successor.
    fn go_on(&self, ports: &Ports) -> anyhow::Result<()> {
        ports
            .steer(Aim::One(ports.bank))
            .context("cannot steer connections back")?;
        tell(&self.mailboxes, || Request::CancelHandover);

        Ok(())
    }

    /// Lets every worker say goodbye.
    fn end(self) {
        tell(&self.mailboxes, || Request::Shutdown);
        for thread in self.threads {
            // A worker that panicked has said so; the others still end properly.
            let _ended = thread.join();
        }
    }
}

/// Asks every worker the same.
fn tell(workers: &[Mailbox], request: impl Fn() -> Request) {
    for worker in workers {
        worker.send(request());
    }
}
