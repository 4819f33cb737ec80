//! Leaving on purpose, and the end.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Disconnect, LeaveReason, Message, close_code, encode};
use lanparty_obs::{StatusLine, one_line};

use super::Session;
use super::output::{EndKind, Output, SessionEnd};
use super::state::Stage;

/// How long a leaving member waits for the relay to take its goodbye.
const GOODBYE: Duration = Duration::from_millis(100);

impl Session {
    /// Leaves: says goodbye, and ends as soon as the relay has taken it.
    pub fn leave(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Idle | Stage::Running) {
            return;
        }
        self.close_candidate(close_code::LEFT, "left");
        let Some(connection) = &self.current else {
            self.finish_leaving();
            return;
        };
        self.stage = Stage::Leaving(now + GOODBYE);
        self.outputs.push_back(Output::Send {
            id: connection.id,
            bytes: encode(&Message::Disconnect(Disconnect {
                reason: LeaveReason::Disconnect,
                message: String::new(),
            })),
        });
    }

    pub(super) fn finish_leaving(&mut self) {
        self.close_current(close_code::LEFT, "left");
        self.outputs.push_back(Output::Status(StatusLine::Left));
        self.end(EndKind::Left, "");
    }

    /// Ends the session with a sentence, which may be the relay's.
    pub(super) fn end(&mut self, kind: EndKind, sentence: &str) {
        let sentence = one_line(sentence).into_owned();
        let code = match kind {
            EndKind::Left | EndKind::Refused => close_code::LEFT,
            EndKind::Failed => close_code::PROTOCOL,
        };
        self.close_candidate(code, "over");
        self.close_old_path();
        self.close_current(code, "over");
        self.stage = Stage::Ended;
        self.outputs
            .push_back(Output::Ended(SessionEnd { sentence, kind }));
    }
}
