//! The log subscriber that every program has.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// Sends log lines to standard error from now on: those that `filter` lets pass.
///
/// Standard output stays free for the lines that a person reads.
///
/// # Errors
///
/// Returns an error if logs go somewhere already.
pub fn init(filter: &Filter, format: Format) -> Result<(), InitError> {
    // Nothing is lost: it was read before.
    let filter = EnvFilter::builder().parse_lossy(&filter.0);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);

    match format {
        Format::Text => lines
            .with_ansi(io::stderr().is_terminal())
            .finish()
            .try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    }
    .map_err(InitError)
}

/// Logs go somewhere already.
#[derive(Debug, thiserror::Error)]
#[error("logs were set up twice")]
pub struct InitError(#[source] tracing_subscriber::util::TryInitError);

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
}
