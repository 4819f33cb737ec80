//! The options of logs.

use lanparty_telemetry::{Filter, Format};

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
