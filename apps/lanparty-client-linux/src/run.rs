//! From the command line to the end of the session.

use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::Context as _;
use lanparty_client_tap::{OpenError, Tap, TapOptions};
use lanparty_ctrl::Role;
use lanparty_driver::program::random_seed;
use lanparty_driver::{
    IDENTITY_FILE_NAME, Reach, SavedMembership, Start, Who, Writer, load_identity,
};
use lanparty_linux::realtime::RealtimePriority;
use lanparty_linux::{HOST, UDP, WakeFd};
use lanparty_program::Refused;
use lanparty_proto::MacAddr;
use lanparty_proto::budget::FULL_IP_MTU;
use lanparty_session::Standby;
use lanparty_state::{Environment, StateDir};
use lanparty_tunnel::{ClientPath, ClientPathConfig};

use crate::cli::Cli;
use crate::dhcp::DhcpClient;
use crate::port::TapPort;

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    lanparty_telemetry::init(&cli.log.filter, cli.log.format)?;
    let writer = Writer::start().context("cannot start a thread")?;
    let (mac, membership) = identity(cli)?;
    let reach = Reach::find(&cli.join)?.with_udp_system(UDP);

    let wake = WakeFd::new().context("cannot make a wake-up channel")?;
    let waker = Arc::new(wake.waker().context("cannot make a wake-up channel")?);
    let tap = Tap::open(&TapOptions {
        name: cli.tap_name.clone(),
        mac,
        mtu: FULL_IP_MTU,
        offload: !cli.no_offload,
        accept_router: cli.keep.ipv6_router,
    })
    .map_err(|error| cannot_open(&error))?;
    let player = cli.keep.player();
    let dhcp = (cli.dhcp.as_deref())
        .map(|wanted| DhcpClient::find(wanted, player.takes_routes()))
        .transpose()?;

    let path = ClientPath::new(ClientPathConfig {
        mac,
        policy: cli.join.policy(),
        player,
        seed: random_seed()?,
    });
    let who = Who {
        role: Role::Client,
        mac: Some(mac),
        interface: cli.tap_name.clone(),
        membership,
        standby: Standby::Never,
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
    let port = TapPort::new(tap, wake, dhcp);

    let start = Start::new(&cli.join, who, reach, &writer, port, path, waker)?.on_host(HOST)?;
    let realtime = RealtimePriority::secure(!cli.join.no_realtime);
    let _registered = realtime.register();
    start.run(|port| {
        drop(port);
        Ok(())
    })
}

/// Returns this computer's tunnel MAC, and the membership that it had.
fn identity(cli: &Cli) -> anyhow::Result<(MacAddr, SavedMembership)> {
    let path = match &cli.identity_file {
        Some(path) => path.clone(),
        None => StateDir::open(cli.join.state_dir.as_deref(), &Environment::read())
            .map_err(|error| Refused::because(&error))?
            .file(IDENTITY_FILE_NAME),
    };

    let mac = load_identity(&path, cli.virtual_mac).map_err(|error| Refused::because(&error))?;
    let membership = SavedMembership::open(
        path.with_extension("place.json"),
        &cli.join.relay.to_string(),
        &cli.join.room.to_string(),
    );

    Ok((mac, membership))
}

/// Says why there is no TAP device and what to do.
fn cannot_open(error: &OpenError) -> Refused {
    let (OpenError::Driver(source)
    | OpenError::Attach { source, .. }
    | OpenError::Configure { source, .. }) = error
    else {
        return Refused(error.to_string());
    };

    Refused(match (error, source.kind()) {
        (_, ErrorKind::PermissionDenied) => "no permission to make a network interface; run the client as root (sudo), or give it CAP_NET_ADMIN (`setcap cap_net_admin+ep`)".to_owned(),
        (OpenError::Driver(_), ErrorKind::NotFound) => "the kernel's TAP driver is not there; load it with `modprobe tun`".to_owned(),
        (OpenError::Attach { name, .. }, ErrorKind::ResourceBusy) => format!(
            "the interface {name} is in use, by another client perhaps; choose another name with --tap-name"
        ),
        _ => format!("{error}: {source}"),
    })
}
