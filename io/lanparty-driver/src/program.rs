//! What every member program does around the loop: lines for the person, and the end.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use lanparty_obs::StatusLine;
use lanparty_program::Refused;
use lanparty_session::{EndKind, SessionEnd};

use crate::PortError;

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
