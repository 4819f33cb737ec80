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

/// Sends log lines to standard error from now on: those that `filter` lets pass (`info`, `lanparty_relay=trace,warn`, …).
///
/// Standard output stays free for the lines that a person reads.
///
/// # Errors
///
/// Returns an error if `filter` cannot be read, or logs go somewhere already.
pub fn init(filter: &str, format: Format) -> Result<(), InitError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| InitError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
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
    .map_err(InitError::Twice)
}

/// Why logs go nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The filter cannot be read.
    #[error("{filter:?} is no log filter; use error, warn, info, debug or trace")]
    Filter {
        /// What was asked for.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is a subscriber.
    #[error("logs were set up twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

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
        let error = init("lanparty=loud", Format::Text).unwrap_err();

        assert!(error.to_string().contains("use error, warn, info"));
    }
}
