//! What programs tell about themselves: logs, metrics text, and lines that a peer can trigger.

mod exposition;
mod logs;
mod quiet;
mod sink;
mod throttle;

pub use exposition::{Exposition, Kind};
pub use logs::{
    Filter, Format, InitError, ParseFilterError, ParseFormatError, flush, init, init_with,
    last_words,
};
pub use throttle::Throttle;
