//! Successors that are no good, and successors that are killed: the old process goes on, or a supervisor starts a new one, and nobody
//! loses a place.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::figures::Report;
use super::handovers::Talks;
use super::stage::{NEVER, Stage, entrances};
use crate::link;
use crate::program::{Installed, Program, Spoil};

/// Successors that are shell scripts, and what they do.
const SCRIPTS: [(&str, &str); 3] = [
    ("ends at once", "exit 1"),
    // Not the word that it should say; then it stays.
    ("is of another kind", "printf X >&0; exec sleep 60"),
    // It has said that it is prepared, and is gone with what it is handed.
    ("dies with what it was handed", "printf P >&0; sleep 0.2"),
];

/// Records that are no good, and what becomes of them.
const SPOILS: [(&str, Spoil); 2] = [
    ("gets half a record", Spoil::Cut),
    ("gets another release's record", Spoil::Foreign),
];

/// What a process says whose successor was no good.
const REFUSED: &str = "no successor";

/// What one says that has a successor.
const HANDED_OVER: &str = "handed over to process";

/// Renews the gateway by everything that cannot become one, and then by itself.
///
/// # Errors
///
/// Returns an error if the party does not come about, or the gateway ends.
pub fn gateway() -> Result<Report> {
    spoiled("lanparty-gateway", 1, |stage| &mut stage.party.gateway)
}

/// Renews the relay by everything that cannot become one, and then by itself.
///
/// # Errors
///
/// Returns an error if the party does not come about, or the relay ends.
pub fn relay() -> Result<Report> {
    spoiled("lanparty-relay", 0, |stage| &mut stage.party.relay)
}

fn spoiled(name: &str, gateways: usize, program: fn(&mut Stage) -> &mut Program) -> Result<Report> {
    let bed = Stage::bed(2)?;
    let installed = bed.install(name)?;
    let mut stage = Stage::on(bed, 2)?;
    let talks = Talks::start(&stage)?;
    let mut facts = Vec::new();
    let mut try_one = |what: &str, prepare: &dyn Fn(&Installed) -> Result<()>| {
        prepare(&installed)?;
        let went_on = outlives_its_successor(program(&mut stage));
        facts.push((
            went_on.is_ok(),
            format!("{name} goes on when its successor {what} ({went_on:?})"),
        ));
        anyhow::Ok(())
    };
    for (what, script) in SCRIPTS {
        try_one(what, &|place| place.replace(script))?;
    }
    for (what, spoil) in SPOILS {
        try_one(what, &|place| place.spoil(spoil))?;
    }
    installed.restore()?;
    let handed_over = program(&mut stage).hand_over(NEVER);
    facts.push((
        handed_over.is_ok(),
        format!("the next one takes over ({handed_over:?})"),
    ));
    std::thread::sleep(Duration::from_secs(1));

    let mut report = talks.report(&stage, gateways)?;
    for (holds, fact) in facts {
        report.fact(holds, fact);
    }

    Ok(report)
}

/// Asks for a successor, and waits until the process says that it goes on without one.
fn outlives_its_successor(program: &mut Program) -> Result<()> {
    let before = refusals(program);
    program.signal(Signal::USR2)?;

    link::wait_until("a process that goes on", NEVER, || {
        refusals(program) > before || !program.is_running()
    })?;
    anyhow::ensure!(program.is_running(), "it has ended");

    Ok(())
}

fn refusals(program: &Program) -> usize {
    program.stderr().matches(REFUSED).count()
}

/// Kills successors of the gateway, each at another moment. Those that were the gateway by then are followed by one that a supervisor
/// starts.
///
/// # Errors
///
/// Returns an error if the party does not come about, or the LAN is never heard again.
pub fn killed(runs: usize) -> Result<Report> {
    /// How far apart the moments are.
    const STEP: Duration = Duration::from_millis(1);
    /// How many there are: a handover takes as long.
    const MOMENTS: u32 = 20;
    /// Few runs are spread over all of them.
    const STRIDE: u32 = 7;

    let mut stage = Stage::new(2)?;
    let flow = stage.flow(0)?;
    let mut report = Report::default();
    let mut new_gateways = 0;
    for run in (0..MOMENTS).cycle().take(runs) {
        let gateway = &mut stage.party.gateway;
        let before = refusals(gateway);
        gateway.kill_successor(run * STRIDE % MOMENTS * STEP, NEVER)?;
        link::wait_until("the end of the handover", NEVER, || {
            refusals(gateway) > before || !gateway.is_running()
        })?;
        if !gateway.is_running() {
            anyhow::ensure!(
                gateway.stdout().contains(HANDED_OVER),
                "the old gateway ended and had no successor{}",
                gateway.story()
            );
            stage.crash_gateway()?;
            stage.party.gateway.wait_line("gateway ready")?;
            new_gateways += 1;
        }
        stage.address(0)?;
        stage.address(1)?;
    }

    let flow = flow.finish();
    report.fact(flow.is_ok(), format!("TCP lived through it ({flow:?})"));
    let entered: Vec<usize> = stage.party.clients.iter().map(entrances).collect();
    report.fact(
        entered.iter().all(|times| *times == 1),
        format!(
            "no player had to come back ({entered:?}) while {runs} successors were killed, {new_gateways} of them as the gateway"
        ),
    );

    Ok(report)
}
