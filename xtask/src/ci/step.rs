//! One step: its command, and what came out of it.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A named check.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) run: fn(&Path) -> Result<Outcome>,
}

/// How a step ended well.
pub(super) enum Outcome {
    /// Nothing to say.
    Passed,
    /// So many tests ran, and all passed.
    Tests(u64),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("ok"),
            Self::Tests(count) => write!(f, "ok, {count} tests passed"),
        }
    }
}

/// Returns a command for a script of ours.
#[expect(
    clippy::disallowed_methods,
    reason = "running the tools is what this program is for"
)]
pub(super) fn program(path: &Path) -> Command {
    Command::new(path)
}

/// Runs a command whose output goes to the terminal.
pub(super) fn run(command: &mut Command) -> Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("failed to start {}", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }

    Ok(Outcome::Passed)
}

/// Runs a test runner, shows what it prints, and counts the tests that it says have passed.
pub(super) fn run_tests(command: &mut Command) -> Result<Outcome> {
    let (reader, writer) = std::io::pipe()?;
    let errors = writer.try_clone()?;
    let mut child = command
        .stdout(writer)
        .stderr(errors)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start {}", shown(command)))?;
    // Our own ends must close, or the pipe never does.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut passed = 0;
    for line in BufReader::new(reader).lines() {
        let line = line.context("a test runner prints text")?;
        println!("{line}");
        passed += tests_passed(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }

    Ok(Outcome::Tests(passed))
}

/// Reads the count out of the last line of nextest (`Summary […] 5 tests run: 5 passed`) or libtest
/// (`test result: ok. 5 passed; …`).
fn tests_passed(line: &str) -> u64 {
    let is_summary =
        line.trim_start().starts_with("Summary [") || line.starts_with("test result: ");
    let mut words = line
        .split_whitespace()
        .rev()
        .skip_while(|word| !word.starts_with("passed"));

    if is_summary {
        words
            .nth(1)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0)
    } else {
        0
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());

    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_in_both_runners_words() {
        assert_eq!(
            tests_passed("     Summary [   4.005s] 32 tests run: 31 passed (1 slow), 0 skipped"),
            31
        );
        assert_eq!(
            tests_passed(
                "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
            ),
            7
        );
        assert_eq!(tests_passed("test a_frame_passed ... ok"), 0);
    }
}
