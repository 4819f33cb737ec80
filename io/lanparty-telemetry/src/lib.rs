//! What programs tell about themselves: logs, metrics text, and lines that a stranger can trigger.

mod exposition;
mod logs;
mod quiet;
mod sink;
#[cfg(unix)]
mod supervisor;
mod throttle;

pub use exposition::{Exposition, Kind};
pub use logs::{
    Filter, Format, InitError, ParseFilterError, ParseFormatError, flush, init, init_with,
    last_words,
};
#[cfg(unix)]
pub use supervisor::Supervisor;
pub use throttle::Throttle;
