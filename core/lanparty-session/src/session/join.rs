//! From a connection to a membership.

use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Capability, Hello, MAX_ADMITTED, Message, PROTOCOL_VERSION, Redirect, Reject, RejectCode, Role,
    Welcome, close_code, encode,
};
use lanparty_obs::StatusLine;

use super::config::Standby;
use super::connection::{Connection, ConnectionId, Phase};
use super::output::{EndKind, JoinInfo, Output};
use super::{STATS_INTERVAL, SUSPICION, Session};

/// How long the relay may take to answer a hello: three repetitions of a lost packet.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a new connection waits while the old path is silent: a path that has just come back
/// keeps its connection.
const LAST_CHANCE: Duration = Duration::from_millis(200);

/// How many workers in a row may name another: the room may move once while we come.
const MAX_REDIRECTS: u8 = 3;

impl Session {
    /// Takes a connection that was asked for: it carries datagrams of `budget` bytes with a round trip of `rtt`.
    pub fn handle_connected(
        &mut self,
        id: ConnectionId,
        budget: usize,
        rtt: Duration,
        now: Instant,
    ) {
        let is_wanted = |phase, is_candidate| {
            is_candidate && matches!(phase, Phase::Connecting | Phase::Overdue)
        };
        let Some(connection) = (self.candidate.as_mut())
            .filter(|connection| is_wanted(connection.phase, connection.id == id))
        else {
            return;
        };
        connection.budget = budget;
        connection.rtt = rtt;
        self.retry_at = None;
        if budget == 0 {
            self.end(
                EndKind::Refused,
                &format!(
                    "{} answers but carries no datagrams; is it a softlan relay?",
                    self.config.relay
                ),
            );
            return;
        }
        if self.current.is_some() && !self.handover.is_moving() {
            connection.phase = Phase::Connected;
            connection.deadline = Some(now + LAST_CHANCE);
        } else {
            self.greet(now);
        }
    }

    /// Says hello on the candidate.
    pub(super) fn greet(&mut self, now: Instant) {
        let capabilities = self.capabilities();
        let Some(connection) = &mut self.candidate else {
            return;
        };
        connection.phase = Phase::Greeting;
        connection.deadline = Some(now + ANSWER);
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
            id: connection.id,
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
            (Capability::Beside, self.is_successor()),
        ];

        all.into_iter()
            .filter_map(|(capability, can)| can.then_some(capability))
            .collect()
    }

    /// The candidate has the membership: it becomes the connection in use, or is prepared for that.
    pub(super) fn welcomed(&mut self, welcome: &Welcome, now: Instant) {
        let Some(mut connection) = self.candidate.take() else {
            return;
        };
        connection.deadline = None;
        connection.agreed = usize::from(welcome.budget);
        connection.joined_at = Some(now);
        connection.decoder.set_limit(MAX_ADMITTED);
        self.redirects = 0;
        self.last_failure = None;
        // A relay that restarted gives the same numbers to somebody else; a token is never given twice.
        let token = welcome.resume.as_ref().map(|resume| resume.token.clone());
        let is_same_token = token == self.resume;
        self.resume = token;
        let membership = (welcome.room, welcome.peer);
        let is_same = self.membership.replace(membership) == Some(membership);
        let same_membership = is_same && is_same_token;
        self.peers.begin(same_membership, welcome.gateway, now);
        if same_membership && self.may_prepare() {
            self.prepare(connection, welcome, now);
        } else {
            self.handover.break_first();
            self.enter(connection, welcome, same_membership, now);
        }
    }

    /// A connection with the membership becomes the connection that datagrams go over.
    pub(super) fn enter(
        &mut self,
        mut connection: Connection,
        welcome: &Welcome,
        same_membership: bool,
        now: Instant,
    ) {
        connection.phase = Phase::Joined;
        let id = connection.id;
        let (budget, rtt) = (connection.budget(), connection.rtt);
        if let Some(old) = self.current.replace(connection) {
            if self.handover.is_make_before_break() {
                self.listen_on(old, now);
            } else {
                self.close(&old, close_code::SUPERSEDED, "a newer connection took over");
            }
        }
        self.handover.end_relay();
        self.stats_at = Some(now + STATS_INTERVAL);
        self.retry_at = None;
        self.outputs.push_back(Output::Joined(JoinInfo {
            connection: id,
            peer: welcome.peer,
            room: welcome.room,
            mtu: welcome.mtu,
            mode: welcome.mode,
            budget,
            gateway: welcome.gateway,
            same_membership,
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
        if self.is_successor() && !self.has_joined() {
            // The old process goes on.
            self.refused(false, &reject.message, now);
            return;
        }
        let is_alive =
            (self.current.as_ref()).is_some_and(|connection| connection.silence < SUSPICION);
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
        // A connection that works is not given up because a second one was not wanted.
        let is_alive =
            (self.current.as_ref()).is_some_and(|connection| connection.silence < SUSPICION);
        if is_temporary || is_alive {
            self.failed(sentence, now);
        } else {
            self.end(EndKind::Refused, sentence);
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
        self.membership.is_some()
    }
}

/// Whether trying again can help. A member of a party that came back together finds the relay full for a moment, a newcomer does not.
const fn may_pass(code: RejectCode, has_joined: bool) -> bool {
    code.is_temporary()
        || has_joined && matches!(code, RejectCode::RoomFull | RejectCode::RelayFull)
}
