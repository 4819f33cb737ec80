//! A whole LAN party on this machine, shown step by step; `./party` builds and starts it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use lanparty_e2e::bed::Bed;
use lanparty_e2e::link::snapshot;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::traffic::{Enough, Ping, Transfer, ping, tcp};
use lanparty_e2e::{Program, openttd};
use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};

/// What the game on the LAN is called.
const GAME: &str = "softlan party";

/// How long games and programs may take; a slow machine is no failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// Exit code of a program that Ctrl-C ended (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// Runs a whole LAN party in network namespaces of this machine: a DHCP server and a game server on the LAN, a relay,
/// a gateway, and a remote PC that joins. Nothing is left behind.
#[derive(clap::Parser, Debug)]
#[command(version)]
struct Cli {
    /// Seconds of TCP in each direction.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Leave the offloads of the network cards on, as most PCs have them; otherwise every frame is as on a wire.
    #[arg(long)]
    offload: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            eprintln!("cannot listen for Ctrl-C: {error}");
            return ExitCode::FAILURE;
        }
    }
    let mut show = Show {
        interrupted,
        is_open: false,
    };
    match run(&cli, &mut show) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if show.interrupted.load(Ordering::Relaxed) => {
            eprintln!("\ninterrupted; everything is taken down");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!(
                "{}the party failed: {error:#}",
                if show.is_open { "\n" } else { "" }
            );
            ExitCode::FAILURE
        }
    }
}

/// Prints steps as they begin, and what came of them.
struct Show {
    interrupted: Arc<AtomicBool>,
    is_open: bool,
}

impl Show {
    fn step<T>(
        &mut self,
        what: &str,
        work: impl FnOnce() -> Result<T>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        print!("  {what:<44}");
        // Progress that cannot be shown is no reason to stop.
        drop(std::io::stdout().flush());
        self.is_open = true;
        let value = work()?;
        self.is_open = false;
        println!("{}", told(&value));

        Ok(value)
    }
}

fn run(cli: &Cli, show: &mut Show) -> Result<()> {
    println!("A LAN party on this machine, in network namespaces:\n");
    let bed = show.step(
        "network (PC, Internet, relay, gateway, LAN)",
        Bed::new,
        |_| "ready".to_owned(),
    )?;
    if cli.offload {
        Bed::set_offloads(bed.gateway_cable(0), true)?;
        Bed::set_offloads(bed.host_cable(0), true)?;
    }
    let before = snapshot(bed.remote(0))?;
    let _dnsmasq = show.step(
        "LAN: DHCP server",
        || bed.start_dnsmasq(),
        |_| "dnsmasq is ready".to_owned(),
    )?;
    let game = || bed.start_openttd(bed.host(0), GAME);
    let _game = show.step("LAN: game server (draws a map)", game, |_| {
        "OpenTTD is ready".to_owned()
    })?;

    let relay = show.step(
        "Internet: lanparty-relay",
        || bed.start_relay(),
        Program::stdout_line,
    )?;
    let gateway = show.step(
        "party: lanparty-gateway",
        || bed.start_gateway(0, ROOM),
        Program::stdout_line,
    )?;
    let mut client = show.step(
        "home: lanparty-client-linux",
        || bed.start_client(0, ROOM),
        Program::stdout_line,
    )?;

    play(cli, show, &bed)?;

    let leave = || {
        let start = Instant::now();
        client.stop(Signal::INT, PATIENCE)?;
        ensure!(
            snapshot(bed.remote(0))? == before,
            "the remote PC is not as it was before"
        );
        Ok(start.elapsed())
    };
    show.step("leaving", leave, |time| {
        format!(
            "{:.0} ms; routes and devices as before",
            time.as_secs_f64() * 1e3
        )
    })?;
    drop((gateway, relay));
    show.step(
        "taking everything down",
        || {
            drop(bed);
            Ok(())
        },
        |()| "nothing is left".to_owned(),
    )?;

    Ok(())
}

/// What a player does.
fn play(cli: &Cli, show: &mut Show, bed: &Bed) -> Result<()> {
    let (remote, host) = (bed.remote(0), bed.host(0));
    let lan = Bed::host_address(0).into();
    println!();
    let lease = show.step(
        "address from the party's DHCP server",
        || bed.lease(remote, TAP),
        |lease| format!("{} from {}", lease.address, lease.server),
    )?;
    show.step(
        "ping to the LAN",
        || pinged(ping(remote, lan, 10)?),
        told_ping,
    )?;
    show.step(
        "ping from the LAN",
        || pinged(ping(host, lease.address.into(), 10)?),
        told_ping,
    )?;
    let find = || {
        let found = openttd::find(remote, Ipv4Addr::BROADCAST, PATIENCE)?;
        ensure!(
            openttd::is_called(remote, found, GAME)?,
            "{found} is another game"
        );
        Ok(found)
    };
    show.step("game found by broadcast", find, |address| {
        format!("\"{GAME}\" at {address}")
    })?;

    let time = Enough::Time(Duration::from_secs(cli.seconds.max(1)));
    show.step(
        "TCP, remote PC to LAN",
        || tcp(remote, host, lan, time),
        told_transfer,
    )?;
    let down = || tcp(host, remote, lease.address.into(), time);
    show.step("TCP, LAN to remote PC", down, told_transfer)?;
    let loaded = || {
        std::thread::scope(|scope| {
            let transfer = scope.spawn(|| {
                tcp(
                    host,
                    remote,
                    lease.address.into(),
                    Enough::Time(Duration::from_secs(3)),
                )
            });
            std::thread::sleep(Duration::from_millis(300));
            let ping = ping(remote, lan, 10).and_then(pinged);
            transfer.join().ok().context("the transfer panicked")??;
            ping
        })
    };
    show.step("ping beside TCP at full speed", loaded, told_ping)?;

    Ok(())
}

fn pinged(ping: Ping) -> Result<Ping> {
    ensure!(ping.received > 0, "none of {} pings came back", ping.sent);

    Ok(ping)
}

fn told_ping(ping: &Ping) -> String {
    let average = ping.average_ms.unwrap_or_default();

    format!(
        "{average:.2} ms round trip, {} of {} came back",
        ping.received, ping.sent
    )
}

fn told_transfer(transfer: &Transfer) -> String {
    format!(
        "{:.0} Mbit/s, {} MB with equal SHA-256",
        transfer.megabits(),
        transfer.bytes / 1_000_000
    )
}
