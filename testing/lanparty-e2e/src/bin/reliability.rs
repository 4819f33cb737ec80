//! Measures one promise of `docs/reliability.md` with as many runs as asked.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use lanparty_e2e::reliability::{SCENARIOS, Scenario, scenario};

/// Measures promises of reliability on a bed of network namespaces. Needs root, and built programs beside this one.
#[derive(clap::Parser, Debug)]
#[command(version)]
struct Cli {
    /// Which promises; none lists them.
    scenarios: Vec<String>,
    /// How often the fault is repeated, instead of as often as the long form does.
    #[arg(long)]
    runs: Option<usize>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.scenarios.is_empty() {
        for scenario in SCENARIOS {
            println!(
                "{:<18}{:>6}  {}",
                scenario.name, scenario.runs, scenario.what
            );
        }
        return ExitCode::SUCCESS;
    }
    let mut are_kept = true;
    for name in &cli.scenarios {
        let Some(found) = scenario(name) else {
            eprintln!("there is no scenario {name}; without arguments all are listed");
            return ExitCode::from(64);
        };
        are_kept &= measure(found, cli.runs.unwrap_or(found.runs));
    }

    if are_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn measure(scenario: Scenario, runs: usize) -> bool {
    let started = Instant::now();
    println!("{}: {}", scenario.name, scenario.what);
    match (scenario.run)(runs) {
        Ok(report) => {
            print!("{report}");
            println!("  took {:.0} s", started.elapsed().as_secs_f64());
            report.is_kept()
        }
        Err(error) => {
            println!(
                "  failed after {:.0} s: {error:#}",
                started.elapsed().as_secs_f64()
            );
            false
        }
    }
}
