//! What every member program does around the loop: lines for the person, and the end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;
use std::mem::{Discriminant, discriminant};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use lanparty_obs::StatusLine;
use lanparty_program::Refused;
use lanparty_session::{EndKind, SessionEnd};
use lanparty_telemetry::Throttle;

use crate::PortError;

/// How many lines may wait for a terminal that does not take them. Further ones are dropped: frames go first.
const LINES: usize = 64;

/// How many lines of one kind are printed at once, and then in every [`LINES_WINDOW`]: a full room of
/// 64 may come at once. A peer that comes and goes all day, or a relay that says so, fills no journal.
const LINES_OF_A_KIND: u64 = 100;

/// See [`LINES_OF_A_KIND`].
const LINES_WINDOW: Duration = Duration::from_mins(1);

/// How long the end waits for a terminal that does not take the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Prints lines for the person, on a thread of its own so that a stopped terminal stops no frame.
#[derive(Debug)]
pub struct Printer {
    lines: SyncSender<String>,
    /// Hears that the thread is gone.
    end: Receiver<Infallible>,
}

impl Printer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        Self::start_on(std::io::stdout())
    }

    fn start_on(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, receiver) = sync_channel(LINES);
        let (running, end) = sync_channel(0);
        std::thread::Builder::new()
            .name("print".to_owned())
            .spawn(move || {
                let _running: SyncSender<Infallible> = running;
                print(out, &receiver);
            })?;

        Ok(Self { lines, end })
    }

    /// Returns a function that prints a line and never waits. It prints at most 100 lines of one kind
    /// at once and 100 a minute. The next line of the kind says how many were left out.
    pub fn printer(&self) -> impl FnMut(&StatusLine) + Send + 'static {
        let lines = self.lines.clone();
        let mut kinds: HashMap<Discriminant<StatusLine>, Throttle> = HashMap::new();

        move |line| {
            let kind = kinds
                .entry(discriminant(line))
                .or_insert(Throttle::new(LINES_WINDOW, LINES_OF_A_KIND));
            let text = match kind.pass(Instant::now()) {
                None => return,
                Some(0) => line.to_string(),
                Some(left_out) => format!("{line} (left out before this: {left_out} of its kind)"),
            };
            drop(lines.try_send(text));
        }
    }

    /// Waits until everything is printed, at most for a second; every function of
    /// [`Printer::printer`] must be gone.
    pub fn finish(self) {
        drop(self.lines);
        // It says nothing: what ends the wait is that it is gone, or that the time is up.
        let _gone = self.end.recv_timeout(LAST_LINES);
    }
}

fn print(mut out: impl Write, lines: &Receiver<String>) {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use lanparty_proto::MacAddr;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Page(Arc<Mutex<String>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            page.push_str(&String::from_utf8_lossy(bytes));

            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_client_that_comes_and_goes_without_end_fills_no_journal() {
        let page = Page::default();
        let printer = Printer::start_on(page.clone()).unwrap();
        let mut print = printer.printer();
        let begun = Instant::now();
        for _ in 0..100_000 {
            print(&StatusLine::ClientJoined(MacAddr([2, 0, 0, 0, 0, 1])));
        }
        print(&StatusLine::ConnectionLost);
        drop(print);
        printer.finish();

        let page = page.0.lock().unwrap();
        // A hundred of the kind at once, two more a second at most, and one of another kind.
        let most = 102 + 2 * begun.elapsed().as_secs();
        assert!(page.lines().count() as u64 <= most, "{page}");
    }

    #[test]
    fn a_terminal_that_takes_nothing_keeps_no_program_from_ending() {
        struct Stopped;
        impl Write for Stopped {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                std::thread::sleep(Duration::MAX);
                Ok(0)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let printer = Printer::start_on(Stopped).unwrap();
        printer.printer()(&StatusLine::Left);

        let begun = Instant::now();
        printer.finish();

        assert!(begun.elapsed() < LAST_LINES * 10);
    }
}
