//! Processes that are replaced, stopped, given another clock, or refused the disk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::figures::{Figure, Report};
use super::stage::{NEVER, Stage, address, entrances};
use crate::bed::{Bed, Side};
use crate::command::sh;
use crate::program::{Program, ROOM};
use crate::traffic::ping;

/// Restarts the relay as `systemctl restart` does, under numbered packets in three directions.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn restart(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(2)?;
    let streams = [stage.up(0)?, stage.down(0)?, stage.across(0, 1)?];
    let flow = stage.flow(0)?;
    let limit = Duration::from_secs(1);
    let mut figure = Figure::new("relay restarted: first frame again, three ways").p99_limit(limit);
    for _ in 0..runs {
        std::thread::sleep(Duration::from_secs(6));
        let asked = Instant::now();
        stage.party.relay.stop(Signal::TERM, NEVER)?;
        let command = stage.party.bed.relay_command()?;
        stage.party.relay = Program::start(stage.party.bed.dir(), "relay", command)?;
        for stream in &streams {
            figure.add(stream.first_after(asked, NEVER)?);
        }
    }

    let mut report = Report::default();
    let heard = flow.finish();
    report.fact(heard.is_ok(), format!("TCP lived through it ({heard:?})"));
    let ways = ["player to LAN", "LAN to player", "player to player"];
    for (stream, way) in streams.into_iter().zip(ways) {
        let outcome = stream.finish();
        report.fact(
            outcome.twice == 0,
            format!(
                "{way}: of {} packets {} came twice ({} were lost)",
                outcome.sent,
                outcome.twice,
                outcome.lost()
            ),
        );
    }
    report.figure(figure);

    Ok(report)
}

/// Stops each program for three seconds.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn stopped_shortly(runs: usize) -> Result<Report> {
    stopped(Duration::from_secs(3), runs)
}

/// Stops each program for a minute: longer than any connection lives.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn stopped_long(runs: usize) -> Result<Report> {
    stopped(Duration::from_mins(1), runs)
}

fn stopped(time: Duration, runs: usize) -> Result<Report> {
    let mut stage = Stage::new(1)?;
    let mut report = Report::default();
    let stream = stage.up(0)?;
    for (what, which) in [
        ("relay stopped: first frame after it goes on", Which::Relay),
        (
            "gateway stopped: first frame after it goes on",
            Which::Gateway,
        ),
        (
            "client stopped: first frame after it goes on",
            Which::Client,
        ),
    ] {
        let mut figure = Figure::new(what);
        for _ in 0..runs {
            std::thread::sleep(Duration::from_secs(2));
            let program = which.of(&mut stage)?;
            program.signal(Signal::STOP)?;
            std::thread::sleep(time);
            program.signal(Signal::CONT)?;
            let first = stream.first_after(Instant::now(), NEVER);
            let alive = which.of(&mut stage)?.is_running();
            report.fact(alive && first.is_ok(), format!("{what}: {first:?}"));
            if let Ok(first) = first {
                figure.add(first);
            } else {
                // A TAP that was down has lost its address, as any card's.
                address(&stage.party.bed, 0)?;
            }
        }
        report.figure(figure);
    }

    Ok(report)
}

/// Stops relay, gateway and client for a minute, all at the same time: longer than any connection lives.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn stopped_together(runs: usize) -> Result<Report> {
    let all = [Which::Relay, Which::Gateway, Which::Client];
    let mut stage = Stage::new(1)?;
    let (up, down) = (stage.up(0)?, stage.down(0)?);
    let mut report = Report::default();
    let mut figure = Figure::new("all stopped: first frame after they go on, each direction");
    for _ in 0..runs {
        std::thread::sleep(Duration::from_secs(2));
        for which in all {
            which.of(&mut stage)?.signal(Signal::STOP)?;
        }
        std::thread::sleep(Duration::from_mins(1));
        for which in all {
            which.of(&mut stage)?.signal(Signal::CONT)?;
        }
        let going_on = Instant::now();
        for stream in [&up, &down] {
            let first = stream.first_after(going_on, NEVER);
            figure.add(first.with_context(|| stage.story(0))?);
        }
    }
    for which in all {
        let is_running = which.of(&mut stage)?.is_running();
        report.fact(is_running, format!("the {which:?} goes on"));
    }
    let twice = up.finish().twice + down.finish().twice;
    report.fact(twice == 0, format!("{twice} packets came twice"));
    report.figure(figure);

    Ok(report)
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Relay,
    Gateway,
    Client,
}

impl Which {
    fn of(self, stage: &mut Stage) -> Result<&mut Program> {
        match self {
            Self::Relay => Ok(&mut stage.party.relay),
            Self::Gateway => Ok(&mut stage.party.gateway),
            Self::Client => stage.client(0),
        }
    }
}

