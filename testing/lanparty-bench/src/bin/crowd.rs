//! Measures what a relay's members cost it in memory: thousands that are only there, and hundreds that talk.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser as _;
use lanparty_bench::crowd::{Crowd, Talk};
use lanparty_e2e::netns::{Namespace, PREFIX, sweep};
use lanparty_e2e::siege::Relay;

/// What an idle member may cost a relay, in bytes.
const MAX_IDLE: u64 = 60 * 1024;

/// Fills a relay of its own, with the limits it has by default, on the loopback of a network namespace, and prints what its members
/// cost in resident memory. Fails if an idle one costs 60 KiB or more, or if anybody loses its membership.
#[derive(clap::Parser, Debug, Clone, Copy)]
#[command(version)]
struct Cli {
    /// Members; a relay lets in 10,000 by default.
    #[arg(long, default_value_t = 10_000)]
    members: usize,
    /// Members of one room; they hear of each other's coming.
    #[arg(long, default_value_t = 50)]
    room_size: u32,
    /// Seconds in which nobody says anything before memory is read.
    #[arg(long, default_value_t = 20)]
    rest: u64,
    /// How many of them talk, two and two, after that.
    #[arg(long, default_value_t = 500)]
    busy: u32,
    /// Frames a second of each that talks.
    #[arg(long, default_value_t = 60)]
    rate: u32,
    /// Bytes of each frame.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u16).range(60..=1400))]
    len: u16,
    /// Seconds of talk.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    sweep();
    let measured = Namespace::create(format!("{PREFIX}{:x}-crowd", std::process::id()))
        .and_then(|namespace| namespace.enter(|| measure(cli)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crowd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: Cli) -> Result<()> {
    let mut relay = Relay::start("crowd", &[])?;
    let empty = relay.resident()?;
    println!("empty relay: {} KiB", empty / 1024);

    let mut crowd = Crowd::new(
        relay.address(),
        relay.certificate(),
        cli.room_size,
        cli.members,
    )?;
    let start = Instant::now();
    while crowd.joined() < cli.members {
        let batch = 1000.min(cli.members - crowd.joined());
        crowd.join(batch)?;
        let each = per(relay.resident()?, empty, crowd.joined());
        println!(
            "{:>6} have joined after {:>5.1} s: {each} bytes each",
            crowd.joined(),
            start.elapsed().as_secs_f64()
        );
    }
    crowd.rest(Duration::from_secs(cli.rest))?;
    let idle = relay.resident()?;
    println!(
        "idle: {} KiB, {} bytes per member",
        idle / 1024,
        per(idle, empty, crowd.joined())
    );

    talk(cli, &relay, &mut crowd, idle)?;
    crowd.rest(Duration::from_secs(cli.rest))?;
    let again = relay.resident()?;
    println!(
        "idle again: {} KiB, {} bytes per member",
        again / 1024,
        per(again, empty, crowd.joined())
    );
    crowd.leave()?;
    std::thread::sleep(Duration::from_secs(2));
    println!("everybody has left: {} KiB", relay.resident()? / 1024);
    ensure!(relay.is_running(), "the relay has crashed");
    let each = per(idle, empty, cli.members);
    ensure!(each < MAX_IDLE, "an idle member costs {each} bytes");

    Ok(())
}

/// Lets some members talk, and prints what that costs at the worst moment.
fn talk(cli: Cli, relay: &Relay, crowd: &mut Crowd, idle: u64) -> Result<()> {
    let (mut most, before) = (idle, crowd.received());
    let sent = crowd.talk(
        Talk {
            busy: cli.busy,
            rate: cli.rate,
            len: cli.len,
            to_all: false,
            at_once: 4,
        },
        Duration::from_secs(cli.seconds),
        || {
            most = most.max(relay.resident()?);
            Ok(())
        },
    )?;
    println!(
        "{} talk, {sent} frames of {} bytes in {} s, {} arrived: {} KiB, {} bytes more per member that talks",
        cli.busy,
        cli.len,
        cli.seconds,
        crowd.received() - before,
        most / 1024,
        per(most, idle, cli.busy as usize)
    );

    Ok(())
}

/// Returns the share of each of `members` in the growth from `before` to `now`.
fn per(now: u64, before: u64, members: usize) -> u64 {
    now.saturating_sub(before) / u64::try_from(members.max(1)).unwrap_or(u64::MAX)
}
