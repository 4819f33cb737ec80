//! Where a session is.

use std::time::Instant;

/// Where a session is. The crate's documentation has a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It has not begun.
    Idle,
    /// It tries to join for the first time.
    Joining,
    /// It has a connection that answers.
    Joined,
    /// Its connection is silent, and a second one is tried.
    Probing,
    /// Its relay has a successor, to which it connects.
    Moving,
    /// It has a connection to the relay's successor, and waits until everybody has (make before
    /// break).
    Prepared,
    /// Its connection was lost; it tries to come back.
    Reconnecting,
    /// It is a gateway whose room has another one, and waits until the room has none.
    Standby,
    /// Another process is the member now.
    HandedOver,
    /// Its goodbye is on its way.
    Leaving,
    /// It is over.
    Ended,
}

/// How far the session's life is. [`State`] tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Running,
    /// The goodbye is on its way; over at this time at the latest.
    Leaving(Instant),
    Ended,
}
