//! The vocabulary of diagnostics, the same in logs, metrics, statistics and tests.

mod counters;
mod drop_reason;
mod event;
mod status;
mod text;

pub use counters::{Counters, Drops, Traffic};
pub use drop_reason::DropReason;
pub use event::{Action, Direction, FrameEvent, HeaderFields, TypeOrLength};
pub use status::{PortLoss, StatusLine};
pub use text::one_line;
