//! Silence, failure and coming back.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Disconnect, LeaveReason, Restarting, close_code};
use lanparty_obs::{StatusLine, one_line};

use super::line::Phase;
use super::{Attempt, Cause, Exit, Output, SUSPICION, Session, Stage};

/// How long a connection must have lasted for the next loss to be tried again at once.
const STABLE: Duration = Duration::from_secs(5);

/// The latest that a restarting relay may ask us to come: as long as it keeps our place.
const LATEST_MOVE: Duration = Duration::from_mins(1);

impl Session {
    /// Takes how long a connection's peer has owed an answer: the age of the oldest packet that asks for one, 0 if none is owed.
    ///
    /// An idle connection owes nothing, so the owner pings it every second or so.
    pub fn handle_silence(&mut self, attempt: Attempt, silence: Duration, now: Instant) {
        let Some(line) = (self.current.as_mut()).filter(|line| line.attempt == attempt) else {
            return;
        };
        line.silence = silence;
        if self.stage != Stage::Running || self.is_handed_over() {
            return;
        }
        if silence >= SUSPICION {
            if self.is_waiting() {
                self.moved(now);
            } else if !self.is_trying() && self.retry_at.is_none() {
                self.open(now);
            }
            return;
        }

        // The place answers again: a second connection that has not said hello yet is not needed.
        let is_idle = |phase| matches!(phase, Phase::Connecting | Phase::Overdue | Phase::Beside);
        if !self.is_moving && (self.candidate.as_ref()).is_some_and(|line| is_idle(line.phase)) {
            self.close_candidate(close_code::SUPERSEDED, "not needed");
            self.backoff.reset();
        }
    }

    /// The system's addresses or routes changed, or it slept: what was waited for is tried now, on a fresh connection.
    ///
    /// A place that answers stays where it is; the owner asks its connection for a sign of life.
    pub fn handle_network_change(&mut self, now: Instant) {
        if self.stage != Stage::Running {
            return;
        }
        self.backoff.reset();
        if (self.candidate.as_ref()).is_some_and(|line| line.phase == Phase::Connecting) {
            self.close_candidate(close_code::SUPERSEDED, "the network changed");
        }
        if !self.is_trying() && self.needs_connection() {
            self.open(now);
        }
    }

    /// Takes the end of a connection, or that it could not be made.
    pub fn handle_closed(&mut self, attempt: Attempt, cause: Cause, now: Instant) {
        let is_current = (self.current.as_ref()).is_some_and(|line| line.attempt == attempt);
        let is_candidate = (self.candidate.as_ref()).is_some_and(|line| line.attempt == attempt);
        if let Stage::Leaving(_) = self.stage {
            if is_current {
                self.current = None;
                self.finish_leaving();
            }
            return;
        }

        if is_current {
            let is_superseded = matches!(&cause, Cause::Closed { code, .. } if *code == u64::from(close_code::SUPERSEDED));
            if (is_superseded || self.is_handed_over()) && self.handed_over() {
                self.current = None;
                return;
            }
            if let Cause::Closed { code, text } = &cause
                && is_removed(*code)
                && !self.is_taking_over()
            {
                self.current = None;
                self.end(Exit::Refused, &told(text, "the relay removed this member"));
                return;
            }
            self.lost(now);
        } else if is_candidate {
            let is_overdue = !self.is_trying();
            self.candidate = None;
            // That an attempt brought nothing was told when it became overdue, and the next is due.
            let is_told = matches!(cause, Cause::Certificate(_) | Cause::Closed { .. });
            if !is_overdue || is_told {
                self.attempt_failed(cause, now);
            }
        } else if self.is_former(attempt) {
            self.former = None;
        }
    }

    fn attempt_failed(&mut self, cause: Cause, now: Instant) {
        match cause {
            Cause::Certificate(text) if !self.has_joined() => {
                let relay = &self.config.relay;
                let sentence = format!(
                    "the certificate of {relay} is not the one to trust ({text}); check --relay-ca-cert and --server-name"
                );
                self.end(Exit::Refused, &sentence);
            }
            Cause::Closed { code, text } => {
                let is_rejected = code == u64::from(close_code::REJECTED) || is_removed(code);
                let sentence = told(&text, "the relay closed the connection");
                self.refused(!is_rejected, &sentence, now);
            }
            Cause::Unreachable(_)
            | Cause::TimedOut
            | Cause::Reset
            | Cause::Certificate(_)
            | Cause::Transport(_)
            | Cause::ControlEnded => {
                let sentence = self.describe(&cause);
                self.failed(&sentence, now);
            }
        }
    }

