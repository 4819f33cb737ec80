//! How a program begins and ends: its command line, its exit code, and the sentence before it.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// The program did what it was asked to do, and ended when it was asked to.
pub const EXIT_OK: u8 = 0;

/// Something failed that should not.
pub const EXIT_FAILED: u8 = 1;

/// The world refused: no carrier, rejected, unreachable, a file or folder that cannot be used.
pub const EXIT_REFUSED: u8 = 2;

/// The command line cannot be used (`EX_USAGE`, sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// An error that the world is to blame for, and not the program: [`EXIT_REFUSED`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// Says what is wrong in the words of `error` and its causes.
    pub fn because(error: &dyn Error) -> Self {
        Self(chain(error))
    }
}

/// Returns an error and its causes as one sentence.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (**cause).source());

    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Reads the command line. Help and version end the program well, anything else that is wrong with
/// [`EXIT_USAGE`].
///
/// # Errors
///
/// Returns the exit code to end with.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    parse_from(std::env::args_os())
}

/// Reads a command line of its own, whose first word is the program's name; otherwise as [`parse`].
///
/// # Errors
///
/// Returns the exit code to end with.
pub fn parse_from<C: Parser>(words: impl Iterator<Item = OsString>) -> Result<C, ExitCode> {
    C::try_parse_from(words).map_err(|error| {
        // Nobody is left to tell if the terminal is gone.
        let _printed = error.print();
        let code = if error.use_stderr() {
            EXIT_USAGE
        } else {
            EXIT_OK
        };

        ExitCode::from(code)
    })
}

/// Turns the end of a program into its exit code, after telling the person why. What was logged is
/// written before that.
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        lanparty_telemetry::flush();
        return ExitCode::from(EXIT_OK);
    };
    lanparty_telemetry::last_words(&format!("{error:#}"));

    ExitCode::from(code_of(&error))
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn Error>::is::<Refused>) {
        EXIT_REFUSED
    } else {
        EXIT_FAILED
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn what_the_world_refuses_is_no_failure_of_the_program() {
        let refused: anyhow::Result<()> = Err(Refused("the port is taken".to_owned()).into());
        let refused = refused.context("cannot listen").unwrap_err();
        assert_eq!(code_of(&refused), EXIT_REFUSED);

        let failed = anyhow::Error::msg("a thread is gone");
        assert_eq!(code_of(&failed), EXIT_FAILED);
    }

    #[test]
    fn an_error_is_told_with_all_its_causes() {
        let cause = std::io::Error::other("the disk is full");
        let error = anyhow::Error::new(cause).context("cannot write the file");

        assert_eq!(
            chain(error.as_ref()),
            "cannot write the file: the disk is full"
        );
    }
}
