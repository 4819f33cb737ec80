//! Counts instructions per frame: `lanparty-hotpath` checks every budget, `lanparty-hotpath NAME COUNT` pushes frames and ends.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use lanparty_hotpath::{FEW, MANY, SCENARIOS, Scenario, TOLERANCE, limit};

const USAGE: &str = "usage: lanparty-hotpath [SCENARIO COUNT]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hotpath: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => check(),
        [name, count] => {
            let scenario = SCENARIOS
                .iter()
                .find(|scenario| scenario.name == name)
                .with_context(|| format!("no scenario {name}"))?;
            (scenario.run)(count.parse().context(USAGE)?);
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

/// Counts every scenario, and fails if one costs more than it may.
fn check() -> Result<()> {
    println!("{:<22}{:>12}{:>10}", "scenario", "instr/frame", "budget");
    let mut over = Vec::new();
    for scenario in &SCENARIOS {
        let cost = per_frame(scenario)?;
        println!("{:<22}{cost:>12}{:>10}", scenario.name, scenario.budget);
        if cost > limit(scenario) {
            over.push(format!(
                "a frame of {} costs {cost} instructions, and may cost {} and {TOLERANCE} % more",
                scenario.name, scenario.budget
            ));
        }
    }
    ensure!(over.is_empty(), "{}", over.join("; "));

    Ok(())
}

fn per_frame(scenario: &Scenario) -> Result<u64> {
    let (few, many) = (count(scenario, FEW)?, count(scenario, MANY)?);

    Ok(many.saturating_sub(few) / u64::from(MANY - FEW))
}

/// Returns how many instructions a run of `frames` takes from start to end.
#[expect(
    clippy::disallowed_methods,
    reason = "valgrind is the tool that counts"
)]
fn count(scenario: &Scenario, frames: u32) -> Result<u64> {
    let own = std::env::current_exe().context("failed to find the own executable")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args([scenario.name, &frames.to_string()])
        .output()
        .context(
            "cannot start valgrind, which counts instructions: install the package `valgrind`",
        )?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed under valgrind: {said}",
        scenario.name
    );

    collected(&said).with_context(|| format!("valgrind said no count: {said}"))
}

/// Reads the number of `==1== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;

    line.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_in_valgrind_s_words() {
        let said = "==7== Events    : Ir\n==7== Collected : 244188\n==7== \n";

        assert_eq!(collected(said), Some(244_188));
        assert_eq!(collected("==7== Events    : Ir"), None);
    }
}
