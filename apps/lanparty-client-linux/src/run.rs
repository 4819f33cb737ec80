//! From the command line to the end of the session.

use std::sync::Arc;

use anyhow::Context as _;
use lanparty_client_core::{ClientPath, ClientPathConfig, Standby};
use lanparty_client_tap::{Tap, TapOptions};
use lanparty_ctrl::Role;
use lanparty_member::program::{Refused, random_seed};
use lanparty_member::unix::WakeFd;
use lanparty_member::{IDENTITY_FILE_NAME, Identity, Place, Reach, Start, Who, Writer};
use lanparty_proto::budget::FULL_IP_MTU;
use lanparty_proto::player::PlayerPolicy;
use lanparty_schedule::Precedence;
use lanparty_state::{Environment, StateDir};

use crate::cli::Cli;
use crate::dhcp::DhcpClient;
use crate::port::TapPort;

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    lanparty_telemetry::init(&cli.log.filter, cli.log.format)?;
    let writer = Writer::start().context("cannot start a thread")?;
    let (identity, place) = identity(cli, &writer)?;
    let reach = Reach::find(&cli.join)?;

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

    let path = ClientPath::new(ClientPathConfig {
        mac: identity.mac,
        policy: cli.join.policy(),
        player: PlayerPolicy::default(),
        seed: random_seed()?,
    });
    let who = Who {
        role: Role::Client,
        mac: Some(identity.mac),
        interface: cli.tap_name.clone(),
        generation: identity.generation,
        place,
        standby: Standby::Never,
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
    let port = TapPort::new(tap, wake, dhcp);

    let start = Start::new(&cli.join, who, reach, &writer, port, path, waker)?.watch_system()?;
    let precedence = Precedence::secure(!cli.join.no_realtime);
    let _enlisted = precedence.enlist();
    start.run(|port| {
        drop(port);
        Ok(())
    })
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
