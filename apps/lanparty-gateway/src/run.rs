//! From the command line to the end of the session.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use lanparty_client_core::DataPath as _;
use lanparty_ctrl::Role;
use lanparty_gateway_core::{GatewayPath, GatewayPathConfig, ProbeKeys};
use lanparty_member::program::{Refused, random_seed};
use lanparty_member::unix::WakeFd;
use lanparty_member::{Place, Reach, Start, Who, Writer};
use lanparty_net::UdpSystem;
use lanparty_packet::{InterfaceFacts, PacketOptions, PacketSocket};
use lanparty_schedule::Precedence;
use lanparty_state::{Environment, StateDir};
use lanparty_succession::{Predecessor, Program};

use crate::bindings;
use crate::cli::Cli;
use crate::interface;
use crate::port::LanPort;
use crate::succession::{self, Parent, ProbeSeed};

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    // The thread that writes the log needs no privilege, and would keep what this one has now.
    lanparty_telemetry::init_with(&cli.log.filter, cli.log.format, || {
        if let Err(error) = lanparty_privilege::drop_all() {
            tracing::debug!(%error, "the thread that writes the log keeps privileges");
        }
    })?;
    let signals = succession::signals().context("cannot watch for signals")?;
    let program = Program::remember()?;
    let mut predecessor = (cli.take_over).then(Predecessor::meet).transpose()?;
    // The LAN first: a box that cannot bridge must never tell a room that it is its gateway.
    let (facts, opened) = look_at_lan(&cli.interface, predecessor.is_none())?;
    let precedence = Precedence::secure(!cli.join.no_realtime);
    // Nothing below needs a privilege. The one thread that was started keeps none that it can do without.
    lanparty_privilege::drop_all().context("the kernel keeps privileges that are not wanted")?;
    // This thread will carry the frames.
    let _enlisted = precedence.enlist();

    let reach = Reach::find(&cli.join)?.with_udp_system(UdpSystem {
        prepare: lanparty_udp::prepare,
        send: lanparty_udp::send_trains,
    });
    let inherited = (predecessor.as_mut())
        .map(succession::receive)
        .transpose()?;
    let (socket, estate) = match inherited {
        Some((fd, estate)) => (PacketSocket::adopt(fd), Some(estate)),
        None => (opened.context("there is no packet socket")?, None),
    };
    let probes = match &estate {
        Some(estate) => estate.probes,
        None => draw_probes()?,
    };
    let mut path = GatewayPath::new(GatewayPathConfig {
        interface: facts.mac,
        policy: cli.join.policy(),
        player: cli.keep.player(),
        probes: ProbeKeys::new(probes.key, probes.instance, cli.join.room.as_str()),
        seed: random_seed()?,
    });
    let bindings = state(cli)?.file(&format!("lanparty-gateway-{}.bindings.json", cli.interface));
    let memory = match &estate {
        Some(estate) => estate.memory.clone(),
        None => bindings::read(&bindings),
    };
    if let Some(memory) = memory {
        path.restore(&memory, Instant::now());
    }
    let place = place(cli)?;
    let place = match estate {
        Some(estate) => place.inherit(estate.token),
        None => place,
    };
    let writer = Writer::start().context("cannot start a thread")?;
    let again = copy(&socket)?;
    let (released, release) = succession::release();
    let start = start(cli, place, reach, &writer, socket, path)?
        .keep_memory(bindings::keep(bindings).context("cannot start a thread")?)
        .on_release(release)
        .watch_system()?;
    let parent = Parent {
        program,
        socket: again,
        probes,
        released,
        handle: start.handle(),
    };
    parent.watch(signals).context("cannot start a thread")?;
    let start = match predecessor {
        Some(predecessor) => {
            succession::take_port_after(predecessor, start.handle())
                .context("cannot start a thread")?;
            start.succeed()
        }
        None => start,
    };

    start.run(|port| {
        drop(port);
        Ok(())
    })
}

fn start(
    cli: &Cli,
    place: Place,
    reach: Reach,
    writer: &Writer,
    socket: PacketSocket,
    path: GatewayPath,
) -> anyhow::Result<Start<LanPort, GatewayPath>> {
    let wake = WakeFd::new().context("cannot make a wake-up channel")?;
    let waker = Arc::new(wake.waker().context("cannot make a wake-up channel")?);
    let who = Who {
        role: Role::Gateway,
        mac: None,
        interface: cli.interface.clone(),
        place,
        standby: cli.standby.into(),
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };

    Start::new(
        &cli.join,
        who,
        reach,
        writer,
        LanPort::new(socket, wake),
        path,
        waker,
    )
}

/// Looks at the LAN interface, and opens it if this process is the first, if it is one that can be bridged.
fn look_at_lan(
    name: &str,
    is_first: bool,
) -> anyhow::Result<(InterfaceFacts, Option<PacketSocket>)> {
    let facts = interface::read(name)?;
    if !is_first {
        return Ok((facts, None));
    }
    interface::check(&facts)?;
    let socket = PacketSocket::open(name, &PacketOptions::default())
        .map_err(|error| interface::cannot_open(name, &error))?;
    socket
        .set_filter(&[])
        .context("the kernel takes no packet filter")?;

    Ok((facts, Some(socket)))
}

fn copy(socket: &PacketSocket) -> anyhow::Result<OwnedFd> {
    let copy = socket.as_fd().try_clone_to_owned();

    copy.context("the system gives no further descriptor")
}

fn state(cli: &Cli) -> Result<StateDir, Refused> {
    StateDir::open(cli.join.state_dir.as_deref(), &Environment::read())
        .map_err(|error| Refused::because(&error))
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

/// Draws what this run's probes are made of.
fn draw_probes() -> anyhow::Result<ProbeSeed> {
    Ok(ProbeSeed {
        key: [random_seed()?, random_seed()?],
        instance: random_seed()?,
    })
}
