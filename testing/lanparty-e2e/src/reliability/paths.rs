//! Paths that end, change, swallow, forget, or are quiet.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::{Figure, Report};
use super::flow::Flow;
use super::lines::Lined;
use super::stage::{NEVER, Stage, entrances};
use crate::bed::{Bed, Side};
use crate::impair::Impairment;

/// How long the cable is out.
const OUT: Duration = Duration::from_secs(5);

/// Pulls the cable of a player for five seconds.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn link_down(runs: usize) -> Result<Report> {
    let stage = Stage::new(1)?;
    let (stream, flow) = (stage.up(0)?, stage.flow(0)?);
    let limit = Duration::from_secs(1);
    let mut figure =
        Figure::new("cable out for 5 s: first frame after it is back").p99_limit(limit);
    for _ in 0..runs {
        std::thread::sleep(Duration::from_secs(2));
        stage.party.bed.set_wan_up(Side::Remote(0), false)?;
        std::thread::sleep(OUT);
        stage.party.bed.set_wan_up(Side::Remote(0), true)?;
        figure.add(stream.first_after(Instant::now(), NEVER)?);
    }

    let mut report = Report::default();
    lived(&mut report, flow);
    report.figure(figure);

    Ok(report)
}

/// Gives a player another address in the middle of a transfer.
///
/// # Errors
///
/// Returns an error if the party does not come about, or does not come back at all.
pub fn address_change(runs: usize) -> Result<Report> {
    let stage = Stage::new(1)?;
    let (up, down, flow) = (stage.up(0)?, stage.down(0)?, stage.flow(0)?);
    let limit = Duration::from_secs(1);
    let mut figure =
        Figure::new("another address: first frame by it, each direction").p99_limit(limit);
    for run in 0..runs {
        std::thread::sleep(Duration::from_secs(2));
        let last = if run % 2 == 0 { 3 } else { 2 };
        let changed = Instant::now();
        stage.party.bed.set_wan_address(Side::Remote(0), last)?;
        figure.add(up.first_after(changed, NEVER)?);
        figure.add(down.first_after(changed, NEVER)?);
    }

    let mut report = Report::default();
    lived(&mut report, flow);
    report.figure(figure);

    Ok(report)
}

/// Swallows everything for two seconds of every five.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn black_hole(seconds: usize) -> Result<Report> {
    let lined = Lined::new(Impairment::default(), Impairment::default(), 1)?;
    let flow = lined.flow()?;
    for _ in 0..seconds.div_ceil(5) {
        std::thread::sleep(Duration::from_secs(3));
        lined.proxy.set_black_hole(true);
        std::thread::sleep(Duration::from_secs(2));
        lined.proxy.set_black_hole(false);
    }

    let mut report = Report::default();
    lived(&mut report, flow);
    stayed(&mut report, &lined);

    Ok(report)
}

/// Gives the player another port every five seconds, as a NAT does that forgets.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn rebinding(seconds: usize) -> Result<Report> {
    let lined = Lined::new(Impairment::default(), Impairment::default(), 1)?;
    let flow = lined.flow()?;
    for _ in 0..seconds.div_ceil(5) {
        std::thread::sleep(Duration::from_secs(5));
        lined.proxy.rebind();
    }
    std::thread::sleep(Duration::from_secs(1));

    let mut report = Report::default();
    lived(&mut report, flow);
    stayed(&mut report, &lined);

    Ok(report)
}

/// Says nothing: an idle line must not be suspected.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn idle(seconds: usize) -> Result<Report> {
    let lined = Lined::new(Impairment::default(), Impairment::default(), 1)?;
    std::thread::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));

    let mut report = Report::default();
    let ping = crate::traffic::ping(lined.bed.remote(0), Bed::host_address(0).into(), 5)?;
    report.fact(
        ping.received == 5,
        format!("{} of 5 pings came back afterwards", ping.received),
    );
    stayed(&mut report, &lined);

    Ok(report)
}

fn lived(report: &mut Report, flow: Flow) {
    match flow.finish() {
        Ok(heard) => report.fact(true, format!("TCP lived through it ({heard} numbers)")),
        Err(error) => report.fact(false, format!("TCP lived through it ({error:#})")),
    }
}

/// The client stayed on the connection that it joined with.
fn stayed(report: &mut Report, lined: &Lined) {
    let logs = lined.relay.stderr();
    let is_join = |line: &&str| line.contains(" joined ") && line.contains("Client");
    let joins = logs.lines().filter(is_join).count();
    report.fact(joins == 1, format!("the client joined {joins} times"));
    let times = entrances(&lined.client) - 1;
    report.fact(times == 0, format!("the client was lost {times} times"));
}
