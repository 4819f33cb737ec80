//! A relay that says what this program does not understand.

use lanparty_ctrl::{ControlError, Disconnect, LeaveReason, Message, encode};

use super::{Attempt, Exit, Output, Session};

impl Session {
    /// The relay does not speak this protocol; another attempt would hear the same.
    pub(super) fn misunderstood(&mut self, attempt: Attempt, what: &str) {
        self.outputs.push_back(Output::Send {
            attempt,
            bytes: encode(&Message::Disconnect(Disconnect {
                reason: LeaveReason::Malformed,
                message: what.chars().take(60).collect(),
            })),
        });
        self.end(
            Exit::Failed,
            &format!("the relay said something that this program does not understand: {what}; use programs of one release"),
        );
    }
}

/// Returns the error and what is behind it.
pub(super) fn describe(error: &ControlError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
