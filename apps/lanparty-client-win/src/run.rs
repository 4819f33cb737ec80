//! From the command line to the end of the session.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use lanparty_client_route::{AdapterId, DesiredTap, Luid};
use lanparty_client_tap::{Adapter, ChooseError, Tap, adapters, choose, prepare};
use lanparty_ctrl::Role;
use lanparty_driver::program::random_seed;
use lanparty_driver::{
    Command, Handle, IDENTITY_FILE_NAME, JoinArgs, Reach, SavedMembership, Start, Who, Writer,
    load_identity,
};
use lanparty_program::Refused;
use lanparty_proto::MacAddr;
use lanparty_proto::budget::FULL_IP_MTU;
use lanparty_proto::player::PlayerPolicy;
use lanparty_session::Standby;
use lanparty_state::{Environment, StateDir};
use lanparty_tunnel::{ClientPath, ClientPathConfig};
use lanparty_win32::{
    Event, NamedMutex, SessionWatch, claim, is_elevated, on_console_stop, raise_thread_priority,
};

use crate::cli::{Action, Cli};
use crate::doctor;
use crate::port::TapPort;
use crate::route_monitor::{RouteCommand, RouteMonitor};

/// The file in the state directory that says what has to be undone.
pub(crate) const JOURNAL_FILE_NAME: &str = "lanparty-client-undo.json";
/// Held while the program runs: two of them would undo each other's routes.
const MUTEX_NAME: &str = r"Global\softlan-client";

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    lanparty_telemetry::init(&cli.log.filter, cli.log.format)?;
    if let Some(Action::Doctor(args)) = &cli.command {
        return doctor::run(args);
    }
    if cli.list_tap_adapters {
        return list();
    }
    let join = cli.join.as_ref().context("--relay and --room are needed")?;

    Run::prepare(cli, join)?.join(join, cli.keep.player())
}

fn list() -> anyhow::Result<()> {
    let adapters = adapters().context("cannot list the network adapters")?;
    let mut out = std::io::stdout();
    for adapter in &adapters {
        writeln!(out, "{adapter}")?;
    }
    if adapters.is_empty() {
        return Err(Refused(ChooseError::None.to_string()).into());
    }

    Ok(())
}

/// What is ready before the relay is asked.
struct Run {
    /// Gone before somebody else may write these files.
    writer: Writer,
    _alone: NamedMutex,
    mac: MacAddr,
    membership: SavedMembership,
    adapter: Adapter,
    reach: Reach,
    state: StateDir,
}

impl Run {
    /// Everything that can be refused without having changed more than the adapter's address.
    fn prepare(cli: &Cli, join: &JoinArgs) -> anyhow::Result<Self> {
        if !is_elevated()? {
            let text = "this takes an administrator; start it with \"Run as administrator\"";
            return Err(Refused(text.to_owned()).into());
        }
        let Some(alone) = claim(MUTEX_NAME)? else {
            let text = "softlan runs already on this PC; end it first";
            return Err(Refused(text.to_owned()).into());
        };
        let state = StateDir::open(join.state_dir.as_deref(), &Environment::read())
            .map_err(|error| Refused::because(&error))?;
        let adapters = adapters().context("cannot list the network adapters")?;
        let adapter = choose(&adapters, cli.tap_instance_id)
            .map_err(|error| Refused(error.to_string()))?
            .clone();
        let writer = Writer::start().context("cannot start a thread")?;
        let (mac, membership) = identity(cli, join, &state)?;
        let was_written = prepare(&adapter, mac).map_err(|error| Refused::because(&error))?;
        if was_written {
            tracing::info!(%mac, "the adapter has the tunnel MAC now and was restarted");
        }
        let reach = Reach::find(join)?;

        Ok(Self {
            writer,
            _alone: alone,
            mac,
            membership,
            adapter,
            reach,
            state,
        })
    }

    fn join(self, join: &JoinArgs, player: PlayerPolicy) -> anyhow::Result<()> {
        let [stop, clean] = [Arc::new(Event::new()?), Arc::new(Event::new()?)];
        on_console_stop(Arc::clone(&stop), Arc::clone(&clean))?;
        let _session = SessionWatch::start()
            .inspect_err(
                |error| tracing::info!(%error, "the end of the user's session may cut this off"),
            )
            .ok();
        let tap = Tap::open(&self.adapter, self.mac).map_err(|error| Refused::because(&error))?;
        tracing::info!(
            adapter = tap.name(),
            id = %tap.id(),
            luid = format_args!("{:#018x}", tap.luid()),
            index = tap.index()?,
            mac = %tap.mac(),
            driver = %tap.version(),
            driver_mtu = tap.driver_mtu(),
            "the TAP adapter is open"
        );
        let route_monitor = RouteMonitor::start(
            self.state.file(JOURNAL_FILE_NAME),
            self.reach.addresses.iter().map(SocketAddr::ip).collect(),
            DesiredTap {
                interface: Luid(tap.luid()),
                adapter: AdapterId(tap.id().to_string()),
                mtu: FULL_IP_MTU,
            },
        )?;
        let wake = Arc::new(Event::new()?);
        let port = TapPort::new(
            tap,
            Arc::clone(&wake),
            route_monitor.commands(),
            route_monitor.outgoing(),
        )?;

        let path = ClientPath::new(ClientPathConfig {
            mac: self.mac,
            policy: join.policy(),
            player,
            seed: random_seed()?,
        });
        let waker = Arc::new(move || wake.set());
        let who = Who {
            role: Role::Client,
            mac: Some(self.mac),
            interface: self.adapter.name.clone(),
            membership: self.membership,
            standby: Standby::Never,
            program: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        };
        let start = Start::new(join, who, self.reach, &self.writer, port, path, waker)?;
        route_monitor
            .commands()
            .send(RouteCommand::Attach(start.handle()));
        let leaver = leave_on(Arc::clone(&stop), start.handle())?;

        if !join.no_realtime
            && let Err(error) = raise_thread_priority()
        {
            tracing::info!(%error, "frames wait for their turn on a busy PC");
        }
        let ended = start.run(|port| {
            // The cable goes out first: nothing is to leave by the adapter while its metric is still the lowest.
            drop(port);

            route_monitor.finish().map_or(Ok(()), Err)
        });
        // Whoever closed the window ends the program once it is clean.
        lanparty_telemetry::flush();
        clean.set();
        stop.set();
        // It only waited.
        drop(leaver.join());

        ended
    }
}

/// Leaves the room when `stop` is set, which somebody must do before the program ends.
fn leave_on(stop: Arc<Event>, handle: Handle) -> anyhow::Result<JoinHandle<()>> {
    use std::os::windows::io::AsHandle as _;

    std::thread::Builder::new()
        .name("stop".to_owned())
        .spawn(move || {
            if lanparty_win32::wait_any(&[stop.as_handle()], None).is_ok() {
                handle.send(Command::Leave);
            }
        })
        .context("cannot start a thread")
}

/// Returns this PC's tunnel MAC, and the membership that it had.
fn identity(
    cli: &Cli,
    join: &JoinArgs,
    state: &StateDir,
) -> anyhow::Result<(MacAddr, SavedMembership)> {
    let kept = state.file(IDENTITY_FILE_NAME);
    let path = cli
        .identity_file
        .as_deref()
        .unwrap_or_else(|| Path::new(&kept));

    let mac = load_identity(path, cli.virtual_mac).map_err(|error| Refused::because(&error))?;
    let membership = SavedMembership::open(
        path.with_extension("place.json"),
        &join.relay.to_string(),
        &join.room.to_string(),
    );

    Ok((mac, membership))
}
