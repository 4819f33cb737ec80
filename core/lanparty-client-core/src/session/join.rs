//! From a connection to a place.

use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Capability, Hello, MAX_ADMITTED, Message, PROTOCOL_VERSION, Redirect, Reject, RejectCode, Role,
    Welcome, close_code, encode,
};
use lanparty_obs::StatusLine;

use super::line::{Line, Phase};
use super::{Attempt, Exit, JoinInfo, Output, STATS_INTERVAL, SUSPICION, Session, Standby};

/// How long the relay may take to answer a hello: three repetitions of a lost packet.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a new connection waits beside a place that was silent, so that a path that has just come back keeps its connection.
const LAST_CHANCE: Duration = Duration::from_millis(200);

/// How many workers in a row may name another: the room may move once while we come.
const MAX_REDIRECTS: u8 = 3;

impl Session {
    /// Takes a connection that was asked for: it carries datagrams of `budget` bytes with a round trip of `rtt`.
    pub fn handle_connected(
        &mut self,
        attempt: Attempt,
        budget: usize,
        rtt: Duration,
        now: Instant,
    ) {
        let is_wanted = |phase, is_candidate| {
            is_candidate && matches!(phase, Phase::Connecting | Phase::Overdue)
        };
        let Some(line) =
            (self.candidate.as_mut()).filter(|line| is_wanted(line.phase, line.attempt == attempt))
        else {
            return;
        };
        line.budget = budget;
        line.rtt = rtt;
        self.retry_at = None;
        if budget == 0 {
            self.end(
                Exit::Refused,
                &format!(
                    "{} answers but carries no datagrams; is it a softlan relay?",
                    self.config.relay
                ),
            );
            return;
        }
        if self.current.is_some() && !self.is_moving {
            line.phase = Phase::Beside;
            line.deadline = Some(now + LAST_CHANCE);
        } else {
            self.greet(now);
        }
    }

    /// Says hello on the candidate.
    pub(super) fn greet(&mut self, now: Instant) {
        let capabilities = self.capabilities();
        let Some(line) = &mut self.candidate else {
            return;
        };
        line.phase = Phase::Greeting;
        line.deadline = Some(now + ANSWER);
        let config = &self.config;
        let hello = Hello {
            version: PROTOCOL_VERSION,
            role: config.role,
            room: config.room.clone(),
            mac: config.mac,
            budget: config.budget,
            capabilities,
            generation: self.generation,
            resume: self.resume.clone(),
            instance: Some(format!("{:032x}", config.instance)),
            down_rate: config.down_rate,
            program: config.program.clone(),
            program_version: config.program_version.clone(),
        };
        self.generation = self.generation.saturating_add(1);
        self.outputs.push_back(Output::Send {
            attempt: line.attempt,
            bytes: encode(&Message::Hello(hello)),
        });
    }

    /// Returns what this member can do beyond version 1 of the protocol.
    fn capabilities(&self) -> Vec<Capability> {
        let is_gateway = self.config.role == Role::Gateway;
        let all = [
            (Capability::FullFrame, self.config.full_frame),
            (Capability::RoomBudget, true),
            (Capability::ForeignSource, is_gateway),
            (Capability::Beside, self.is_succeeding()),
        ];

        all.into_iter()
            .filter_map(|(capability, can)| can.then_some(capability))
            .collect()
    }

    /// The candidate has a place: it becomes the connection, or waits for its time to.
    pub(super) fn welcomed(&mut self, welcome: &Welcome, now: Instant) {
        let Some(mut line) = self.candidate.take() else {
            return;
        };
        line.deadline = None;
        line.agreed = usize::from(welcome.budget);
        line.joined_at = Some(now);
        line.decoder.set_limit(MAX_ADMITTED);
        self.redirects = 0;
        self.last_failure = None;
        // A relay that restarted gives the same numbers to somebody else; a token is never given twice.
        let token = welcome.resume.as_ref().map(|resume| resume.token.clone());
        let is_same_token = token == self.resume;
        self.resume = token;
        let place = (welcome.room, welcome.peer);
        let same_place = self.place.replace(place) == Some(place) && is_same_token;
        self.peers.begin(same_place, welcome.gateway, now);
        if same_place && self.may_wait() {
            self.wait_beside(line, welcome, now);
        } else {
            self.stays = false;
            self.enter(line, welcome, same_place, now);
        }
    }

