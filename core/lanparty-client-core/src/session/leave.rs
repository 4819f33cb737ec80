//! Leaving on purpose.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Disconnect, LeaveReason, Message, close_code, encode};
use lanparty_obs::StatusLine;

use super::{Exit, Output, Session, Stage};

/// How long a leaving member waits for the relay to take its goodbye.
const GOODBYE: Duration = Duration::from_millis(100);

impl Session {
    /// Leaves: says goodbye, and ends as soon as the relay has taken it.
    pub fn leave(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Idle | Stage::Running) {
            return;
        }
        self.close_candidate(close_code::LEFT, "left");
        let Some(line) = &self.current else {
            self.finish_leaving();
            return;
        };
        self.stage = Stage::Leaving(now + GOODBYE);
        self.outputs.push_back(Output::Send {
            attempt: line.attempt,
            bytes: encode(&Message::Disconnect(Disconnect {
                reason: LeaveReason::Disconnect,
                message: String::new(),
            })),
        });
    }

    pub(super) fn finish_leaving(&mut self) {
        self.close_current(close_code::LEFT, "left");
        self.outputs.push_back(Output::Status(StatusLine::Left));
        self.end(Exit::Left, "");
    }
}
