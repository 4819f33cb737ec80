//! Every check, in an order that fails early; each step named and timed.

mod step;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use self::step::{Outcome, Step};

/// cargo-deny's release; moved on purpose, as the compiler is.
const CARGO_DENY: &str = "0.20.2";

/// All steps. Tests come last, so that their summary ends the run.
const STEPS: [Step; 10] = [
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "rules",
        run: rules,
    },
    Step {
        name: "supply-chain",
        run: supply_chain,
    },
    Step {
        name: "lints",
        run: lints,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "build",
        run: build,
    },
    Step {
        name: "windows",
        run: windows,
    },
    Step {
        name: "fuzz-replay",
        run: fuzz_replay,
    },
    Step {
        name: "budgets",
        run: budgets,
    },
    Step {
        name: "tests",
        run: tests,
    },
];

/// Returns the names of all steps.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

/// Runs the steps called `wanted`, or all.
///
/// # Errors
///
/// Returns an error at the first step that fails, after a summary.
pub(crate) fn run(root: &Path, wanted: &[String]) -> Result<()> {
    for name in wanted {
        ensure!(
            names().contains(&name.as_str()),
            "no step {name:?}; steps: {}",
            names().join(" ")
        );
    }
    let start = Instant::now();
    let mut summary = Vec::new();
    for step in STEPS
        .iter()
        .filter(|step| wanted.is_empty() || wanted.iter().any(|name| name == step.name))
    {
        println!("\n=== {}", step.name);
        let began = Instant::now();
        let outcome = (step.run)(root);
        let time = began.elapsed();
        match outcome {
            Ok(outcome) => summary.push(line(step.name, time, &outcome)),
            Err(error) => {
                summary.push(format!(
                    "{:<14}{:>6.1} s  FAILED",
                    step.name,
                    time.as_secs_f64()
                ));
                println!("\n{}", summary.join("\n"));
                return Err(error.context(format!("step {} failed", step.name)));
            }
        }
    }
    println!("\n{}", summary.join("\n"));
    println!(
        "every check passed in {:.0} s",
        start.elapsed().as_secs_f64()
    );

    Ok(())
}

fn line(name: &str, time: Duration, outcome: &Outcome) -> String {
    format!("{name:<14}{:>6.1} s  {outcome}", time.as_secs_f64())
}

/// Returns the cargo that runs us.
#[expect(
    clippy::disallowed_methods,
    reason = "running the tools is what this program is for"
)]
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn format(root: &Path) -> Result<Outcome> {
    step::run(cargo().args(["fmt", "--all", "--check"]).current_dir(root))?;

    step::run(
        cargo()
            .args(["fmt", "--check"])
            .current_dir(root.join("fuzz")),
    )
}

fn rules(root: &Path) -> Result<Outcome> {
    crate::rules::run(root)?;

    Ok(Outcome::Passed)
}

/// Bans, licences and sources. Advisories change without us, and need the Internet: not a reason for a red commit.
///
/// cargo-deny takes about two minutes to build on two cores, once; it stays in `target/tools`.
fn supply_chain(root: &Path) -> Result<Outcome> {
    let tools = root.join("target/tools");
    if !tools.join("bin/cargo-deny").is_file() {
        let version = format!("cargo-deny@{CARGO_DENY}");
        step::run(
            cargo()
                .args(["install", "--locked", "--quiet", &version, "--root"])
                .arg(&tools)
                .env("CARGO_TARGET_DIR", tools.join("build"))
                .current_dir(root),
        )?;
        // 600 MB that nobody needs again.
        std::fs::remove_dir_all(tools.join("build"))
            .context("failed to remove cargo-deny's build folder")?;
    }
    // cargo finds `cargo-deny` by the path.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths)?;

    step::run(
        cargo()
            .args(["deny", "--locked", "check", "bans", "licenses", "sources"])
            .env("PATH", path)
            .current_dir(root),
    )
}

fn lints(root: &Path) -> Result<Outcome> {
    step::run(
        cargo()
            .args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])
            .current_dir(root),
    )
}

fn docs(root: &Path) -> Result<Outcome> {
    step::run(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .current_dir(root),
    )
}

/// The programs that end-to-end tests start.
fn build(root: &Path) -> Result<Outcome> {
    step::run(
        cargo()
            .args(["build", "--workspace", "--locked"])
            .current_dir(root),
    )
}

/// The Windows program: linted, tested, and taken to a party under Wine, by a script of its own.
fn windows(root: &Path) -> Result<Outcome> {
    let script = root.join("scripts/build-windows");
    for part in ["--clippy", "--test", "--party"] {
        step::run(step::program(&script).arg(part).current_dir(root))?;
    }

    Ok(Outcome::Passed)
}

/// Every input that fuzzing ever found, on the stable compiler.
fn fuzz_replay(root: &Path) -> Result<Outcome> {
    step::run_tests(
        cargo()
            .args(["test", "--locked"])
            .current_dir(root.join("fuzz")),
    )
}

/// Instructions per frame of the hot path: a minute, most of it for building.
fn budgets(root: &Path) -> Result<Outcome> {
    step::run(
        cargo()
            .args([
                "run",
                "--quiet",
                "--profile",
                "counted",
                "--locked",
                "-p",
                "lanparty-hotpath",
            ])
            .current_dir(root),
    )
}

fn tests(root: &Path) -> Result<Outcome> {
    let has_nextest = cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_nextest {
        println!("cargo-nextest is not installed: falling back to cargo test");
        return step::run_tests(
            cargo()
                .args(["test", "--workspace", "--locked"])
                .current_dir(root),
        );
    }
    // nextest leaves out the examples in documentation.
    step::run(
        cargo()
            .args(["test", "--workspace", "--locked", "--doc", "--quiet"])
            .current_dir(root),
    )?;
    let outcome = step::run_tests(
        cargo()
            .args([
                "nextest",
                "run",
                "--workspace",
                "--locked",
                "--status-level",
                "fail",
            ])
            .current_dir(root),
    )?;
    if matches!(outcome, Outcome::Tests(0)) {
        bail!("no test ran");
    }

    Ok(outcome)
}
