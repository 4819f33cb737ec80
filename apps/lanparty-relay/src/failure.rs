//! How the program ends.

use std::process::ExitCode;

/// Bad usage (`EX_USAGE` of `sysexits.h`).
const USAGE: u8 = 64;

/// The world refuses: a port that is taken, a relay that does not run, a file or folder that cannot be used.
const REFUSED: u8 = 2;

/// Why the program ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something here does not work.
    Failed(anyhow::Error),
    /// The world refuses.
    Refused(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Failure {
    /// Prints the sentence, and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (error, code) = match self {
            Self::Failed(error) => (error, ExitCode::FAILURE),
            Self::Refused(error) => (error, ExitCode::from(REFUSED)),
        };
        lanparty_telemetry::last_words(&format!("lanparty-relay: {error:#}"));

        code
    }
}

/// Prints what clap has to say, and returns the exit code: help is no failure.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _told = error.print();

    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}
