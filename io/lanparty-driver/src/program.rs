//! What every member program does around the loop: logs, lines for the person, signals, exit codes.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Parser;
use lanparty_obs::StatusLine;
use lanparty_session::{EndKind, SessionEnd};
use lanparty_telemetry::{Filter, Format};

use crate::PortError;

/// Exit codes of all programs.
pub mod exit {
    /// It did what it was asked to do, and ended when it was asked to.
    pub const OK: u8 = 0;
    /// Something failed that should not.
    pub const FAILED: u8 = 1;
    /// The world refused: no carrier, rejected, unreachable, a file or folder that cannot be used.
    pub const REFUSED: u8 = 2;
    /// The command line cannot be used (`EX_USAGE`, sysexits.h).
    pub const USAGE: u8 = 64;
}

/// An error that the world is to blame for, and not the program: [`exit::REFUSED`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// Says what is wrong in the words of `error` and its causes.
    pub fn because(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());

        Self(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }
}

/// How logs look.
#[derive(clap::Args, Debug, Clone)]
pub struct LogArgs {
    /// What to log to standard error: error, warn, info, debug, trace, or a filter like `info,frames=trace` (every frame)
    #[arg(
        long = "log",
        env = "SOFTLAN_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub filter: Filter,

    /// How log lines look: text or json
    #[arg(
        long = "log-format",
        env = "SOFTLAN_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub format: Format,
}

/// Reads the command line. Help and version end the program well, anything else that is wrong with [`exit::USAGE`].
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
pub fn parse_from<C: Parser>(
    words: impl Iterator<Item = std::ffi::OsString>,
) -> Result<C, ExitCode> {
    C::try_parse_from(words).map_err(|error| {
        // Nobody is left to tell if the terminal is gone.
        let _printed = error.print();
        let code = if error.use_stderr() {
            exit::USAGE
        } else {
            exit::OK
        };
        ExitCode::from(code)
    })
}

/// Turns the end of a program into its exit code, after telling the person why.
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::from(exit::OK);
    };
    // Nobody is left to tell if the terminal is gone.
    let _printed = writeln!(std::io::stderr(), "{error:#}");
    let is_refused = error.chain().any(<dyn std::error::Error>::is::<Refused>);

    ExitCode::from(if is_refused {
        exit::REFUSED
    } else {
        exit::FAILED
    })
}

/// How many lines may wait for a terminal that does not take them. Further ones are dropped: frames go first.
const LINES: usize = 64;

/// Prints lines for the person, on a thread of its own so that a stopped terminal stops no frame.
#[derive(Debug)]
pub struct Printer {
    lines: SyncSender<String>,
    thread: JoinHandle<()>,
}

impl Printer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let (lines, receiver) = sync_channel(LINES);
        let thread = std::thread::Builder::new()
            .name("print".to_owned())
            .spawn(move || print(&receiver))?;

        Ok(Self { lines, thread })
    }

    /// Returns a function that prints a line and never waits.
    pub fn printer(&self) -> impl Fn(&StatusLine) + Send + 'static {
        let lines = self.lines.clone();

        move |line| drop(lines.try_send(line.to_string()))
    }

    /// Waits until everything is printed; every function of [`Printer::printer`] must be gone.
    pub fn finish(self) {
        drop(self.lines);
        // A printer that panicked has nothing more to print.
        let _finished = self.thread.join();
    }
}

fn print(lines: &Receiver<String>) {
    let mut out = std::io::stdout();
    while let Ok(line) = lines.recv() {
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// Turns the end of a session into the end of the program.
///
/// # Errors
///
/// Returns an error unless the person wanted the end.
pub fn outcome(end: Result<SessionEnd, PortError>) -> anyhow::Result<()> {
    let end = end?;
    match end.kind {
        EndKind::Left => Ok(()),
        EndKind::Failed => Err(anyhow::Error::msg(end.sentence)),
        EndKind::Refused => Err(Refused(end.sentence).into()),
    }
}

/// Returns random bits, for jitter and hashes.
///
/// # Errors
///
/// Returns an error if the system gives none.
pub fn random_seed() -> anyhow::Result<u64> {
    getrandom::u64().context("the system gives no random numbers")
}

/// Returns milliseconds since 1970, for a generation that is higher at every start.
pub fn milliseconds() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();

    u64::try_from(since.as_millis()).unwrap_or(0)
}
