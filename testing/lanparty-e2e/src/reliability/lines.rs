//! Bad lines: joins, transfers and single frames over them.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::figures::{Figure, Report};
use super::flow::Flow;
use super::stage::{NEVER, address};
use super::stream::Stream;
use crate::bed::Bed;
use crate::impair::{Impairment, Loss, Proxy};
use crate::program::{Program, RELAY_PORT, ROOM};
use crate::traffic::{Enough, tcp as transfer};

/// How many clients join at a time.
const AT_ONCE: u8 = 8;

/// How far apart numbered frames are here: five hundred a second.
const FRAME_PACE: Duration = Duration::from_millis(2);

/// A party whose one client comes over a line of its own.
#[derive(Debug)]
pub struct Lined {
    /// The client.
    pub client: Program,
    /// Its line.
    pub proxy: Proxy,
    _gateway: Program,
    /// The relay.
    pub relay: Program,
    /// The network.
    pub bed: Bed,
}

impl Lined {
    /// Starts the party; `up` and `down` are what the client's line does.
    ///
    /// # Errors
    ///
    /// Returns an error with a program's output if it does not get ready.
    pub fn new(up: Impairment, down: Impairment, seed: u64) -> Result<Self> {
        let bed = Bed::new()?;
        let relay = bed.start_relay()?;
        let gateway = bed.start_gateway(0, ROOM)?;
        let proxy = line(&bed, 0, up, down, seed)?;
        let command = bed.client_command_by(0, proxy.address(), ROOM)?;
        let mut client = Program::start(bed.dir(), "client0", command)?;
        client.wait_line("joined")?;
        address(&bed, 0)?;

        Ok(Self {
            client,
            proxy,
            _gateway: gateway,
            relay,
            bed,
        })
    }

    /// Opens a TCP connection to the LAN that talks until it is finished.
    ///
    /// # Errors
    ///
    /// Returns an error if no connection comes about.
    pub fn flow(&self) -> Result<Flow> {
        let lan = Bed::host_address(0).into();

        Flow::start(self.bed.remote(0), self.bed.host(0), lan)
    }
}

/// Puts a line between remote PC `n` and the relay.
fn line(bed: &Bed, n: u8, up: Impairment, down: Impairment, seed: u64) -> Result<Proxy> {
    let relay = Bed::relay_address(RELAY_PORT);
    let router = SocketAddr::from(([10, 80, 10 + n, 1], 0));

    bed.inet()
        .enter(|| Proxy::start(router, relay, up, down, seed))
        .context("no line")
}

/// Joins at 30 % loss in bursts of three.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn joins_loss(runs: usize) -> Result<Report> {
    let loss = Loss::Bursts {
        rate: 0.3,
        length: 3.0,
    };

    joins(
        "join at 30 % loss in bursts of 3",
        Impairment {
            loss,
            ..Impairment::default()
        },
        runs,
    )
}

/// Joins at 30 % corruption.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn joins_corruption(runs: usize) -> Result<Report> {
    joins(
        "join at 30 % corruption",
        Impairment {
            corrupt: 0.3,
            ..Impairment::default()
        },
        runs,
    )
}

fn joins(what: &'static str, impairment: Impairment, runs: usize) -> Result<Report> {
    let bed = Bed::builder().remotes(AT_ONCE).build()?;
    let _relay = bed.start_relay()?;
    let lines = (0..AT_ONCE)
        .map(|n| line(&bed, n, impairment, impairment, 1000 + u64::from(n)))
        .collect::<Result<Vec<_>>>()?;
    let figure = Mutex::new(Figure::new(what).p99_limit(Duration::from_secs(5)));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (n, proxy) in lines.iter().enumerate() {
            let (bed, figure, failures) = (&bed, &figure, &failures);
            scope.spawn(move || {
                for run in (n..runs).step_by(usize::from(AT_ONCE)) {
                    match join(bed, n, proxy.address(), run) {
                        Ok(time) => locked(figure).add(time),
                        Err(error) => locked(failures).push(format!("{error:#}")),
                    }
                }
            });
        }
    });

    let failures = locked(&failures);
    let mut report = Report::default();
    let first = failures.first().map_or("", String::as_str);
    report.fact(
        failures.is_empty(),
        format!("{} of {runs} joins failed {first}", failures.len()),
    );
    report.figure(locked(&figure).clone());

    Ok(report)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One join and one leave. Rooms differ, so that every join is a first one.
