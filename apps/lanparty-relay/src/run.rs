//! Starts the relay, and ends it.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use lanparty_net::{Endpoint, RelaySettings, relay_socket};
use lanparty_state::{Environment, StateDir};
use lanparty_switch::Switch;
use lanparty_telemetry::Supervisor;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::{self, Run};
use crate::directory::Directory;
use crate::door::{Door, DoorLimits, Doorkeeper};
use crate::failure::Failure;
use crate::identity;
use crate::watch::Window;
use crate::worker::{Mailbox, Request, Shared, Worker};

/// The stack of a worker thread: its deepest call chain is quinn-proto's and rustls', which fit the default of the main thread.
const STACK: usize = 4 * 1024 * 1024;

/// Runs a relay until it is told to end.
pub(crate) fn run(run: &Run) -> Result<(), Failure> {
    lanparty_telemetry::init(&run.log, run.log_format).map_err(anyhow::Error::from)?;
    // From here on a signal ends the relay properly, also one that comes before it is ready.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot watch for signals")?;
    let state = StateDir::open(run.state_dir.as_deref(), &Environment::read())
        .map_err(anyhow::Error::from)?;
    let (sockets, address) = sockets(run)?;
    let metrics = run.metrics.map(metrics_listener).transpose()?;
    let settings = identity::settings(run, &state)?;

    let relay = Relay::start(run, sockets, &settings)?;
    let window = Window::open(
        &state,
        metrics,
        relay.mailboxes.clone(),
        Arc::clone(&relay.shared.door),
        run.limits.memory.saturating_mul(1024 * 1024),
    )?;
    let cleanup = state.file("relay.sock");
    std::thread::Builder::new()
        .name("window".to_owned())
        .spawn(move || window.serve())
        .context("cannot start a thread")?;
    let workers = relay.mailboxes.clone();
    Supervisor::from_environment()
        .watch(move || workers.iter().all(Mailbox::is_alive))
        .context("cannot start a thread")?;
    say(&format!("{}\n", ready(run, address, relay.threads.len())))?;
    Supervisor::from_environment().ready();

    let _signal = signals.forever().next();
    tracing::info!("shutting down");
    Supervisor::from_environment().stopping();
    relay.end();
    // The next relay replaces a socket that stays behind.
    let _removed = std::fs::remove_file(cleanup);

    Ok(())
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
fn ready(run: &Run, address: SocketAddr, workers: usize) -> String {
    let threads = if workers == 1 { "worker" } else { "workers" };
    let certificate = match (&run.cert, &run.dev_cert_der_out) {
        (Some(cert), _) => format!("certificate {}", cert.display()),
        (None, Some(out)) => format!("development certificate in {}", out.display()),
        (None, None) => {
            "a development certificate; --dev-cert-der-out writes it to a file".to_owned()
        }
    };
    let names = if run.cert.is_none() {
        format!(" for {}", cli::certificate_names(&run.cert_name).join(", "))
    } else {
        String::new()
    };

    format!("relay ready: listening on {address} (UDP), {workers} {threads}, {certificate}{names}")
}

/// Workers that are running.
struct Relay {
    mailboxes: Vec<Mailbox>,
    threads: Vec<JoinHandle<()>>,
    shared: Shared,
}

impl Relay {
    fn start(
        run: &Run,
        sockets: Vec<UdpSocket>,
        settings: &RelaySettings,
    ) -> Result<Self, Failure> {
        let count = u8::try_from(sockets.len()).unwrap_or(u8::MAX);
        let shared = Shared {
            directory: Arc::new(Directory::new(count, run.limits.max_rooms)),
            door: Arc::new(Door::new(DoorLimits {
                connects: run.limits.address_connects,
                connections: run.limits.address_connections,
            })),
        };
        let mut relay = Self {
            mailboxes: Vec::new(),
            threads: Vec::new(),
            shared,
        };

        let is_realtime = !run.no_realtime;
        for (number, socket) in (0..count).zip(sockets) {
            let keeper = Doorkeeper(Arc::clone(&relay.shared.door));
            let endpoint = Endpoint::relay(socket, &settings.for_worker(number), Box::new(keeper))
                .map_err(anyhow::Error::from)?;
            let switch = Switch::new(run.limits.to_limits(), number);
            let (worker, mailbox) = Worker::new(number, endpoint, switch, relay.shared.clone())?;
            let thread = std::thread::Builder::new()
                .name(format!("worker {number}"))
                .stack_size(STACK)
                .spawn(move || {
                    lanparty_schedule::run_first_if(is_realtime);
                    worker.run();
                })
                .context("cannot start a thread")?;
            relay.mailboxes.push(mailbox);
            relay.threads.push(thread);
        }

        Ok(relay)
    }

    /// Lets every worker say goodbye.
    fn end(self) {
        for mailbox in &self.mailboxes {
            mailbox.send(Request::Shutdown);
        }
        for thread in self.threads {
            // A worker that panicked has said so; the others still end properly.
            let _ended = thread.join();
        }
    }
}

/// Opens one socket for each worker, and says where they listen.
fn sockets(run: &Run) -> Result<(Vec<UdpSocket>, SocketAddr), Failure> {
    let workers = run.workers.unwrap_or_else(cores);
    let candidates = run.listen.candidates();
    let (first, rest) = candidates
        .split_first()
        .ok_or_else(|| anyhow!("there is no address to listen on"))?;
    let mut opened = open(*first, workers);
    for candidate in rest {
        let is_unsupported = opened
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::Unsupported || is_no_ipv6(error));
        if is_unsupported {
            opened = open(*candidate, workers);
        }
    }
    let sockets = opened.map_err(|error| refused(*first, error))?;
    let address = sockets
        .first()
        .map_or(Ok(*first), UdpSocket::local_addr)
        .context("cannot read the socket's address")?;

    Ok((sockets, address))
}

