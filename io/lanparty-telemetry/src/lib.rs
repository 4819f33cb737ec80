//! What programs tell about themselves: logs, metrics text, and lines that an unvalidated peer can trigger.

mod exposition;
mod logs;
mod throttle;

pub use exposition::{Exposition, Kind};
pub use logs::{Filter, Format, InitError, ParseFilterError, ParseFormatError, init};
pub use throttle::Throttle;
