//! From the command line to the end of the session.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use lanparty_ctrl::Role;
use lanparty_driver::program::random_seed;
use lanparty_driver::{Reach, SavedMembership, Start, Who, Writer};
use lanparty_handover::{Predecessor, Program};
use lanparty_linux::realtime::RealtimePriority;
use lanparty_linux::{HOST, UDP, WakeFd, privilege};
use lanparty_packet::{InterfaceFacts, PacketOptions, PacketSocket};
use lanparty_program::Refused;
use lanparty_proto::MacAddr;
use lanparty_state::{Environment, StateDir};
use lanparty_tunnel::DataPath as _;
use lanparty_tunnel::{GatewayPath, GatewayPathConfig, ProbeKeys};

use crate::bindings;
use crate::cli::Cli;
use crate::handover::{self, Parent, ProbeSeed};
use crate::interface;
use crate::port::LanPort;

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    // The thread that writes the log needs no privilege, and would keep what this one has now.
    lanparty_telemetry::init_with(&cli.log.filter, cli.log.format, || {
        if let Err(error) = privilege::drop_all() {
            tracing::debug!(%error, "the thread that writes the log keeps privileges");
        }
    })?;
    let signals = handover::signals().context("cannot watch for signals")?;
    let program = Program::remember()?;
    let mut predecessor = (cli.take_over).then(Predecessor::meet).transpose()?;
    // The LAN first: a box that cannot bridge must never tell a room that it is its gateway.
    let (facts, opened) = look_at_lan(&cli.interface, predecessor.is_none())?;
    let realtime = RealtimePriority::secure(!cli.join.no_realtime);
    // Nothing below needs a privilege. The one thread that was started keeps none that it can do without.
    privilege::drop_all().context("the kernel keeps privileges that are not wanted")?;
    // This thread will carry the frames.
    let _registered = realtime.register();

    let reach = Reach::find(&cli.join)?.with_udp_system(UDP);
    let inherited = (predecessor.as_mut()).map(handover::receive).transpose()?;
    let (socket, handover_state) = match inherited {
        Some((fd, handover_state)) => (PacketSocket::adopt(fd), Some(handover_state)),
        None => (opened.context("there is no packet socket")?, None),
    };
    let probes = match &handover_state {
        Some(handover_state) => handover_state.probes,
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
    let memory = match &handover_state {
        Some(handover_state) => handover_state.memory.clone(),
        None => bindings::read(&bindings),
    };
    if let Some(memory) = memory {
        path.restore(&memory, Instant::now());
    }
    let membership = membership(cli)?;
    let membership = match handover_state {
        Some(handover_state) => membership.inherit(handover_state.token),
        None => membership,
    };
    let writer = Writer::start().context("cannot start a thread")?;
    let again = copy(&socket)?;
    let (released, release) = handover::release();
    let start = start(cli, membership, reach, &writer, (socket, facts.mac), path)?
        .keep_memory(bindings::file(&writer, bindings))
        .on_release(release)
        .on_host(HOST)?;
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
            handover::take_port_after(predecessor, start.handle())
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
    membership: SavedMembership,
    reach: Reach,
    writer: &Writer,
    (socket, own): (PacketSocket, MacAddr),
    path: GatewayPath,
) -> anyhow::Result<Start<LanPort, GatewayPath>> {
    let wake = WakeFd::new().context("cannot make a wake-up channel")?;
    let waker = Arc::new(wake.waker().context("cannot make a wake-up channel")?);
    let who = Who {
        role: Role::Gateway,
        mac: None,
        interface: cli.interface.clone(),
        membership,
        standby: cli.standby.into(),
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };

    Start::new(
        &cli.join,
        who,
        reach,
        writer,
        LanPort::new(socket, own, wake),
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
        .set_filter(facts.mac, &[])
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

/// Returns the membership that this box's gateway on the same interface had.
fn membership(cli: &Cli) -> anyhow::Result<SavedMembership> {
    let path = state(cli)?.file(&format!("lanparty-gateway-{}.place.json", cli.interface));

    Ok(SavedMembership::open(
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
