//! Silence, failure and coming back.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Disconnect, LeaveReason, close_code};
use lanparty_obs::{StatusLine, one_line};

use super::connection::{ConnectionError, ConnectionId, Phase};
use super::output::{EndKind, Output};
use super::state::Stage;
use super::{SUSPICION, Session};

/// How long a connection must have lasted for the next loss to be tried again at once.
const STABLE: Duration = Duration::from_secs(5);

impl Session {
    /// Takes how long a connection's peer has owed an answer: the age of the oldest packet that asks for one, 0 if none is owed.
    ///
    /// An idle connection owes nothing, so the owner pings it every second or so.
    pub fn handle_silence(&mut self, id: ConnectionId, silence: Duration, now: Instant) {
        let Some(connection) = (self.current.as_mut()).filter(|connection| connection.id == id)
        else {
            return;
        };
        connection.silence = silence;
        if self.stage != Stage::Running || self.is_handed_over() {
            return;
        }
        if silence >= SUSPICION {
            if self.is_prepared() {
                self.moved(now);
            } else if !self.is_trying() && self.retry_at.is_none() {
                self.open(now);
            }
            return;
        }

        // The connection in use answers again: a candidate that has not said hello yet is not needed.
        let is_idle =
            |phase| matches!(phase, Phase::Connecting | Phase::Overdue | Phase::Connected);
        if !self.handover.is_moving()
            && (self.candidate.as_ref()).is_some_and(|connection| is_idle(connection.phase))
        {
            self.close_candidate(close_code::SUPERSEDED, "not needed");
            self.backoff.reset();
        }
    }

    /// The system's addresses or routes changed, or it slept: what was waited for is tried now, on a fresh connection.
    ///
    /// A connection that answers stays; the owner asks it for a sign of life.
    pub fn handle_network_change(&mut self, now: Instant) {
        if self.stage != Stage::Running {
            return;
        }
        self.backoff.reset();
        if (self.candidate.as_ref()).is_some_and(|connection| connection.phase == Phase::Connecting)
        {
            self.close_candidate(close_code::SUPERSEDED, "the network changed");
        }
        if !self.is_trying() && self.needs_connection() {
            self.open(now);
        }
    }

    /// Takes the end of a connection, or that it could not be made.
    pub fn handle_closed(&mut self, id: ConnectionId, cause: ConnectionError, now: Instant) {
        let is_current = (self.current.as_ref()).is_some_and(|connection| connection.id == id);
        let is_candidate = (self.candidate.as_ref()).is_some_and(|connection| connection.id == id);
        if let Stage::Leaving(_) = self.stage {
            if is_current {
                self.current = None;
                self.finish_leaving();
            }
            return;
        }

        if is_current {
            let is_superseded = matches!(&cause, ConnectionError::Closed { code, .. } if *code == u64::from(close_code::SUPERSEDED));
            if (is_superseded || self.is_handed_over()) && self.handed_over() {
                self.current = None;
                return;
            }
            if let ConnectionError::Closed { code, text } = &cause
                && is_removed(*code)
                && !self.is_taking_over()
            {
                self.current = None;
                self.end(
                    EndKind::Refused,
                    &told(text, "the relay removed this member"),
                );
                return;
            }
            self.lost(now);
        } else if is_candidate {
            let is_overdue = !self.is_trying();
            self.candidate = None;
            // That an attempt brought nothing was told when it became overdue, and the next is due.
            let is_told = matches!(
                cause,
                ConnectionError::Certificate(_) | ConnectionError::Closed { .. }
            );
            if !is_overdue || is_told {
                self.attempt_failed(cause, now);
            }
        } else if self.handover.is_old_path(id) {
            self.handover.old_path = None;
        }
    }

    fn attempt_failed(&mut self, cause: ConnectionError, now: Instant) {
        match cause {
            ConnectionError::Certificate(text) if !self.has_joined() => {
                let relay = &self.config.relay;
                let sentence = format!(
                    "the certificate of {relay} is not the one to trust ({text}); check --relay-ca-cert and --server-name"
                );
                self.end(EndKind::Refused, &sentence);
            }
            ConnectionError::Closed { code, text } => {
                let is_rejected = code == u64::from(close_code::REJECTED) || is_removed(code);
                let sentence = told(&text, "the relay closed the connection");
                self.refused(!is_rejected, &sentence, now);
            }
            ConnectionError::Unreachable(_)
            | ConnectionError::TimedOut
            | ConnectionError::Reset
            | ConnectionError::Certificate(_)
            | ConnectionError::Transport(_)
            | ConnectionError::ControlEnded => {
                let sentence = self.describe(&cause);
                self.failed(&sentence, now);
            }
        }
    }

    fn describe(&self, cause: &ConnectionError) -> String {
        let relay = &self.config.relay;
        match cause {
            ConnectionError::Unreachable(text) => format!("{relay} cannot be reached ({text})"),
            ConnectionError::TimedOut => format!("{relay} does not answer"),
            ConnectionError::Reset => format!("{relay} has restarted"),
            ConnectionError::Certificate(text) => {
                format!("the certificate of {relay} is not the one to trust ({text})")
            }
            ConnectionError::Closed { text, .. } => told(text, "the relay closed the connection"),
            ConnectionError::Transport(text) => {
                format!("the connection to {relay} failed ({text})")
            }
            ConnectionError::ControlEnded => format!("{relay} ended the conversation"),
        }
    }

