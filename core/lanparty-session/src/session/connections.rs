//! Opening and closing connections: the connection in use, and the candidate.

use std::time::Instant;

use lanparty_ctrl::close_code;

use super::connection::{Connection, ConnectionId, Phase};
use super::output::Output;
use super::{SUSPICION, Session};

impl Session {
    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        [self.current.as_mut(), self.candidate.as_mut()]
            .into_iter()
            .flatten()
            .find(|connection| connection.id == id)
    }

    /// Whether there is no connection in use, or one that does not answer or is to be left.
    pub(super) fn needs_connection(&self) -> bool {
        (self.current.as_ref())
            .is_none_or(|connection| connection.silence >= SUSPICION || self.handover.is_moving())
    }

    /// Whether a connection is tried that still has its time.
    pub(super) fn is_trying(&self) -> bool {
        (self.candidate.as_ref()).is_some_and(|connection| connection.phase != Phase::Overdue)
    }

    pub(super) fn open(&mut self, now: Instant) {
        self.close_overdue();
        let id = ConnectionId(self.next_attempt);
        self.next_attempt = self.next_attempt.saturating_add(1);
        self.retry_at = None;
        self.candidate = Some(Connection::new(id, now + self.backoff.patience()));
        self.outputs.push_back(Output::Connect {
            id,
            worker: self.worker,
        });
    }

    pub(super) fn close(&mut self, connection: &Connection, code: u32, reason: &'static str) {
        self.outputs.push_back(Output::Close {
            id: connection.id,
            code,
            reason,
        });
    }

    pub(super) fn close_overdue(&mut self) {
        if !self.is_trying() {
            self.close_candidate(close_code::SUPERSEDED, "took too long");
        }
    }

    pub(super) fn close_candidate(&mut self, code: u32, reason: &'static str) {
        if let Some(connection) = self.candidate.take() {
            self.close(&connection, code, reason);
        }
    }

    pub(super) fn close_current(&mut self, code: u32, reason: &'static str) {
        if let Some(connection) = self.current.take() {
            self.close(&connection, code, reason);
        }
    }
}