fn open(address: SocketAddr, workers: u8) -> io::Result<Vec<UdpSocket>> {
    // Sockets that share a port share it with other processes of this user as well. One that does not share notices them.
    let alone = relay_socket(address, false)?;
    if workers <= 1 {
        return Ok(vec![alone]);
    }
    let address = alone.local_addr()?;
    drop(alone);

    let first = relay_socket(address, true)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(relay_socket(address, true)?);
    }
    if let Some(Err(error)) = sockets
        .first()
        .map(|socket| lanparty_steer::steer(socket, workers))
    {
        tracing::info!(%error, "the system cannot steer connections to workers; going on with one");
        sockets.truncate(1);
    }

    Ok(sockets)
}

fn is_no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error();

    code == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || code == Some(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error())
}

/// Makes a sentence of why the port cannot be had.
fn refused(address: SocketAddr, error: io::Error) -> Failure {
    let port = address.port();
    let kind = error.kind();
    let sentence = if kind == io::ErrorKind::AddrInUse {
        format!(
            "UDP port {port} is taken; stop the program that has it (`ss -lunp` shows which), or choose another with --listen"
        )
    } else if kind == io::ErrorKind::PermissionDenied {
        format!(
            "this user may not listen on UDP port {port}; run the relay by its systemd unit, allow it with \
             `setcap cap_net_bind_service=+ep`, or choose a port above 1023 with --listen"
        )
    } else if kind == io::ErrorKind::AddrNotAvailable {
        format!(
            "this machine does not have the address {}; choose another with --listen",
            address.ip()
        )
    } else {
        format!("cannot listen on {address}")
    };

    Failure::Refused(anyhow::Error::new(error).context(sentence))
}

fn metrics_listener(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));

    listener
        .with_context(|| {
            format!("cannot serve metrics on {address}; choose another address with --metrics")
        })
        .map_err(Failure::Refused)
}

fn cores() -> u8 {
    /// Worker numbers are one byte, and no relay of parties needs more cores.
    const MOST: usize = 64;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);

    u8::try_from(cores.min(MOST)).unwrap_or(1)
}
