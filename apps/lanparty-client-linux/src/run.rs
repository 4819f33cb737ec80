//! From the command line to the end of the session.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use lanparty_client_core::{ClientPath, ClientPathConfig, Session};
use lanparty_client_tap::{Tap, TapOptions};
use lanparty_ctrl::Role;
use lanparty_member::program::{Printer, Refused, outcome, random_seed};
use lanparty_member::unix::{WakeFd, on_network_change, on_signals};
use lanparty_member::{Command, Config, IDENTITY_FILE_NAME, Identity, Member, Place, Writer};
use lanparty_proto::budget::FULL_IP_MTU;
use lanparty_proto::player::PlayerPolicy;
use lanparty_state::{Environment, StateDir};
use lanparty_telemetry::Supervisor;

use crate::cli::Cli;
use crate::dhcp::DhcpClient;
use crate::port::TapPort;

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    lanparty_telemetry::init(&cli.log.filter, cli.log.format)?;
    let writer = Writer::start().context("cannot start a thread")?;
    let (identity, place) = identity(cli, &writer)?;
    let settings = cli.join.settings()?;
    // The relay's name is resolved before any interface is touched: afterwards it might be asked for through the party.
    let addresses = cli
        .join
        .relay
        .resolve()
        .map_err(|error| Refused(error.to_string()))?;

    let wake = WakeFd::new().context("cannot make a wake-up channel")?;
    let waker = Arc::new(wake.waker().context("cannot make a wake-up channel")?);
    let tap = Tap::open(&TapOptions {
        name: cli.tap_name.clone(),
        mac: identity.mac,
        mtu: FULL_IP_MTU,
        offload: !cli.no_offload,
    })
    .map_err(|error| Refused(sentence(&error)))?;
    let dhcp = cli.dhcp.as_deref().map(DhcpClient::find).transpose()?;

    let session = Session::new(lanparty_client_core::Config {
        relay: cli.join.relay.to_string(),
        role: Role::Client,
        room: cli.join.room.clone(),
        mac: Some(identity.mac),
        interface: cli.tap_name.clone(),
        budget: cli.join.budget(),
        full_frame: cli.join.is_full(),
        down_rate: cli.join.down_rate(),
        program: env!("CARGO_PKG_NAME").to_owned(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: identity.generation.max(place.generation()),
        resume: place.token(),
        seed: random_seed()?,
    });
    let printer = Printer::start().context("cannot start a thread")?;
    let print = printer.printer();
    let ready = Supervisor::from_environment();
    let config = Config {
        settings,
        relay: cli.join.relay.clone(),
        addresses,
        session,
        status: Box::new(move |line| {
            if line.is_entrance() {
                ready.ready();
            }
            print(line);
        }),
    };
    let path = ClientPath::new(ClientPathConfig {
        mac: identity.mac,
        policy: cli.join.policy(),
        player: PlayerPolicy::default(),
        seed: random_seed()?,
    });
    let port = TapPort::new(tap, wake, dhcp);
    let (member, handle) = Member::new(config, port, path, waker, Instant::now());
    let member = member.keep_place(place.keep(&writer));
    let network = handle.clone();
    on_network_change(move || {
        network.send(Command::NetworkChanged);
    })
    .context("cannot watch the system's network")?;
    let alive = handle.clone();
    Supervisor::from_environment()
        .watch(move || alive.is_alive())
        .context("cannot start a thread")?;
    on_signals(move || {
        Supervisor::from_environment().stopping();
        handle.send(Command::Leave);
    })
    .context("cannot wait for signals")?;

    lanparty_schedule::run_first_if(!cli.join.no_realtime);
    let (end, port) = member.run();
    drop(port);
    printer.finish();

    outcome(end)
}

/// Returns who this computer is, and the place that it had.
fn identity(cli: &Cli, writer: &Writer) -> anyhow::Result<(Identity, Place)> {
    if let Some(mac) = cli.virtual_mac {
        mac.check_identity()
            .map_err(|error| Refused(format!("--virtual-mac {mac} cannot be used: {error}")))?;
    }
    let path = match &cli.identity_file {
        Some(path) => path.clone(),
        None => StateDir::open(cli.join.state_dir.as_deref(), &Environment::read())?
            .file(IDENTITY_FILE_NAME),
    };

    let identity = Identity::load(&path, cli.virtual_mac, writer)?;
    let place = Place::open(
        path.with_extension("place.json"),
        &cli.join.relay.to_string(),
        &cli.join.room.to_string(),
    );

    Ok((identity, place))
}

/// Says what failed and why in one sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
