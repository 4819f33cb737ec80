//! `cargo xtask ci` runs every check, `cargo xtask rules` the house rules alone.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool talks to its user"
)]

mod ci;
mod metadata;
mod rules;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "usage: cargo xtask ci [STEP…] | cargo xtask rules";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root()?;
    match arguments.split_first() {
        Some((task, steps)) if task == "ci" => ci::run(&root, steps),
        Some((task, [])) if task == "rules" => rules::run(&root),
        _ => bail!("{USAGE}; steps: {}", ci::names().join(" ")),
    }
}

/// Returns the workspace's folder.
fn root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));

    own.parent()
        .map(Path::to_owned)
        .context("xtask lies in the workspace")
}
