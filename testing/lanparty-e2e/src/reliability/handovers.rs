//! Programs that hand over while everybody plays: not a frame may be lost.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::dialogue::Dialogue;
use super::figures::Report;
use super::flow::Flow;
use super::stage::{NEVER, Stage, entrances};

/// Renews the relay as `systemctl reload` does, under numbered packets.
///
/// # Errors
///
/// Returns an error if the party does not come about, or nobody takes over.
pub fn relay(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(2)?;
    let talks = Talks::start(&stage)?;
    for _ in 0..runs {
        std::thread::sleep(Duration::from_secs(2));
        stage.party.relay.hand_over(NEVER)?;
    }
    std::thread::sleep(Duration::from_secs(1));

    talks.report(&stage, 0)
}

/// Renews the gateway as `systemctl reload` does, under numbered packets.
///
/// # Errors
///
/// Returns an error if the party does not come about, or nobody takes over.
pub fn gateway(runs: usize) -> Result<Report> {
    let mut stage = Stage::new(2)?;
    let talks = Talks::start(&stage)?;
    for _ in 0..runs {
        std::thread::sleep(Duration::from_secs(2));
        stage.party.gateway.hand_over(NEVER)?;
    }
    std::thread::sleep(Duration::from_secs(1));

    let mut report = talks.report(&stage, runs)?;
    let logs = stage.party.gateway.stderr();
    let bad = logs.lines().find(|line| line.contains("panicked"));
    report.fact(bad.is_none(), "no process panicked");

    Ok(report)
}

/// Asks the relay for a successor that cannot start, and then for one that can.
///
/// # Errors
///
/// Returns an error if the party does not come about.
pub fn spoiled() -> Result<Report> {
    let mut stage = Stage::new(2)?;
    let keys = (stage.party.bed.relay_state()?).join("relay-keys.json");
    let talks = Talks::start(&stage)?;
    // Keys that others may read are refused; damaged ones would be made anew.
    std::fs::set_permissions(&keys, Permissions::from_mode(0o644))?;
    stage.party.relay.signal(Signal::USR2)?;
    let why = stage.party.relay.wait_log("no successor");
    std::fs::set_permissions(&keys, Permissions::from_mode(0o600))?;
    let handed_over = stage.party.relay.hand_over(NEVER);
    let took_over = stage.party.relay.wait_line("relay took over");

    let mut report = talks.report(&stage, 0)?;
    report.fact(why.is_ok(), format!("it says that there is none ({why:?})"));
    report.fact(
        handed_over.is_ok() && took_over.is_ok(),
        format!("the next one takes over ({handed_over:?})"),
    );

    Ok(report)
}

/// What a handover must not touch: dialogues of every kind, a TCP connection, and everybody's connection.
pub(super) struct Talks {
    dialogues: [Dialogue; 2],
    flow: Flow,
}

impl Talks {
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        Ok(Self {
            dialogues: [stage.talk(0)?, stage.talk_across(0, 1)?],
            flow: stage.flow(0)?,
        })
    }

    /// `gateways` is how many processes followed the first gateway: each says once that it is there.
    pub(super) fn report(self, stage: &Stage, gateways: usize) -> Result<Report> {
        let mut report = Report::default();
        let heard = self.flow.finish();
        report.fact(heard.is_ok(), format!("TCP lived through it ({heard:?})"));
        let ways = ["player and LAN", "player and player"];
        for (dialogue, way) in self.dialogues.into_iter().zip(ways) {
            let outcome = dialogue.finish()?;
            report.fact(
                outcome.lost == 0 && outcome.twice == 0,
                format!(
                    "{way}: of {} packets {} were lost, {} came twice, the slowest took {} ms",
                    outcome.packets,
                    outcome.lost,
                    outcome.twice,
                    outcome.slowest.as_millis()
                ),
            );
        }
        let members = std::iter::once(&stage.party.gateway).chain(&stage.party.clients);
        let entered: Vec<usize> = members.map(entrances).collect();
        let expected = std::iter::once(1 + gateways).chain(std::iter::repeat(1));
        report.fact(
            entered
                .iter()
                .zip(expected)
                .all(|(times, once)| *times == once),
            format!("nobody had to come back ({entered:?})"),
        );

        Ok(report)
    }
}
