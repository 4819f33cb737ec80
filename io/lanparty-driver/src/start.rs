//! From the command line to the loop: what every member program does the same way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use lanparty_ctrl::Role;
use lanparty_device::Host;
use lanparty_net::{MemberSettings, UdpSystem};
use lanparty_program::Refused;
use lanparty_proto::MacAddr;
use lanparty_session::{Session, Standby};
use lanparty_tunnel::DataPath;

use crate::cli::JoinArgs;
use crate::mailbox::{Command, Handle};
use crate::membership::SavedMembership;
use crate::port::Port;
use crate::program::{Printer, outcome, random_seed};
use crate::run::{Config, Member};
use crate::writer::{FileWriter, Writer};

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
    /// The membership that it had.
    pub membership: SavedMembership,
    /// What a gateway does whose room has one already.
    pub standby: Standby,
    /// The program's name, for logs.
    pub program: &'static str,
    /// The program's version, for logs.
    pub version: &'static str,
}

impl Who {
    fn session(&self, join: &JoinArgs) -> anyhow::Result<Session> {
        Ok(Session::new(lanparty_session::SessionConfig {
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
            generation: self.membership.generation(),
            resume: self.membership.token(),
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
    /// Makes a member of the room that `join` names; `writer` saves its membership, and `wake` must end [`Port::wait`].
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
        let print = printer.printer();
        let config = Config {
            settings: reach.settings,
            relay: join.relay.clone(),
            addresses: reach.addresses,
            session,
            status: Box::new(print),
        };
        let (member, handle) = Member::new(config, port, path, wake, Instant::now());
        let member = member.save_membership(who.membership.keep(writer));

        Ok(Self {
            member,
            handle,
            printer,
        })
    }

    /// Has what the data path remembers written down, as [`Member::keep_memory`] says.
    #[must_use]
    pub fn keep_memory(mut self, file: FileWriter) -> Self {
        self.member = self.member.keep_memory(file);
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

    /// Has the loop told of what happens to `host`, and the service manager of what happens to the loop.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread, or cannot be watched.
    pub fn on_host(mut self, host: Host) -> anyhow::Result<Self> {
        self.member = self.member.notice_sleep(host.time_asleep);
        self.member = self.member.on_join(host.notify_ready);
        let network = self.handle();
        // Before any frame: what is this box's own is nobody else's.
        tell_addresses(host, &network);
        (host.watch_network)(Box::new(move || {
            network.send(Command::NetworkChanged);
            tell_addresses(host, &network);
        }))
        .context("cannot watch the system's network")?;
        let alive = self.handle();
        (host.watch_alive)(Box::new(move || alive.is_alive())).context("cannot start a thread")?;
        let leave = self.handle();
        (host.watch_stop)(Box::new(move || {
            (host.notify_stopping)();
            leave.send(Command::Leave);
        }))
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
fn tell_addresses(host: Host, handle: &Handle) {
    match (host.addresses)() {
        Ok(addresses) => {
            // A loop that is too busy to be told now is told at the next change.
            handle.send(Command::Addresses(addresses));
        }
        Err(error) => tracing::warn!(%error, "cannot read which addresses this box has"),
    }
}
