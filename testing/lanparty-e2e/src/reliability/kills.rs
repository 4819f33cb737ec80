//! Programs that are killed, and come back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::figures::{Figure, Report};
use super::stage::{NEVER, Stage, address, entrances};
use crate::program::{Program, ROOM};

/// How many clients the relay is killed under.
const CLIENTS: u8 = 16;

/// How long the party plays between two faults: longer than a connection must last to count as stable (5 s), and uneven, so that
/// faults do not keep step with anybody's timer.
fn play(run: usize) {
    let uneven = Duration::from_millis(u64::try_from(run * 137 % 1000).unwrap_or(0));
    std::thread::sleep(Duration::from_millis(5500) + uneven);
}

/// Kills the relay under traffic of 16 clients.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn relay(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(CLIENTS)?;
    let streams = (0..usize::from(CLIENTS))
        .map(|n| {
            if n % 2 == 0 {
                stage.up(n)
            } else {
                stage.down(n)
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let flow = stage.flow(0)?;
    let mut figure = Figure::new("relay killed: first frame again, each of 16 clients")
        .p50_limit(Duration::from_millis(400))
        .p99_limit(Duration::from_secs(1));
    for run in 0..runs {
        play(run);
        let killed = stage.crash_relay()?;
        for (n, stream) in streams.iter().enumerate() {
            let first = stream.first_after(killed, NEVER);
            figure.add(first.with_context(|| stage.story(n))?);
        }
    }

    let mut report = Report::default();
    let flow = flow.finish();
    report.fact(flow.is_ok(), format!("TCP lived through it ({flow:?})"));
    let twice: usize = (streams.into_iter())
        .map(|stream| stream.finish().twice)
        .sum();
    report.fact(twice == 0, format!("{twice} packets came twice"));
    report.figure(figure);

    Ok(report)
}

/// Kills the gateway.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn gateway(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(2)?;
    let (up, down, across) = (stage.up(0)?, stage.down(0)?, stage.across(0, 1)?);
    let flow = stage.flow(0)?;
    let limit = Duration::from_secs(1);
    let mut figure =
        Figure::new("gateway killed: first frame again, each direction").p99_limit(limit);
    for run in 0..runs {
        play(run);
        let killed = stage.crash_gateway()?;
        for stream in [&up, &down] {
            let first = stream.first_after(killed, NEVER);
            figure.add(first.with_context(|| stage.story(0))?);
        }
    }

    let mut report = Report::default();
    let flow = flow.finish();
    report.fact(flow.is_ok(), format!("TCP lived through it ({flow:?})"));
    let (across, lan) = (across.finish(), [up.finish(), down.finish()]);
    report.fact(
        across.lost() == 0,
        format!(
            "{} of {} packets from client to client were lost",
            across.lost(),
            across.sent
        ),
    );
    let twice = lan.iter().map(|outcome| outcome.twice).sum::<usize>() + across.twice;
    report.fact(twice == 0, format!("{twice} packets came twice"));
    report.figure(figure);

    Ok(report)
}

/// Kills a client, which takes its place again.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn client(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(2)?;
    let limit = Duration::from_millis(500);
    let mut figure =
        Figure::new("client killed: from the start of the new one to its place").p99_limit(limit);
    let before = stage.client(1)?.stdout().lines().count();
    let mac = stage.party.tunnel_mac(0)?;
    for run in 0..runs {
        play(run);
        let command = stage.party.bed.client_command(0, ROOM)?;
        let client = stage.client(0)?;
        client.kill()?;
        let started = Instant::now();
        let mut client = Program::start(stage.party.bed.dir(), "client0", command)?;
        client.wait_line("joined")?;
        figure.add(started.elapsed());
        *stage.client(0)? = client;
        address(&stage.party.bed, 0)?;
    }

    let mut report = Report::default();
    report.fact(stage.party.tunnel_mac(0)? == mac, "the client kept its MAC");
    let after = stage.client(1)?.stdout().lines().count();
    report.fact(
        after == before,
        format!("others saw no leave and join ({} lines)", after - before),
    );
    let is_alone = entrances(stage.client(1)?) == 1;
    report.fact(is_alone, "nobody else had to reconnect");
    report.figure(figure);

    Ok(report)
}
