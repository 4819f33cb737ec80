//! Measures the relay alone: frames per second and core, from one to one and from one to many, and the time that it adds.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser as _;
use lanparty_bench::crowd::{Crowd, Talk};
use lanparty_bench::figures::RoundTrips;
use lanparty_bench::meter::Meter;
use lanparty_e2e::netns::{Namespace, PREFIX, sweep};
use lanparty_e2e::siege::Relay;

/// A relay that nobody is to be too much for: what limits here is the processor. With one worker, so that its seconds are those of one core.
const OPTIONS: [&str; 8] = [
    "--workers",
    "1",
    "--client-broadcast",
    "0",
    "--client-bytes",
    "0",
    "--client-unknown",
    "0",
];

/// Frames a second of a sender that is to be too fast.
const TOO_MANY: u32 = 10_000_000;

/// Frames that such a sender hands over at once: what one train holds.
const TRAIN: u32 = 64;

/// Frames a second of a player (a fast game's tick), for the times.
const TICK: u32 = 128;

/// Sends frames through a relay of its own on the loopback of a network namespace, and prints what it delivers for each second of
/// processor time, and how long frames are under way. Members are real QUIC links, all on one thread of this program.
#[derive(clap::Parser, Debug, Clone, Copy)]
#[command(version)]
struct Cli {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    sweep();
    let measured = Namespace::create(format!("{PREFIX}{:x}-relay", std::process::id()))
        .and_then(|namespace| namespace.enter(|| measure(cli)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: Cli) -> Result<()> {
    println!(
        "| to | frame bytes | sent frames/s | delivered frames/s | frames/s per core of the relay | ms under way p50 | p99 |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (receivers, len) in [(1, 64), (1, 1400), (32, 64), (32, 1400)] {
        row(cli, receivers, len)?;
    }

    Ok(())
}

/// Measures one sender with so many receivers, and prints a line.
fn row(cli: Cli, receivers: u32, len: u16) -> Result<()> {
    let relay = Relay::start("bench", &OPTIONS)?;
    let members = receivers + 1;
    let count_of = members as usize;
    let mut crowd = Crowd::new(relay.address(), relay.certificate(), members, count_of)?;
    crowd.join(count_of)?;
    let (time, to_all) = (Duration::from_secs(cli.seconds), receivers > 1);

    let game = Talk {
        busy: 1,
        rate: TICK,
        len,
        to_all,
        at_once: 4,
    };
    let sent = crowd.talk(game, time, || Ok(()))?;
    let times = RoundTrips::new(crowd.take_delays(), usize::try_from(sent)?);

    let before = crowd.received();
    let flood = Talk {
        rate: TOO_MANY,
        at_once: TRAIN,
        ..game
    };
    let meter = Meter::start(&[relay.pid()])?;
    let sent = crowd.talk(flood, time, || Ok(()))?;
    let (seconds, cpu) = (meter.seconds(), meter.used()?.iter().sum::<f64>());
    let delivered = count(crowd.received() - before);
    println!(
        "| {receivers} | {len} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
        count(sent) / seconds,
        delivered / seconds,
        delivered / cpu.max(0.01),
        times.quantile(500).unwrap_or(f64::NAN),
        times.quantile(990).unwrap_or(f64::NAN),
    );
    crowd.leave()
}

/// A count that is to be divided.
fn count(of: u64) -> f64 {
    u32::try_from(of).map_or(f64::INFINITY, f64::from)
}
