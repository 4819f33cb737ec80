//! From the command line to the loop: what every member program does the same way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use anyhow::Context as _;
use lanparty_client_core::{DataPath, Session, Standby};
use lanparty_ctrl::Role;
use lanparty_net::{MemberSettings, UdpSystem};
use lanparty_proto::MacAddr;

use crate::cli::JoinArgs;
use crate::mailbox::Handle;
use crate::place::Place;
use crate::port::Port;
use crate::program::{Printer, Refused, outcome, random_seed};
use crate::run::{Config, Member};
use crate::writer::Writer;

/// How the relay is reached.
#[derive(Debug)]
pub struct Reach {
    /// How links to it are made, and which certificate is to be trusted.
    pub settings: MemberSettings,
    /// The addresses that its name stands for now.
    pub addresses: Vec<SocketAddr>,
}

impl Reach {
    /// Reads the certificate to trust and resolves the relay's name, before anything is touched (SPEC N2): afterwards the name might be
    /// asked for through the party.
    ///
    /// # Errors
    ///
    /// Returns an error that says what to do about certificate or name.
    pub fn find(join: &JoinArgs) -> anyhow::Result<Self> {
        let settings = join.settings()?;
        let addresses = join
            .relay
            .resolve()
            .map_err(|error| Refused(error.to_string()))?;

        Ok(Self {
            settings,
            addresses,
        })
    }

    /// Returns the same for a system whose UDP sockets can do more.
    #[must_use]
    pub fn with_udp_system(mut self, system: UdpSystem) -> Self {
        self.settings = self.settings.with_udp_system(system);

        self
    }
}

/// Who joins.
#[derive(Debug)]
pub struct Who {
    /// What the member is.
    pub role: Role,
    /// A client's tunnel MAC; a gateway has none.
    pub mac: Option<MacAddr>,
    /// The LAN interface of a gateway or the TAP of a client, for sentences.
    pub interface: String,
    /// The place that it had.
    pub place: Place,
    /// What a gateway does whose room has one already.
    pub standby: Standby,
    /// The program's name, for logs.
    pub program: &'static str,
    /// The program's version, for logs.
    pub version: &'static str,
}

impl Who {
    fn session(&self, join: &JoinArgs) -> anyhow::Result<Session> {
        Ok(Session::new(lanparty_client_core::Config {
            relay: join.relay.to_string(),
            role: self.role,
            room: join.room.clone(),
            mac: self.mac,
            interface: self.interface.clone(),
            budget: join.budget(),
            full_frame: join.is_full(),
            down_rate: join.down_rate(),
            program: self.program.to_owned(),
            program_version: self.version.to_owned(),
            generation: self.place.generation(),
            resume: self.place.token(),
            standby: self.standby,
            instance: u128::from(random_seed()?) << 64 | u128::from(random_seed()?),
            seed: random_seed()?,
        }))
    }
}

/// A member that is ready to run, with the threads that print for it and write for it.
#[derive(Debug)]
pub struct Start<P, D> {
    member: Member<P, D>,
    handle: Handle,
    printer: Printer,
}

impl<P: Port, D: DataPath> Start<P, D> {
    /// Makes a member of the room that `join` names; `writer` keeps its place, and `wake` must end [`Port::wait`].
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread or randomness.
    pub fn new(
        join: &JoinArgs,
        who: Who,
        reach: Reach,
        writer: &Writer,
        port: P,
        path: D,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> anyhow::Result<Self> {
        let session = who.session(join)?;
        let printer = Printer::start().context("cannot start a thread")?;
        let mut print = printer.printer();
        #[cfg(unix)]
        let ready = lanparty_telemetry::Supervisor::from_environment();
        let config = Config {
            settings: reach.settings,
            relay: join.relay.clone(),
            addresses: reach.addresses,
            session,
            status: Box::new(move |line| {
                #[cfg(unix)]
                if line.is_entrance() {
                    ready.ready();
                }
                print(line);
            }),
        };
        let (member, handle) = Member::new(config, port, path, wake, Instant::now());
        let member = member.keep_place(who.place.keep(writer));

        Ok(Self {
            member,
            handle,
            printer,
        })
    }

    /// Has what the data path remembers written down, as [`Member::keep_memory`] says.
    #[must_use]
    pub fn keep_memory(mut self, sink: SyncSender<String>) -> Self {
        self.member = self.member.keep_memory(sink);
        self
    }

    /// Joins beside the process that this one takes over from, as [`Member::succeed`] says.
    #[must_use]
    pub fn succeed(mut self) -> Self {
        self.member = self.member.succeed();
        self
    }

    /// Has `released` told once another process has taken over, as [`Member::on_release`] says.
    #[must_use]
    pub fn on_release(mut self, released: Box<dyn FnMut(Option<String>) + Send>) -> Self {
        self.member = self.member.on_release(released);
        self
    }

    /// Returns how other threads reach the loop.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Has the loop told of signals and of changes of the system's network, and the service manager told that it turns.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread, or cannot be watched.
    #[cfg(target_os = "linux")]
    pub fn watch_system(self) -> anyhow::Result<Self> {
        use crate::mailbox::Command;
        use lanparty_telemetry::Supervisor;

        let network = self.handle();
        // Before any frame: what is this box's own is nobody else's.
        tell_addresses(&network);
        crate::unix::on_network_change(move || {
            network.send(Command::NetworkChanged);
            tell_addresses(&network);
        })
        .context("cannot watch the system's network")?;
        let alive = self.handle();
        Supervisor::from_environment()
            .watch(move || alive.is_alive())
            .context("cannot start a thread")?;
        let leave = self.handle();
        crate::unix::on_signals(move || {
            Supervisor::from_environment().stopping();
            leave.send(Command::Leave);
        })
        .context("cannot wait for signals")?;

        Ok(self)
    }

    /// Runs until the session is over, has `undo` take back what was done to the system, and prints what is left to say.
    ///
    /// # Errors
    ///
    /// Returns an error unless the person wanted the end and everything is undone.
    pub fn run(self, undo: impl FnOnce(P) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let (end, port) = self.member.run();
        let undone = undo(port);
        self.printer.finish();
        undone?;

        outcome(end)
    }
}

/// Has the loop told which addresses this box has.
#[cfg(target_os = "linux")]
fn tell_addresses(handle: &Handle) {
    match crate::unix::own_addresses() {
        Ok(addresses) => {
            // A loop that is too busy to be told now is told at the next change.
            handle.send(crate::mailbox::Command::Addresses(addresses));
        }
        Err(error) => tracing::warn!(%error, "cannot read which addresses this box has"),
    }
}