    /// One more attempt failed; the next follows. The sentence may be the relay's.
    pub(super) fn failed(&mut self, sentence: &str, now: Instant) {
        let sentence = one_line(sentence).into_owned();
        let wait = self.backoff.next_wait();
        self.retry_at = Some(now + wait);
        self.worker = None;
        let is_news = self.last_failure.as_ref() != Some(&sentence);
        if self.current.is_none() && is_news {
            self.outputs.push_back(Output::Status(StatusLine::Retrying {
                cause: sentence.clone(),
                after: wait,
            }));
        }
        self.last_failure = Some(sentence);
    }

    /// The connection in use is gone.
    fn lost(&mut self, now: Instant) {
        let Some(connection) = self.current.take() else {
            return;
        };
        if self.is_prepared() {
            self.moved(now);
            return;
        }
        // It went silent before it was gone.
        let since = now.checked_sub(connection.silence).unwrap_or(now);
        self.lost_at = Some(since);
        self.stats_at = None;
        self.outputs.push_back(Output::Detached);
        self.outputs
            .push_back(Output::Status(StatusLine::ConnectionLost));

        let lasted = connection
            .joined_at
            .map(|at| now.saturating_duration_since(at));
        if lasted.is_some_and(|lasted| lasted >= STABLE) {
            self.backoff.reset();
        }
        if (self.candidate.as_ref()).is_some_and(|connection| connection.phase == Phase::Connected)
        {
            self.greet(now);
        } else if !self.is_trying() && self.retry_at.is_none() && self.handover.move_at().is_none()
        {
            if lasted.is_some_and(|lasted| lasted >= STABLE) {
                self.open(now);
            } else {
                self.retry_at = Some(now + self.backoff.next_wait());
            }
        }
    }

    /// What was tried has taken too long, or waited long enough.
    pub(super) fn candidate_due(&mut self, now: Instant) {
        match self.candidate.as_ref().map(|connection| connection.phase) {
            Some(Phase::Connected) if self.needs_connection() => self.greet(now),
            Some(Phase::Connected) => self.close_candidate(close_code::SUPERSEDED, "not needed"),
            Some(phase @ (Phase::Connecting | Phase::Greeting)) => {
                if phase == Phase::Greeting {
                    self.close_candidate(close_code::SUPERSEDED, "took too long");
                } else if let Some(connection) = &mut self.candidate {
                    connection.phase = Phase::Overdue;
                    connection.deadline = None;
                }
                let sentence = self.describe(&ConnectionError::TimedOut);
                self.failed(&sentence, now);
            }
            Some(Phase::Prepared) => self.arrive(now),
            Some(Phase::Overdue | Phase::Joined) | None => {}
        }
    }

    /// The relay ends a connection and says why.
    pub(super) fn dismissed(&mut self, id: ConnectionId, why: &Disconnect, now: Instant) {
        let is_current = (self.current.as_ref()).is_some_and(|connection| connection.id == id);
        let is_final = matches!(why.reason, LeaveReason::Kicked | LeaveReason::Malformed)
            && !(is_current && self.is_taking_over());
        if is_final {
            let kind = if why.reason == LeaveReason::Kicked {
                EndKind::Refused
            } else {
                EndKind::Failed
            };
            self.end(kind, &told(&why.message, "the relay removed this member"));
        } else if is_current {
            if let Some(connection) = &self.current {
                self.outputs.push_back(Output::Close {
                    id: connection.id,
                    code: close_code::LEFT,
                    reason: "dismissed",
                });
            }
            self.lost(now);
        } else {
            self.refused(
                true,
                &told(&why.message, "the relay ended the connection"),
                now,
            );
        }
    }

    /// Whether the candidate is about to take over, so that the end of the connection in use is our
    /// own doing.
    fn is_taking_over(&self) -> bool {
        let takes_over = |phase| matches!(phase, Phase::Greeting | Phase::Prepared);

        (self.candidate.as_ref()).is_some_and(|connection| takes_over(connection.phase))
    }

    /// The first join took too long.
    pub(super) fn give_up(&mut self) {
        let cause = self.last_failure.take();
        let cause = cause.unwrap_or_else(|| self.describe(&ConnectionError::TimedOut));
        let sentence = format!(
            "{cause}; gave up after {} s. Is the relay running, and its UDP port open in every firewall on the way?",
            super::FIRST_JOIN.as_secs()
        );
        self.end(EndKind::Refused, &sentence);
    }
}

/// Returns what the relay said, or `otherwise` if that was nothing.
fn told(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

/// Whether the relay closed a connection to be rid of the member, or for another one with the same identity.
fn is_removed(code: u64) -> bool {
    [close_code::KICKED, close_code::SUPERSEDED]
        .map(u64::from)
        .contains(&code)
}
