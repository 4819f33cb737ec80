//! Moving to a relay's successor without losing a frame.
//!
//! The relay says `restarting` with `stay`: the member connects to the successor and takes its place there, but goes on sending by the
//! old connection, and listens to both. It says so (`arrived`). Once everybody in the room listens to both, the relay says `move`:
//! from then on members send by the new connection, in whatever order they hear it. Every frame travels one way alone, and whoever it
//! is meant for listens there: none is lost, none comes twice.

use std::time::Instant;

use lanparty_ctrl::handover::{DRAIN_LIMIT, PATH_DISCOVERY};
use lanparty_ctrl::{Message, Welcome, close_code, encode};

use super::line::{Line, Phase};
use super::{ConnectionId, Output, SUSPICION, Session, Stage};

impl Session {
    /// Returns whether datagrams that come by a connection are for this member.
    pub fn hears(&self, attempt: ConnectionId) -> bool {
        let is_waiting = |line: &&Line| line.phase == Phase::Waiting;
        let lines = [
            self.current.as_ref(),
            self.candidate.as_ref().filter(is_waiting),
        ];

        lines
            .into_iter()
            .flatten()
            .any(|line| line.attempt == attempt)
            || self.is_former(attempt)
    }

    /// Whether a connection is the one to a relay that has a successor, and we have moved.
    pub(super) fn is_former(&self, attempt: ConnectionId) -> bool {
        (self.former.as_ref()).is_some_and(|(former, _)| former.attempt == attempt)
    }

    /// Takes what the old relay says to a member that has moved.
    ///
    /// Whoever moved by itself hears the word to move only now. The relay waits for the answer: it goes on until everybody has given it.
    pub(super) fn handle_former(&mut self, attempt: ConnectionId, bytes: &[u8]) {
        if !self.is_former(attempt) || self.stage != Stage::Running {
            return;
        }
        let mut is_told = false;
        let Some((former, _)) = &mut self.former else {
            return;
        };
        former.decoder.push(bytes);
        let is_broken = loop {
            match former.decoder.poll_message() {
                Ok(Some(message)) => is_told |= message == Message::Move,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if is_told {
            self.confirm_move();
        }
        if is_broken {
            self.close_former();
        }
    }

    /// Whether the candidate has a place with the relay's successor.
    pub(super) fn is_waiting(&self) -> bool {
        (self.candidate.as_ref()).is_some_and(|line| line.phase == Phase::Waiting)
    }

    /// Whether a new connection may wait: the old one works, and its relay says when to leave it.
    pub(super) fn may_wait(&self) -> bool {
        let is_alive = (self.current.as_ref()).is_some_and(|line| line.silence < SUSPICION);

        self.stays && is_alive
    }

    /// The candidate has the same place with the successor.
    pub(super) fn wait_beside(&mut self, mut line: Line, welcome: &Welcome, now: Instant) {
        line.phase = Phase::Waiting;
        line.deadline = Some(now + PATH_DISCOVERY);
        line.welcome = Some(Box::new(welcome.clone()));
        self.candidate = Some(line);
        self.arrive(now);
    }

    /// Tells the relay that the candidate waits, once that carries as much as the connection in use.
    pub(super) fn arrive(&mut self, now: Instant) {
        let Some(current) = &self.current else {
            return;
        };
        let (old, budget) = (current.attempt, current.budget());
        let Some(line) = (self.candidate.as_mut()).filter(|line| line.phase == Phase::Waiting)
        else {
            return;
        };
        let Some(deadline) = line.deadline else {
            return;
        };
        if line.budget() < budget && now < deadline {
            return;
        }
        line.deadline = None;
        self.outputs.push_back(Output::Send {
            attempt: old,
            bytes: encode(&Message::Arrived),
        });
    }

    /// Sends by the new connection from now on; the old one is still listened to.
    ///
    /// Without a new connection the next one that is welcomed is used at once.
    pub(super) fn moved(&mut self, now: Instant) {
        let waiting = (self.candidate.take_if(|line| line.phase == Phase::Waiting))
            .and_then(|mut line| Some((line.welcome.take()?, line)));
        match waiting {
            Some((welcome, line)) => {
                self.enter(line, &welcome, true, now);
                self.confirm_move();
            }
            None => self.stays = false,
        }
    }

    /// Tells the old relay that nothing more is sent to it, if it is still listened to.
    fn confirm_move(&mut self) {
        if let Some((former, _)) = &self.former {
            self.outputs.push_back(Output::Send {
                attempt: former.attempt,
                bytes: encode(&Message::Arrived),
            });
        }
    }

    /// Listens to the old connection for as long as something may come by it.
    pub(super) fn listen_on(&mut self, line: Line, now: Instant) {
        self.close_former();
        self.former = Some((line, now + DRAIN_LIMIT));
    }

    pub(super) fn close_former(&mut self) {
        if let Some((former, _)) = self.former.take() {
            self.outputs.push_back(Output::Close {
                attempt: former.attempt,
                code: close_code::SUPERSEDED,
                reason: "moved to the relay's successor",
            });
        }
    }
}
