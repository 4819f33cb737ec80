//! The party that faults happen to: relay, gateway, clients with addresses, and a supervisor for each program.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::dialogue::Dialogue;
use super::flow::Flow;
use super::stream::Stream;
use crate::bed::{Bed, ETH, Side};
use crate::command::output;
use crate::link;
use crate::netns::Namespace;
use crate::party::{Party, TAP};
use crate::program::{Program, ROOM};

/// How long a supervisor waits before it starts a program again (`RestartSec=` of our units).
pub const RESTART: Duration = Duration::from_millis(100);

/// How far apart the numbered packets are: the resolution of every figure.
pub const PACE: Duration = Duration::from_millis(5);

/// How long anything may take before it counts as never.
pub const NEVER: Duration = Duration::from_secs(30);

/// What a program says when it has a place again, or for the first time.
const IN: [&str; 3] = ["joined room", "gateway ready", "back after"];

/// A party with addresses.
#[derive(Debug)]
pub struct Stage {
    /// The party.
    pub party: Party,
}

impl Stage {
    /// Starts a relay, a gateway and `clients` clients, each with an address on the LAN.
    ///
    /// # Errors
    ///
    /// Returns an error with a program's output if it does not get ready.
    pub fn new(clients: u8) -> Result<Self> {
        Self::on(Self::bed(clients)?, clients)
    }

    /// Makes the bed of a stage for `clients` clients.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no namespaces.
    pub fn bed(clients: u8) -> Result<Bed> {
        Bed::builder().remotes(clients).hosts(1).build()
    }

    /// Starts the same on a bed that [`Stage::bed`] made.
    ///
    /// # Errors
    ///
    /// As [`Stage::new`].
    pub fn on(bed: Bed, clients: u8) -> Result<Self> {
        let stage = Self {
            party: Party::start_on(bed, usize::from(clients))?,
        };
        for n in 0..usize::from(clients) {
            stage.address(n)?;
        }

        Ok(stage)
    }

    /// Returns the address of client `n` on the LAN.
    pub fn client_address(n: usize) -> IpAddr {
        let last = 50 + u8::try_from(n).expect("a bed has few boxes");

        Ipv4Addr::new(192, 168, 77, last).into()
    }

    /// Gives the TAP of client `n` its address, and lets it meet the LAN.
    ///
    /// # Errors
    ///
    /// Returns an error if the LAN does not answer.
    pub fn address(&self, n: usize) -> Result<()> {
        address(&self.party.bed, n)
    }

    /// Sends numbered packets from client `n` to the LAN.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn up(&self, n: usize) -> Result<Stream> {
        let bed = &self.party.bed;

        Stream::start(
            bed.remote(n),
            bed.host(0),
            Bed::host_address(0).into(),
            PACE,
        )
    }

    /// Sends numbered packets from the LAN to client `n`.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn down(&self, n: usize) -> Result<Stream> {
        let bed = &self.party.bed;

        Stream::start(bed.host(0), bed.remote(n), Self::client_address(n), PACE)
    }

    /// Sends numbered packets from client `from` to client `to`.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn across(&self, from: usize, to: usize) -> Result<Stream> {
        let bed = &self.party.bed;

        Stream::start(
            bed.remote(from),
            bed.remote(to),
            Self::client_address(to),
            PACE,
        )
    }

    /// Starts a dialogue of numbered packets from client `n` with the LAN.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn talk(&self, n: usize) -> Result<Dialogue> {
        let bed = &self.party.bed;

        Dialogue::start(bed.remote(n), bed.host(0), Bed::host_address(0).into())
    }

    /// Starts a dialogue of numbered packets from client `from` with client `to`.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn talk_across(&self, from: usize, to: usize) -> Result<Dialogue> {
        let bed = &self.party.bed;

        Dialogue::start(bed.remote(from), bed.remote(to), Self::client_address(to))
    }

    /// Opens a TCP connection from client `n` to the LAN that talks until it is finished.
    ///
    /// # Errors
    ///
    /// Returns an error if no connection comes about.
    pub fn flow(&self, n: usize) -> Result<Flow> {
        let bed = &self.party.bed;

        Flow::start(bed.remote(n), bed.host(0), Bed::host_address(0).into())
    }

    /// Kills the relay as `kill -9` does, and starts it again as a supervisor does. Returns when it was killed.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not come back.
    pub fn crash_relay(&mut self) -> Result<Instant> {
        let killed = Instant::now();
        self.party.relay.kill()?;
        std::thread::sleep(RESTART);
        self.party.relay = Program::start(
            self.party.bed.dir(),
            "relay",
            self.party.bed.relay_command()?,
        )?;

        Ok(killed)
    }

    /// Kills the gateway as `kill -9` does, and starts it again as a supervisor does. Returns when it was killed.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not come back.
    pub fn crash_gateway(&mut self) -> Result<Instant> {
        let killed = Instant::now();
        self.party.gateway.kill()?;
        std::thread::sleep(RESTART);
        let command = self.party.bed.gateway_command(0, ROOM)?;
        self.party.gateway = Program::start(self.party.bed.dir(), "gateway0", command)?;

        Ok(killed)
    }

    /// Returns what everybody has to say about client `n`, for a failure's report.
    pub fn story(&self, n: usize) -> String {
        let status =
            (self.party.bed.program(Side::Relay, "lanparty-relay")).and_then(|mut relay| {
                relay.arg("status");
                output(&mut relay)
            });
        let client = self.party.clients.get(n).map(Program::story);

        format!(
            "client {n}: {}{}{}\n--- status: {status:?}",
            client.unwrap_or_default(),
            self.party.gateway.story(),
            self.party.relay.story(),
        )
    }

    /// Returns the client on remote PC `n`.
    ///
    /// # Errors
    ///
    /// Returns an error if the stage has fewer.
    pub fn client(&mut self, n: usize) -> Result<&mut Program> {
        let client = self.party.clients.get_mut(n);

        client.context("the stage has fewer clients")
    }
}

/// Lets what a box knows of its neighbours stay true: that it asks again is not the tunnel's doing.
fn remember_neighbours(namespace: &Namespace, interface: &str) -> Result<()> {
    let key = format!("net.ipv4.neigh.{interface}.base_reachable_time_ms");

    namespace.sysctl(&key, "3600000")
}

/// Gives the TAP of client `n` its address, and lets it meet the LAN.
///
/// # Errors
///
/// Returns an error if the LAN does not answer.
pub fn address(bed: &Bed, n: usize) -> Result<()> {
    let remote = bed.remote(n);
    remember_neighbours(remote, TAP)?;
    remember_neighbours(bed.host(0), ETH)?;
    remote.sh(&format!(
        "ip address replace {}/24 broadcast + dev {TAP}",
        Stage::client_address(n)
    ))?;
    link::wait_until("an answer from the LAN", NEVER, || {
        let pinged = crate::traffic::ping(remote, Bed::host_address(0).into(), 1);
        pinged.is_ok_and(|ping| ping.received == 1)
    })
}

/// Returns how often a member has come (back) into its room.
pub fn entrances(member: &Program) -> usize {
    let said = member.stdout();
    let is_entrance = |line: &&str| IN.iter().any(|word| line.starts_with(word));

    said.lines().filter(is_entrance).count()
}
