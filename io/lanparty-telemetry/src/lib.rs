//! What programs tell about themselves: logs, metrics text, and lines that a stranger can trigger.

mod exposition;
mod logs;
#[cfg(unix)]
mod supervisor;
mod throttle;

pub use exposition::{Exposition, Kind};
pub use logs::{Filter, Format, InitError, ParseFilterError, ParseFormatError, init};
#[cfg(unix)]
pub use supervisor::Supervisor;
pub use throttle::Throttle;