    fn describe(&self, cause: &Cause) -> String {
        let relay = &self.config.relay;
        match cause {
            Cause::Unreachable(text) => format!("{relay} cannot be reached ({text})"),
            Cause::TimedOut => format!("{relay} does not answer"),
            Cause::Reset => format!("{relay} has restarted"),
            Cause::Certificate(text) => {
                format!("the certificate of {relay} is not the one to trust ({text})")
            }
            Cause::Closed { text, .. } => told(text, "the relay closed the connection"),
            Cause::Transport(text) => format!("the connection to {relay} failed ({text})"),
            Cause::ControlEnded => format!("{relay} ended the conversation"),
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

    /// The connection that carried the place is gone.
    fn lost(&mut self, now: Instant) {
        let Some(line) = self.current.take() else {
            return;
        };
        if self.is_waiting() {
            self.moved(now);
            return;
        }
        // It went silent before it was gone.
        let since = now.checked_sub(line.silence).unwrap_or(now);
        self.lost_at = Some(since);
        self.stats_at = None;
        self.outputs.push_back(Output::Detached);
        self.outputs
            .push_back(Output::Status(StatusLine::ConnectionLost));

        let lasted = line.joined_at.map(|at| now.saturating_duration_since(at));
        if lasted.is_some_and(|lasted| lasted >= STABLE) {
            self.backoff.reset();
        }
        if (self.candidate.as_ref()).is_some_and(|line| line.phase == Phase::Beside) {
            self.greet(now);
        } else if !self.is_trying() && self.retry_at.is_none() && self.move_at.is_none() {
            if lasted.is_some_and(|lasted| lasted >= STABLE) {
                self.open(now);
            } else {
                self.retry_at = Some(now + self.backoff.next_wait());
            }
        }
    }

    /// What was tried has taken too long, or waited long enough.
    pub(super) fn candidate_due(&mut self, now: Instant) {
        match self.candidate.as_ref().map(|line| line.phase) {
            Some(Phase::Beside) if self.needs_connection() => self.greet(now),
            Some(Phase::Beside) => self.close_candidate(close_code::SUPERSEDED, "not needed"),
            Some(phase @ (Phase::Connecting | Phase::Greeting)) => {
                if phase == Phase::Greeting {
                    self.close_candidate(close_code::SUPERSEDED, "took too long");
                } else if let Some(line) = &mut self.candidate {
                    line.phase = Phase::Overdue;
                    line.deadline = None;
                }
                let sentence = self.describe(&Cause::TimedOut);
                self.failed(&sentence, now);
            }
            Some(Phase::Waiting) => self.arrive(now),
            Some(Phase::Overdue | Phase::Joined) | None => {}
        }
    }

    /// The relay restarts soon and says when to come to its successor.
    pub(super) fn restarting(&mut self, restarting: Restarting, now: Instant) {
        self.stays = restarting.stay;
        let wait = Duration::from_millis(restarting.reconnect_in_ms.into()).min(LATEST_MOVE);
        self.move_at = Some(now + wait);
    }

    pub(super) fn move_now(&mut self, now: Instant) {
        self.move_at = None;
        self.is_moving = true;
        match self.candidate.as_ref().map(|line| line.phase) {
            None | Some(Phase::Overdue) => self.open(now),
            Some(Phase::Beside) => self.greet(now),
            Some(Phase::Connecting | Phase::Greeting | Phase::Waiting | Phase::Joined) => {}
        }
    }

    /// The relay ends a connection and says why.
    pub(super) fn dismissed(&mut self, attempt: Attempt, why: &Disconnect, now: Instant) {
        let is_current = (self.current.as_ref()).is_some_and(|line| line.attempt == attempt);
        let is_final = matches!(why.reason, LeaveReason::Kicked | LeaveReason::Malformed)
            && !(is_current && self.is_taking_over());
        if is_final {
            let exit = if why.reason == LeaveReason::Kicked {
                Exit::Refused
            } else {
                Exit::Failed
            };
            self.end(exit, &told(&why.message, "the relay removed this member"));
        } else if is_current {
            if let Some(line) = &self.current {
                self.outputs.push_back(Output::Close {
                    attempt: line.attempt,
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

    /// Whether the candidate is about to take the place over, so that the end of the old connection is our own doing.
    fn is_taking_over(&self) -> bool {
        let takes_over = |phase| matches!(phase, Phase::Greeting | Phase::Waiting);

        (self.candidate.as_ref()).is_some_and(|line| takes_over(line.phase))
    }

    /// The first join took too long.
    pub(super) fn give_up(&mut self) {
        let cause = self.last_failure.take();
        let cause = cause.unwrap_or_else(|| self.describe(&Cause::TimedOut));
        let sentence = format!(
            "{cause}; gave up after {} s. Is the relay running, and its UDP port open in every firewall on the way?",
            super::FIRST_JOIN.as_secs()
        );
        self.end(Exit::Refused, &sentence);
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
