//! The log subscriber that every program has.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write};
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lanparty_obs::one_line;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::quiet::Quiet;
use crate::sink::{CAPACITY, Sink};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(ParseFormatError),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// The text names no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log format is `text` or `json`")]
pub struct ParseFormatError;

/// Which log lines appear: `info`, `lanparty_relay=trace,warn`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match EnvFilter::builder().parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(ParseFilterError),
        }
    }
}

/// The text is no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a log filter is error, warn, info, debug or trace, or has such words for parts of the program: info,frames=trace"
)]
pub struct ParseFilterError;

/// How long the end of a program waits for standard error to take what was said last. A disk or a
/// terminal takes it at once; what is stuck for longer than this has no reader.
const FLUSH: Duration = Duration::from_secs(1);

/// Where lines go, once that is set up.
static SINK: OnceLock<Arc<Sink>> = OnceLock::new();

/// Sends log lines to standard error from now on: those that `filter` lets pass.
///
/// No thread that logs waits for standard error: lines go through a queue to a thread of their own.
/// What standard error does not take is dropped and counted, and the log says how many lines are
/// missing. Of one kind of line there are at most 100 at once, and 100 a minute; the next one says how
/// many were left out. A program ends with [`flush`] or [`last_words`].
///
/// Standard output stays free for the lines that a person reads.
///
/// # Errors
///
/// Returns an error if logs go somewhere already, or if the system gives no thread.
pub fn init(filter: &Filter, format: Format) -> Result<(), InitError> {
    init_with(filter, format, || ())
}

/// Does the same as [`init`]; the thread that writes calls `prepare` first, for what is each thread's
/// own business: its privileges.
///
/// # Errors
///
/// Returns an error if logs go somewhere already, or if the system gives no thread.
pub fn init_with(
    filter: &Filter,
    format: Format,
    prepare: impl FnOnce() + Send + 'static,
) -> Result<(), InitError> {
    // Nothing is lost: it was read before.
    let filter = EnvFilter::builder().parse_lossy(&filter.0);
    let ansi = format == Format::Text && io::stderr().is_terminal();
    let notice = match format {
        Format::Text => text_notice,
        Format::Json => json_notice,
    };
    let sink = Sink::start(io::stderr(), CAPACITY, notice, prepare).map_err(InitError::NoThread)?;
    let queue = Arc::clone(&sink);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(ansi)
        .with_writer(move || Line {
            sink: Arc::clone(&queue),
            ansi,
        });

    match format {
        Format::Text => lines
            .map_event_format(|inner| Quiet::new(inner, format))
            .finish()
            .try_init(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .map_event_format(|inner| Quiet::new(inner, format))
            .finish()
            .try_init(),
    }
    .map_err(InitError::Twice)?;
    // Nobody else sets it: that they are set up once was just found out.
    let _set = SINK.set(sink);
    std::panic::set_hook(Box::new(|info| last_words(&panic_text(info))));

    Ok(())
}

/// Why logs go nowhere.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Logs go somewhere already.
    #[error("logs were set up twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The system gives no thread.
    #[error("cannot start a thread")]
    NoThread(#[source] io::Error),
}

/// Waits until everything that was logged is written, but no longer than a second: standard error that
/// nobody reads keeps no program from ending.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        // What is stuck for this long has no reader.
        let _is_written = sink.flush(FLUSH);
    }
}

/// Writes the last words of a program or thread to standard error, behind everything that was logged,
/// and waits for them as [`flush`] does. They may have several lines.
pub fn last_words(words: &str) {
    let words = format!("{}\n", words.trim_end_matches('\n'));
    match SINK.get() {
        Some(sink) => sink.push_last(words.as_bytes()),
        None => {
            // Without standard error there is nobody to tell.
            let _told = io::stderr().write_all(words.as_bytes());
        }
    }
    flush();
}

/// Says what Rust itself says of a panic.
fn panic_text(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        format!("\nthread '{name}' {info}\n{backtrace}")
    } else {
        format!(
            "\nthread '{name}' {info}\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"
        )
    }
}

/// What a person is told of lines that are missing.
const LOST: &str = "log lines are missing here: standard error did not take them";

fn text_notice(lost: u64) -> String {
    format!(
        "{}  WARN lanparty_telemetry: {LOST} lost={lost}\n",
        timestamp()
    )
}

fn json_notice(lost: u64) -> String {
    let at = timestamp();

    format!(
        "{{\"timestamp\":\"{at}\",\"level\":\"WARN\",\"message\":\"{LOST}\",\"lost\":{lost},\"target\":\"lanparty_telemetry\"}}\n"
    )
}

/// Returns the time as the lines beside it have it.
fn timestamp() -> String {
    let mut text = String::new();
    // A string takes everything.
    let _written = SystemTime.format_time(&mut Writer::new(&mut text));

    text
}

/// What the subscriber writes a line to, in one call.
struct Line {
    sink: Arc<Sink>,
    /// Whether the escape character is ours: the subscriber escapes those of others.
    ansi: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.push(alone(bytes, self.ansi).as_bytes());

        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a line that stays one line, whatever texts of peers are in it.
fn alone(bytes: &[u8], ansi: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut line = if ansi {
        let pieces: Vec<_> = text.split(ESCAPE).map(one_line).collect();
        pieces.join(ESCAPE)
    } else {
        one_line(text).into_owned()
    };
    line.push('\n');

    line
}

/// Begins what a terminal takes as an order (ECMA-48).
const ESCAPE: &str = "\u{1b}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_formats_that_it_prints() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(ParseFormatError));
    }

    #[test]
    fn says_what_a_filter_may_be() {
        assert_eq!("lanparty=loud".parse::<Filter>(), Err(ParseFilterError));
        assert!("info,frames=trace".parse::<Filter>().is_ok());
        let sentence = ParseFilterError.to_string();
        assert!(sentence.contains("error, warn, info"), "{sentence}");
    }

    #[test]
    fn a_text_of_a_peer_stays_inside_its_line() {
        let forged = "INFO relay: peer says x\n2026 INFO relay: joined \u{1b}[2K\n";
        assert_eq!(
            alone(forged.as_bytes(), false),
            "INFO relay: peer says x\\n2026 INFO relay: joined \\u{1b}[2K\n"
        );

        let coloured = "\u{1b}[32m INFO\u{1b}[0m a\rb\n";
        assert_eq!(
            alone(coloured.as_bytes(), true),
            "\u{1b}[32m INFO\u{1b}[0m a\\rb\n"
        );
    }

    #[test]
    fn lines_that_are_missing_are_told_in_the_format_of_the_others() {
        let text = text_notice(7);
        assert!(text.ends_with("not take them lost=7\n"), "{text}");
        let json = json_notice(7);
        assert!(json.contains("\"lost\":7,"), "{json}");
        assert!(json.starts_with("{\"timestamp\":\"2"), "{json}");
    }
}
