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
use lanparty_bench::load::{Way, tcp, udp, wait_reachable};
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
    let up = Way {
        from: bed.remote(0),
        to: bed.host(0),
        address: Bed::host_address(0),
    };
    let down = Way {
        from: bed.host(0),
        to: bed.remote(0),
        address: REMOTE_ADDRESS,
    };
    wait_reachable(up)?;

    let client = party.clients.first().context("there is a client")?;
    let programs = [&party.relay, &party.gateway, client];
    println!("seconds  joins  relay KiB  gateway KiB  client KiB");
    let (start, mut joins, mut memory) = (Instant::now(), 0, Vec::new());
    while start.elapsed() < Duration::from_secs(seconds.max(1)) {
        round(bed, up, down)?;
        joins += 1;
        let now = programs.map(Program::pid).map(resident_kib);
        let [relay, gateway, client] = now;
        let sample = [relay?, gateway?, client?];
        println!(
            "{:>7}  {joins:>5}  {:>9}  {:>11}  {:>10}",
            start.elapsed().as_secs(),
            sample[0],
            sample[1],
            sample[2]
        );
        memory.push(sample);
    }
    for (place, name) in ["relay", "gateway", "client"].iter().enumerate() {
        let series: Vec<u64> = memory
            .iter()
            .filter_map(|s| s.get(place).copied())
            .collect();
        flat(&series).with_context(|| format!("the {name} is not flat"))?;
    }
    println!("memory is flat after {joins} joins");

    Ok(())
}

/// One round of load in both directions at once, during which a second player joins and leaves.
fn round(bed: &Bed, up: Way<'_>, down: Way<'_>) -> Result<()> {
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
}
