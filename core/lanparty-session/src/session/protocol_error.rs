//! A relay that says what this program does not understand.

use lanparty_ctrl::{ControlError, Disconnect, LeaveReason, Message, encode};

use super::Session;
use super::connection::ConnectionId;
use super::output::{EndKind, Output};

impl Session {
    /// The relay said something that cannot be read.
    pub(super) fn unreadable(&mut self, id: ConnectionId, error: &ControlError) {
        self.protocol_error(id, &describe(error));
    }

    /// The relay does not speak this protocol; another attempt would hear the same.
    pub(super) fn protocol_error(&mut self, id: ConnectionId, what: &str) {
        self.outputs.push_back(Output::Send {
            id,
            bytes: encode(&Message::Disconnect(Disconnect {
                reason: LeaveReason::Malformed,
                message: what.chars().take(60).collect(),
            })),
        });
        self.end(
            EndKind::Failed,
            &format!("the relay said something that this program does not understand: {what}; use programs of one release"),
        );
    }
}

/// Returns the error and what is behind it.
fn describe(error: &ControlError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
