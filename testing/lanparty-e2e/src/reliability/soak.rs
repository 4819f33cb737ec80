//! The same fault again and again: memory, descriptors and threads must not grow.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::figures::Report;
use super::stage::{NEVER, Stage, entrances};
use crate::link::wait_until;
use crate::program::{Program, ROOM};

/// The most that resident memory may grow (KiB) over a whole soak: a MiB an hour, for the two hours that a soak stands for.
const MAX_GROWTH: u64 = 2048;

/// Runs at the beginning that fill pools and caches, and do not count.
const WARM_UP: usize = 20;

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holds {
    memory: u64,
    descriptors: usize,
    threads: usize,
}

impl Holds {
    fn of(program: &Program) -> Result<Self> {
        let process = PathBuf::from(format!("/proc/{}", program.pid()));
        let status = std::fs::read_to_string(process.join("status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };

        Ok(Self {
            memory: number("VmRSS:").context("no VmRSS")?,
            descriptors: std::fs::read_dir(process.join("fd"))?.count(),
            threads: std::fs::read_dir(process.join("task"))?.count(),
        })
    }
}

fn compare(report: &mut Report, name: &str, before: Holds, after: Holds) {
    let grown = after.memory.saturating_sub(before.memory);
    report.fact(
        grown <= MAX_GROWTH,
        format!(
            "{name}: resident memory {} KiB, then {} KiB",
            before.memory, after.memory
        ),
    );
    report.fact(
        (before.descriptors, before.threads) == (after.descriptors, after.threads),
        format!(
            "{name}: {} descriptors and {} threads, then {} and {}",
            before.descriptors, before.threads, after.descriptors, after.threads
        ),
    );
}

fn quiet(report: &mut Report, program: &Program) {
    let logs = program.stderr();
    let bad = logs
        .lines()
        .find(|line| line.contains("ERROR") || line.contains("panicked"));
    report.fact(
        bad.is_none(),
        format!("no panic, no ERROR line {}", bad.unwrap_or_default()),
    );
}

/// Crashes a client and lets it come back, again and again; looks at relay and gateway.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn clients(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(1)?;
    let mut before = None;
    for run in 0..runs + WARM_UP {
        if run == WARM_UP {
            before = Some((
                Holds::of(&stage.party.relay)?,
                Holds::of(&stage.party.gateway)?,
            ));
        }
        let command = stage.party.bed.client_command(0, ROOM)?;
        stage.client(0)?.kill()?;
        let mut client = Program::start(stage.party.bed.dir(), "client0", command)?;
        client.wait_line("joined")?;
        *stage.client(0)? = client;
    }
    let (relay, gateway) = before.context("no run")?;
    // Connections of the dead end at their idle timeout.
    std::thread::sleep(Duration::from_secs(35));

    let mut report = Report::default();
    compare(&mut report, "relay", relay, Holds::of(&stage.party.relay)?);
    compare(
        &mut report,
        "gateway",
        gateway,
        Holds::of(&stage.party.gateway)?,
    );
    quiet(&mut report, &stage.party.relay);
    quiet(&mut report, &stage.party.gateway);

    Ok(report)
}

/// Crashes the relay again and again; looks at client and gateway.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn relay(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(1)?;
    let mut before = None;
    for run in 0..runs + WARM_UP.min(runs) {
        if run == WARM_UP.min(runs) {
            before = Some((
                Holds::of(stage.client(0)?)?,
                Holds::of(&stage.party.gateway)?,
            ));
        }
        let (client, gateway) = (entrances(stage.client(0)?), entrances(&stage.party.gateway));
        let killed = stage.crash_relay()?;
        let is_back = |stage: &mut Stage| {
            entrances(&stage.party.gateway) > gateway
                && stage.client(0).is_ok_and(|now| entrances(now) > client)
        };
        wait_until("everybody to be back", NEVER, || is_back(&mut stage))?;
        let played = Instant::now().saturating_duration_since(killed);
        std::thread::sleep(Duration::from_secs(2).saturating_sub(played));
    }
    let (client, gateway) = before.context("no run")?;
    std::thread::sleep(Duration::from_secs(5));

    let mut report = Report::default();
    let now = Holds::of(stage.client(0)?)?;
    compare(&mut report, "client", client, now);
    compare(
        &mut report,
        "gateway",
        gateway,
        Holds::of(&stage.party.gateway)?,
    );
    quiet(&mut report, &stage.party.gateway);
    quiet(&mut report, stage.client(0)?);

    Ok(report)
}
