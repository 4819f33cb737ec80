//! Plays a party for a long time: full load in both directions, players who join and leave, and memory that must stay flat.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use lanparty_bench::load::{Direction, tcp, udp, wait_reachable};
use lanparty_bench::meter::resident_kib;
use lanparty_bench::rival::REMOTE_ADDRESS;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::{Bed, Party, Program};
use rustix::process::Signal;

/// What memory may grow after the first third, in KiB: an allocator's arenas, not a leak, which a long run shows anyway.
const SLACK_KIB: u64 = 4096;

/// How long a player may take to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays a party in network namespaces: TCP and UDP both ways, and a second player who joins and leaves without end.
/// Fails if a program ends, or if its memory grows after the first third.
#[derive(clap::Parser, Debug)]
#[command(version)]
struct Cli {
    /// Seconds to play: half an hour shows a slow leak, 45 s that the soak itself works.
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
}

fn main() -> ExitCode {
    match run(Cli::parse().seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(seconds: u64) -> Result<()> {
    let party = Party::start_on(Bed::builder().remotes(2).build()?, 1)?;
    let bed = &party.bed;
    bed.remote(0)
        .sh(&format!("ip address replace {REMOTE_ADDRESS}/24 dev {TAP}"))?;
    let up = Direction {
        from: bed.remote(0),
        to: bed.host(0),
        address: Bed::host_address(0),
    };
    let down = Direction {
        from: bed.host(0),
        to: bed.remote(0),
        address: REMOTE_ADDRESS,
    };
    wait_reachable(up)?;

    let client = party.clients.first().context("there is a client")?;
    let programs = [&party.relay, &party.gateway, client];
    println!("seconds  joins  relay KiB  gateway KiB  client KiB");
    let (start, mut joins, mut memory) = (Instant::now(), 0, [const { Vec::new() }; 3]);
    while start.elapsed() < Duration::from_secs(seconds.max(1)) {
        round(bed, up, down)?;
        joins += 1;
        let seconds = start.elapsed().as_secs();
        let [relay, gateway, client] = programs.map(Program::pid).map(resident_kib);
        let sample = [relay?, gateway?, client?];
        println!(
            "{seconds:>7}  {joins:>5}  {:>9}  {:>11}  {:>10}",
            sample[0], sample[1], sample[2]
        );
        for (series, kib) in memory.iter_mut().zip(sample) {
            series.push((seconds, kib));
        }
    }
    let mut is_flat = true;
    for (name, series) in ["relay", "gateway", "client"].into_iter().zip(&memory) {
        is_flat &= judge(name, series);
    }
    ensure!(is_flat, "memory is not flat");
    println!("memory is flat after {joins} joins");

    Ok(())
}

/// Says how one program's memory went, and returns whether it is flat.
fn judge(name: &str, series: &[(u64, u64)]) -> bool {
    let kib: Vec<u64> = series.iter().map(|(_, kib)| *kib).collect();
    // The start is not the rule: programs fill their tables and the allocator its arenas.
    let settled = slope(series.get(series.len() / 3..).unwrap_or_default());
    let verdict = flat(&kib);
    match &verdict {
        Ok(()) => println!("{name}: {settled:+.0} KiB an hour, flat"),
        Err(error) => println!("{name}: {settled:+.0} KiB an hour, NOT FLAT: {error:#}"),
    }

    verdict.is_ok()
}

/// One round of load in both directions at once, during which a second player joins and leaves.
fn round(bed: &Bed, up: Direction<'_>, down: Direction<'_>) -> Result<()> {
    let time = Duration::from_secs(3);
    std::thread::scope(|scope| {
        let transfers = [
            scope.spawn(move || tcp(up, 2, time)),
            scope.spawn(move || tcp(down, 2, time)),
        ];
        let packets = scope.spawn(move || udp(down, 5000, time));
        let mut second = bed.start_client(1, ROOM)?;
        second.stop(Signal::INT, PATIENCE)?;
        for transfer in transfers {
            let Ok(rate) = transfer.join() else {
                bail!("a transfer panicked");
            };
            ensure!(rate? > 0.0, "nothing arrived by TCP");
        }
        packets.join().ok().context("UDP panicked")??;

        Ok(())
    })
}

/// Returns the slope of a line through (seconds, KiB), by least squares, in KiB an hour.
fn slope(series: &[(u64, u64)]) -> f64 {
    let points: Vec<(f64, f64)> = series
        .iter()
        .map(|(seconds, kib)| (as_f64(*seconds), as_f64(*kib)))
        .collect();
    let count = as_f64(points.len() as u64).max(1.0);
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let both: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();

    if spread > 0.0 {
        both / spread * 3600.0
    } else {
        0.0
    }
}

/// Seconds of a soak and KiB of a program are far below what a float holds exactly.
fn as_f64(number: u64) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

/// Compares the most of the last third with the most of the first.
fn flat(series: &[u64]) -> Result<()> {
    let third = series.len().div_ceil(3);
    let most = |part: Option<&[u64]>| part.and_then(|part| part.iter().max().copied());
    let (Some(first), Some(last)) = (
        most(series.get(..third)),
        most(series.get(series.len() - third..)),
    ) else {
        bail!("nothing was measured");
    };
    ensure!(
        last <= first + SLACK_KIB,
        "{first} KiB at most in the first third, {last} KiB in the last"
    );

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_stays_is_flat_and_memory_that_grows_is_not() {
        assert!(flat(&[8000, 20_000, 21_000, 20_500, 21_000, 23_000]).is_ok());
        assert!(flat(&[20_000, 22_000, 24_000, 26_000, 28_000, 30_000]).is_err());
        assert!(flat(&[]).is_err());
    }

    #[test]
    fn the_slope_is_per_hour() {
        assert!((slope(&[(0, 100), (10, 110), (20, 120)]) - 3600.0).abs() < 1e-6);
        assert!(slope(&[(5, 7)]).abs() < 1e-6);
    }
}
