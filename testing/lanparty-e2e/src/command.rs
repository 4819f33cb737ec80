//! Runs the system's own tools and turns their failures into sentences.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Returns a command for `program` with no standard input.
///
/// The one place that names `Command::new`: programs configure the system through its API, but a test
/// bed is an administrator, and reads best in an administrator's own words.
#[expect(
    clippy::disallowed_methods,
    reason = "the bed drives the system's tools"
)]
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());

    command
}

/// Runs `words` (a program and its arguments, separated by blanks) and returns what it printed.
///
/// # Errors
///
/// Returns an error with the tool's own words if it cannot be started or fails.
pub fn sh(words: &str) -> Result<String> {
    let mut parts = words.split_whitespace();
    let program = parts.next().context("an empty command")?;
    let mut command = tool(program);
    command.args(parts);

    output(&mut command)
}

/// Runs `command` and returns its standard output.
///
/// # Errors
///
/// Returns an error with the tool's own words if it cannot be started or fails.
pub fn output(command: &mut Command) -> Result<String> {
    let result = run(command)?;
    if !result.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            result.status,
            said(&result)
        );
    }

    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// Runs `command` to its end, whatever that is.
///
/// # Errors
///
/// Returns an error if it cannot be started.
pub fn run(command: &mut Command) -> Result<Output> {
    let result = command.output();

    result.with_context(|| {
        let program = command.get_program().to_string_lossy().into_owned();
        format!("cannot start `{program}`; CONTRIBUTING.md lists the packages the bed needs")
    })
}

/// Returns what a finished program printed on both outputs.
pub fn said(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);

    format!("{stdout}{stderr}").trim().to_owned()
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_command_and_what_it_said() {
        let error = sh("ls /no/such/folder").unwrap_err().to_string();

        assert!(error.contains("ls /no/such/folder"), "{error}");
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn missing_tool_points_to_the_packages() {
        let error = sh("no-such-tool-anywhere").unwrap_err().to_string();

        assert!(error.contains("CONTRIBUTING.md"), "{error}");
    }
}