fn join(bed: &Bed, n: usize, relay: SocketAddr, run: usize) -> Result<Duration> {
    let command = bed.client_command_by(n, relay, &format!("JOIN{run}"))?;
    let started = Instant::now();
    let mut client = Program::start(bed.dir(), &format!("client{n}"), command)?;
    client.wait_line("joined")?;
    let time = started.elapsed();
    client.stop(rustix::process::Signal::TERM, NEVER)?;

    Ok(time)
}

/// The lines that transfers and frames go over.
fn bad_lines() -> [(&'static str, Impairment); 6] {
    let lossy = |rate| Impairment {
        loss: Loss::Independent(rate),
        ..Impairment::default()
    };

    [
        ("1 % loss", lossy(0.01)),
        ("5 % loss", lossy(0.05)),
        ("20 % loss", lossy(0.2)),
        (
            "25 % reordering",
            Impairment {
                reorder: 0.25,
                reorder_by: Duration::from_millis(5),
                ..Impairment::default()
            },
        ),
        (
            "5 % duplication",
            Impairment {
                duplicate: 0.05,
                ..Impairment::default()
            },
        ),
        (
            "2 % corruption",
            Impairment {
                corrupt: 0.02,
                ..Impairment::default()
            },
        ),
    ]
}

/// Sends megabytes by TCP over every bad line, and compares SHA-256.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn tcp(megabytes: usize) -> Result<Report> {
    let bytes = u64::try_from(megabytes).unwrap_or(u64::MAX) * 1_000_000;
    let mut report = Report::default();
    for (seed, (name, impairment)) in (1..).zip(bad_lines()) {
        let lined = Lined::new(impairment, impairment, seed)?;
        let lan = Bed::host_address(0).into();
        let sent = transfer(
            lined.bed.remote(0),
            lined.bed.host(0),
            lan,
            Enough::Bytes(bytes),
        );
        match sent {
            Ok(sent) => report.fact(
                sent.bytes == bytes,
                format!(
                    "{megabytes} MB at {name}: equal, {:.1} Mbit/s",
                    sent.megabits()
                ),
            ),
            Err(error) => report.fact(false, format!("{megabytes} MB at {name}: {error:#}")),
        }
    }

    Ok(report)
}

/// Counts numbered frames over every bad line against what the line itself lost.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn frames(thousands: usize) -> Result<Report> {
    let mut report = Report::default();
    for (seed, (name, impairment)) in (1..).zip(bad_lines()) {
        // The other direction is a good one, so that the line's count is of what carries frames.
        let lined = Lined::new(impairment, Impairment::default(), seed)?;
        let bed = &lined.bed;
        let before = lined.proxy.line_up();
        let stream = Stream::start(
            bed.remote(0),
            bed.host(0),
            Bed::host_address(0).into(),
            FRAME_PACE,
        )?;
        let count = u32::try_from(thousands * 1000).unwrap_or(u32::MAX);
        std::thread::sleep(FRAME_PACE * count);
        let outcome = stream.finish();
        let line = lined.proxy.line_up().since(before);
        let (lost, line_lost) = (
            percent(outcome.lost(), outcome.sent),
            percent(line.lost, line.entered),
        );
        report.fact(
            outcome.twice == 0,
            format!("{} frames came twice at {name}", outcome.twice),
        );
        report.fact(
            lost - line_lost <= 0.1,
            format!(
                "of {} frames {lost:.2} % were lost at {name}, the line lost {line_lost:.2} % of its packets",
                outcome.sent
            ),
        );
    }

    Ok(report)
}

fn percent(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
    let share = part as f64 / whole.max(1) as f64;

    share * 100.0
}