/// Steps the wall clock of each program by an hour and a day, forwards and backwards.
///
/// # Errors
///
/// Returns an error if `faketime` is missing or the party does not come about.
pub fn clock(runs: usize) -> Result<Report> {
    let library = sh("find /usr/lib -name libfaketime.so.1")?;
    let library = library
        .lines()
        .next()
        .context("libfaketime is not installed: apt-get install faketime")?
        .to_owned();
    let bed = Bed::new()?;
    let clock = bed.dir().join("clock");
    let set = |offset: &str| std::fs::write(&clock, format!("{offset}\n"));
    set("+0")?;
    let faked = |mut command: std::process::Command| {
        // Only the wall clock: the monotonic one never jumps, and the file is read at every look.
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    };
    let mut relay = Program::start(bed.dir(), "relay", faked(bed.relay_command()?))?;
    relay.wait_line("relay ready")?;
    let mut gateway = Program::start(bed.dir(), "gateway0", faked(bed.gateway_command(0, ROOM)?))?;
    gateway.wait_line("gateway ready")?;
    let mut client = Program::start(bed.dir(), "client0", faked(bed.client_command(0, ROOM)?))?;
    client.wait_line("joined")?;
    address(&bed, 0)?;

    let mut report = Report::default();
    for _ in 0..runs {
        for offset in ["+1h", "-1h", "+1d", "-1d", "+0"] {
            set(offset)?;
            let ping = ping(bed.remote(0), Bed::host_address(0).into(), 15)?;
            report.fact(
                ping.received == ping.sent,
                format!(
                    "wall clock at {offset}: {} of {} pings came back",
                    ping.received, ping.sent
                ),
            );
        }
    }
    report.fact(
        entrances(&client) == 1 && entrances(&gateway) == 1,
        "nobody reconnected",
    );

    Ok(report)
}

/// Fills the disk of each program before it writes its state.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn disk_full(runs: usize) -> Result<Report> {
    let bed = Bed::new()?;
    let mut report = Report::default();
    let _relay = bed.start_relay()?;
    let disk = Disk::mount(&bed.dir().join("disk"))?;
    let command = || {
        let mut command = bed.client_command(0, ROOM)?;
        command
            .env("STATE_DIRECTORY", &disk.0)
            .env("XDG_STATE_HOME", &disk.0);
        anyhow::Ok(command)
    };
    let start = || {
        let mut client = Program::start(bed.dir(), "client0", command()?)?;
        client.wait_line("joined")?;
        anyhow::Ok(client)
    };
    drop(start()?);
    let identity = disk.0.join("lanparty-client-identity.json");
    let mac = |text: &str| text.split('"').nth(3).map(str::to_owned);
    let before = mac(&std::fs::read_to_string(&identity)?);
    for _ in 0..runs {
        disk.fill()?;
        let mut client = Program::start(bed.dir(), "client0", command()?)?;
        let joined = client.wait_line("joined");
        let said = client.stderr();
        drop(client);
        let kept = std::fs::read_to_string(&identity)
            .ok()
            .and_then(|text| mac(&text));
        report.fact(
            kept == before,
            "with a full disk the identity is what it was",
        );
        report.fact(
            joined.is_ok() || said.contains("space"),
            format!(
                "with a full disk the client {}",
                if joined.is_ok() {
                    "joins"
                } else {
                    "says why it does not"
                }
            ),
        );
        disk.empty()?;
        drop(start()?);
        let kept = std::fs::read_to_string(&identity)
            .ok()
            .and_then(|text| mac(&text));
        report.fact(kept == before, "afterwards it joins with the same MAC");
    }

    let mut command = bed.program(Side::Relay, "lanparty-relay")?;
    disk.fill()?;
    command
        .env("STATE_DIRECTORY", &disk.0)
        .args(["--listen", "0.0.0.0:4434"]);
    let mut relay = Program::start(bed.dir(), "relay-full", command)?;
    let ended = relay.wait(NEVER);
    report.fact(
        ended.is_ok_and(|status| !status.success()) && relay.stderr().contains("space"),
        "a relay that cannot write its keys says so and does not start",
    );

    Ok(report)
}

/// A tiny file system; unmounted when dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &std::path::Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let disk = Self(at.to_owned());
        sh(&format!(
            "mount -t tmpfs -o size=64k,mode=700 softlan {}",
            at.display()
        ))?;

        Ok(disk)
    }

    fn filler(&self) -> std::path::PathBuf {
        self.0.join("filler")
    }

    fn fill(&self) -> Result<()> {
        let written = std::fs::write(self.filler(), vec![0; 128 * 1024]);

        anyhow::ensure!(written.is_err(), "a disk of 64 KiB took 128 KiB");
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The folder's removal says so if it is still mounted.
        drop(sh(&format!("umount -l {}", self.0.display())));
    }
}
