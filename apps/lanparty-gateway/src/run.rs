//! From the command line to the end of the session.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use lanparty_ctrl::Role;
use lanparty_gateway_core::{GatewayPath, GatewayPathConfig, ProbeKeys};
use lanparty_member::program::random_seed;
use lanparty_member::unix::WakeFd;
use lanparty_member::{Place, Reach, Start, Who, Writer};
use lanparty_packet::{InterfaceFacts, PacketOptions, PacketSocket};
use lanparty_schedule::Precedence;
use lanparty_state::{Environment, StateDir};

use crate::bindings;
use crate::cli::Cli;
use crate::interface;
use crate::port::LanPort;

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    lanparty_telemetry::init(&cli.log.filter, cli.log.format)?;
    // The LAN first: a box that cannot bridge must never tell a room that it is its gateway.
    let (facts, socket) = open_lan(&cli.interface)?;
    let precedence = Precedence::secure(!cli.join.no_realtime);
    // Nothing below needs a privilege, and no thread was started yet.
    lanparty_privilege::drop_all().context("the kernel keeps privileges that are not wanted")?;
    // This thread will carry the frames.
    let _enlisted = precedence.enlist();

    let reach = Reach::find(&cli.join)?;
    let wake = WakeFd::new().context("cannot make a wake-up channel")?;
    let waker = Arc::new(wake.waker().context("cannot make a wake-up channel")?);
    let mut path = GatewayPath::new(GatewayPathConfig {
        interface: facts.mac,
        policy: cli.join.policy(),
        player: cli.join.keep.player(),
        probes: keys(cli.join.room.as_str())?,
        seed: random_seed()?,
    });
    let now = Instant::now();
    let bindings = state(cli)?.file(&format!("lanparty-gateway-{}.bindings.json", cli.interface));
    if let Some(memory) = bindings::read(&bindings) {
        path.restore(&memory, now);
    }
    let writer = Writer::start().context("cannot start a thread")?;
    let who = Who {
        role: Role::Gateway,
        mac: None,
        interface: cli.interface.clone(),
        generation: 0,
        place: place(cli)?,
        standby: cli.standby.into(),
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
    let port = LanPort::new(socket, wake);

    Start::new(&cli.join, who, reach, &writer, port, path, waker)?
        .keep_memory(bindings::keep(bindings).context("cannot start a thread")?)
        .watch_system()?
        .run(|port| {
            drop(port);
            Ok(())
        })
}

/// Opens the LAN interface, if it is one that can be bridged.
fn open_lan(name: &str) -> anyhow::Result<(InterfaceFacts, PacketSocket)> {
    let facts = interface::read(name)?;
    interface::check(&facts)?;
    let socket = PacketSocket::open(name, &PacketOptions::default())
        .map_err(|error| interface::cannot_open(name, &error))?;
    socket
        .set_filter(&[])
        .context("the kernel takes no packet filter")?;

    Ok((facts, socket))
}

fn state(cli: &Cli) -> anyhow::Result<StateDir> {
    Ok(StateDir::open(
        cli.join.state_dir.as_deref(),
        &Environment::read(),
    )?)
}

/// Returns the place that this box's gateway on the same interface had.
fn place(cli: &Cli) -> anyhow::Result<Place> {
    let path = state(cli)?.file(&format!("lanparty-gateway-{}.place.json", cli.interface));

    Ok(Place::open(
        path,
        &cli.join.relay.to_string(),
        &cli.join.room.to_string(),
    ))
}

/// Draws the keys of this run's probes.
pub(crate) fn keys(room: &str) -> anyhow::Result<ProbeKeys> {
    let random = [random_seed()?, random_seed()?];

    Ok(ProbeKeys::new(random, random_seed()?, room))
}
