//! The command lines of softlan's programs on a bed.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Program, binary};
use crate::bed::{Bed, Side};

/// The relay's port in beds.
pub const RELAY_PORT: u16 = 4433;

/// The room in beds.
pub const ROOM: &str = "ROOM1";

impl Bed {
    /// Returns where the relay writes its certificate, and where everybody reads it.
    pub fn certificate(&self) -> PathBuf {
        self.dir().join("relay-cert.pem")
    }

    /// Returns a command for softlan's program `name` on `side`, with a state folder of its own: the one that was installed on the bed,
    /// or the one that was built.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not built.
    pub fn program(&self, side: Side, name: &str) -> Result<Command> {
        let state = self.state(side)?;
        let installed = self.installed(name);
        let program = if installed.is_file() {
            installed
        } else {
            binary(name)?
        };
        let mut command = self.on(side).command(program);
        command
            .env("STATE_DIRECTORY", &state)
            .env("XDG_STATE_HOME", &state)
            .env("HOME", &state);

        Ok(command)
    }

    /// Returns the state folder of the programs on a side.
    fn state(&self, side: Side) -> Result<PathBuf> {
        let state = self.dir().join(format!("state-{}", side.router_port()));
        fs::create_dir_all(&state)?;

        Ok(state)
    }

    /// Returns where the relay keeps its files.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be made.
    pub fn relay_state(&self) -> Result<PathBuf> {
        self.state(Side::Relay)
    }

    /// Returns the relay's command line.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not built.
    pub fn relay_command(&self) -> Result<Command> {
        let mut command = self.program(Side::Relay, "lanparty-relay")?;
        command
            .args(["--listen", &format!("0.0.0.0:{RELAY_PORT}")])
            .arg("--dev-cert-out")
            .arg(self.certificate());

        Ok(command)
    }

    /// Returns the command line of gateway box `n` for `room`.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not built.
    pub fn gateway_command(&self, n: usize, room: &str) -> Result<Command> {
        self.gateway_command_by(n, Self::relay_address(RELAY_PORT), room)
    }

    /// Returns the command line of gateway box `n` that finds the relay at `address`.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not built.
    pub fn gateway_command_by(&self, n: usize, address: SocketAddr, room: &str) -> Result<Command> {
        let mut command = self.member(Side::Gateway(n), "lanparty-gateway", address, room)?;
        command.args(["--interface", crate::bed::LAN]);

        Ok(command)
    }

    /// Returns the command line of the Linux client on remote PC `n` for `room`.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not built.
    pub fn client_command(&self, n: usize, room: &str) -> Result<Command> {
        self.client_command_by(n, Self::relay_address(RELAY_PORT), room)
    }

    /// Returns the command line of the Linux client on remote PC `n` that finds the relay at `address`: an impaired
    /// line, or another protocol.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not built.
    pub fn client_command_by(&self, n: usize, address: SocketAddr, room: &str) -> Result<Command> {
        self.member(Side::Remote(n), "lanparty-client-linux", address, room)
    }

    fn member(&self, side: Side, name: &str, relay: SocketAddr, room: &str) -> Result<Command> {
        let mut command = self.program(side, name)?;
        command.args([
            "--relay",
            &relay.to_string(),
            "--server-name",
            "lanparty-relay.local",
            "--room",
            room,
        ]);
        command.arg("--relay-ca-cert").arg(self.certificate());

        Ok(command)
    }

    /// Starts the relay and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Returns an error with its output if it does not get ready.
    pub fn start_relay(&self) -> Result<Program> {
        let mut relay = Program::start(self.dir(), "relay", self.relay_command()?)?;
        relay.wait_line("relay ready")?;

        Ok(relay)
    }

    /// Starts the gateway of box `n` in `room` and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Returns an error with its output if it does not get ready.
    pub fn start_gateway(&self, n: usize, room: &str) -> Result<Program> {
        let mut gateway = Program::start(
            self.dir(),
            &format!("gateway{n}"),
            self.gateway_command(n, room)?,
        )?;
        gateway.wait_line("gateway ready")?;

        Ok(gateway)
    }

    /// Starts the client of remote PC `n` in `room` and waits until it has joined.
    ///
    /// # Errors
    ///
    /// Returns an error with its output if it does not join.
    pub fn start_client(&self, n: usize, room: &str) -> Result<Program> {
        let mut client = Program::start(
            self.dir(),
            &format!("client{n}"),
            self.client_command(n, room)?,
        )?;
        client.wait_line("joined")?;

        Ok(client)
    }
}