    /// A connection with a place becomes the one that datagrams go over.
    pub(super) fn enter(
        &mut self,
        mut line: Line,
        welcome: &Welcome,
        same_place: bool,
        now: Instant,
    ) {
        line.phase = Phase::Joined;
        let attempt = line.attempt;
        let (budget, rtt) = (line.budget(), line.rtt);
        if let Some(old) = self.current.replace(line) {
            if std::mem::take(&mut self.stays) {
                self.listen_on(old, now);
            } else {
                self.close(&old, close_code::SUPERSEDED, "a newer connection took over");
            }
        }
        self.stays = false;
        self.is_moving = false;
        self.stats_at = Some(now + STATS_INTERVAL);
        self.retry_at = None;
        self.move_at = None;
        self.outputs.push_back(Output::Joined(JoinInfo {
            attempt,
            peer: welcome.peer,
            room: welcome.room,
            mtu: welcome.mtu,
            mode: welcome.mode,
            budget,
            gateway: welcome.gateway,
            same_place,
            resume: self.resume.clone(),
        }));

        let is_first = self.first_deadline.take().is_some();
        if let Some(line) = self.took_over(welcome.mtu, now) {
            self.outputs.push_back(Output::Status(line));
            return;
        }
        let line = match (self.lost_at.take(), self.config.role) {
            (Some(at), _) => StatusLine::Back {
                after: now.saturating_duration_since(at),
            },
            (None, _) if !is_first => return,
            (None, Role::Client) => StatusLine::Joined {
                room: self.config.room.to_string(),
                mtu: welcome.mtu,
                gateway: welcome.gateway,
                rtt,
            },
            (None, Role::Gateway) => StatusLine::GatewayReady {
                room: self.config.room.to_string(),
                interface: self.config.interface.clone(),
                mtu: welcome.mtu,
            },
        };
        self.outputs.push_back(Output::Status(line));
    }

    pub(super) fn rejected(&mut self, reject: &Reject, now: Instant) {
        if self.is_succeeding() && !self.has_joined() {
            // The old process goes on.
            self.refused(false, &reject.message, now);
            return;
        }
        let is_alive = (self.current.as_ref()).is_some_and(|line| line.silence < SUSPICION);
        if reject.code == RejectCode::GatewayPresent
            && self.config.standby != Standby::Never
            && !is_alive
        {
            self.stand_by(&reject.message, now);
            return;
        }
        self.refused(
            may_pass(reject.code, self.has_joined()),
            &reject.message,
            now,
        );
    }

    /// The relay does not admit the candidate; `is_temporary` says whether trying again can help.
    pub(super) fn refused(&mut self, is_temporary: bool, sentence: &str, now: Instant) {
        self.close_candidate(close_code::LEFT, "rejected");
        // A place that works is not given up because a second connection was not wanted.
        let is_alive = (self.current.as_ref()).is_some_and(|line| line.silence < SUSPICION);
        if is_temporary || is_alive {
            self.failed(sentence, now);
        } else {
            self.end(Exit::Refused, sentence);
        }
    }

    pub(super) fn redirected(&mut self, redirect: Redirect, now: Instant) {
        self.close_candidate(close_code::LEFT, "redirected");
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            self.redirects = 0;
            self.failed("the relay's workers send this program back and forth", now);
        } else {
            self.worker = Some(redirect.worker);
            self.open(now);
        }
    }

    pub(super) const fn has_joined(&self) -> bool {
        self.place.is_some()
    }
}

/// Whether trying again can help. A member of a party that came back together finds the relay full for a moment, a newcomer does not.
const fn may_pass(code: RejectCode, has_joined: bool) -> bool {
    code.is_temporary()
        || has_joined && matches!(code, RejectCode::RoomFull | RejectCode::RelayFull)
}
