//! The control plane of a member: from the first attempt to the end.
//!
//! A [`Session`] decides and never acts. Drive it like this:
//!
//! 1. [`Session::start`] once.
//! 2. The `handle_*` calls as things happen: a connection is made ([`Session::handle_connected`]), brings control bytes, changes
//!    its budget, is silent, is gone.
//! 3. [`Session::poll_output`] until it returns `None`, after any of the above, and carry it out **before any frame is read**: who is
//!    in the room is known before its first frame (SPEC G8).
//! 4. [`Session::handle_timeout`] once the time in [`Session::poll_timeout`] has come.
//!
//! At most two connections exist: the one that carries the place, and one that is tried. A place that is suspected to be dead is
//! left only when its successor is welcomed, so frames flow on whichever works. After a planned restart of the relay there is a third
//! for a while, which is only listened to ([`Session::hears`]).

mod backoff;
mod config;
mod join;
mod leave;
mod line;
mod loss;
mod misunderstanding;
mod output;
mod peers;
mod renewal;
mod standby;
mod succession;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_ctrl::{Message, Role, Stats, close_code, encode};
use lanparty_obs::{StatusLine, one_line};
use lanparty_proto::{MacAddr, PeerId, RoomId};

use backoff::Backoff;
use line::{Line, Phase};
use misunderstanding::describe;
use peers::Peers;
use renewal::Renewal;
use standby::Waiting;

pub use config::Config;
pub use line::{Attempt, Cause};
pub use output::{End, Exit, JoinInfo, Output, Peer};
pub use standby::{LISTEN, NEIGHBOR_SILENCE, Neighbor, Standby};

/// How long the first join may take before the person is told. Less than anybody waits without looking for a reason; time for three
/// attempts.
pub const FIRST_JOIN: Duration = Duration::from_secs(10);

/// How long the relay may owe an answer before a second connection is tried beside the first. Longer than any queue of a home line
/// that is not broken, and than three lost probes in a row.
pub const SUSPICION: Duration = Duration::from_millis(1500);

/// How often a member sends its counters.
pub const STATS_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Running,
    /// The goodbye is on its way; over at this time at the latest.
    Leaving(Instant),
    Ended,
}

/// The control plane of a member. The module says how to drive it.
#[derive(Debug)]
pub struct Session {
    config: Config,
    stage: Stage,
    /// Carries the place.
    current: Option<Line>,
    /// Is tried.
    candidate: Option<Line>,
    next_attempt: u64,
    generation: u64,
    resume: Option<String>,
    place: Option<(RoomId, PeerId)>,
    /// Until when the first join has to succeed; `None` afterwards.
    first_deadline: Option<Instant>,
    lost_at: Option<Instant>,
    retry_at: Option<Instant>,
    /// When to move to a new connection because the relay restarts.
    move_at: Option<Instant>,
    /// The candidate is there because the relay asked for it and not because of silence.
    is_moving: bool,
    /// The relay goes on until everybody has a place with its successor.
    stays: bool,
    /// The connection to a relay that has a successor, still listened to, and until when.
    former: Option<(Line, Instant)>,
    worker: Option<u8>,
    redirects: u8,
    last_failure: Option<String>,
    backoff: Backoff,
    /// The room's other gateway on the LAN, and when it was last heard.
    neighbor: Option<(MacAddr, Instant)>,
    waiting: Option<Waiting>,
    /// What the relay said of the place that is waited for.
    taken: String,
    peers: Peers,
    stats_at: Option<Instant>,
    renewal: Renewal,
    outputs: VecDeque<Output>,
}

impl Session {
    /// Makes a session that has not begun.
    pub fn new(config: Config) -> Self {
        Self {
            stage: Stage::Idle,
            current: None,
            candidate: None,
            next_attempt: 1,
            generation: config.generation,
            resume: config.resume.clone(),
            place: None,
            first_deadline: None,
            lost_at: None,
            retry_at: None,
            move_at: None,
            is_moving: false,
            stays: false,
            former: None,
            worker: None,
            redirects: 0,
            last_failure: None,
            backoff: Backoff::new(config.seed),
            neighbor: None,
            waiting: None,
            taken: String::new(),
            peers: Peers::default(),
            stats_at: None,
            renewal: Renewal::None,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Begins.
    pub fn start(&mut self, now: Instant) {
        if self.stage != Stage::Idle {
            return;
        }
        self.stage = Stage::Running;
        self.first_deadline = Some(now + FIRST_JOIN);
        self.outputs
            .push_back(Output::Status(StatusLine::Connecting {
                relay: self.config.relay.clone(),
            }));
        self.open(now);
    }

    /// Takes bytes of a connection's control stream.
    pub fn handle_control(&mut self, attempt: Attempt, bytes: &[u8], now: Instant) {
        self.handle_former(attempt, bytes);
        let Some(line) = self.line_mut(attempt) else {
            return;
        };
        line.silence = Duration::ZERO;
        line.decoder.push(bytes);

        // A message may end the connection or make it the place, so it is looked up again for each.
        while self.stage == Stage::Running
            && let Some(line) = self.line_mut(attempt)
        {
            match line.decoder.poll_message() {
                Ok(Some(message)) => self.handle_message(attempt, message, now),
                Ok(None) => return,
                Err(error) => self.misunderstood(attempt, &describe(&error)),
            }
        }
    }

    fn handle_message(&mut self, attempt: Attempt, message: Message, now: Instant) {
        let phase = self.line_mut(attempt).map(|line| line.phase);
        match (phase, message) {
            (Some(Phase::Greeting), Message::Welcome(welcome)) => self.welcomed(&welcome, now),
            (Some(Phase::Greeting), Message::Reject(reject)) => self.rejected(&reject, now),
            (Some(Phase::Greeting), Message::Redirect(redirect)) => {
                self.redirected(redirect, now);
            }
            (_, Message::Restarting(restarting)) => self.restarting(restarting, now),
            (_, Message::Disconnect(disconnect)) => self.dismissed(attempt, &disconnect, now),
            (Some(Phase::Joined), Message::Move) => {
                if !self.handed_over() {
                    self.moved(now);
                }
            }
            (Some(Phase::Joined | Phase::Waiting), Message::PeerJoined(info)) => {
                if !self.peers.joined(&info, &mut self.outputs) {
                    self.misunderstood(attempt, "the room has more members than any can have");
                }
            }
            (Some(Phase::Joined | Phase::Waiting), Message::PeerLeft(left)) => {
                self.peers.left(left.peer, left.reason, &mut self.outputs);
            }
            (Some(Phase::Joined), Message::PeerDetached(peer)) => {
                self.peers.detached(peer.peer, &mut self.outputs);
            }
            (Some(Phase::Joined | Phase::Waiting), Message::PeerResumed(peer)) => {
                self.peers.resumed(peer.peer, &mut self.outputs);
            }
            (Some(Phase::Joined | Phase::Waiting), Message::RoomBudget(room)) => {
                if let Some(line) = self.line_mut(attempt) {
                    line.room_budget = room.budget.map(usize::from);
                }
                self.named(now);
            }
            (Some(Phase::Joined | Phase::Waiting), Message::ForeignSource(foreign))
                if self.config.role == Role::Gateway =>
            {
                self.outputs.push_back(Output::ForeignSource(foreign));
            }
            // Others come to the successor later than we did; by the old relay they are still there.
            (Some(Phase::Waiting), Message::PeerDetached(_)) => {}
            (
                _,
                Message::Hello(_)
                | Message::Stats(_)
                | Message::Welcome(_)
                | Message::Reject(_)
                | Message::Redirect(_)
                | Message::Arrived
                | Message::Move
                | Message::PeerJoined(_)
                | Message::PeerLeft(_)
                | Message::PeerDetached(_)
                | Message::PeerResumed(_)
                | Message::RoomBudget(_)
                | Message::ForeignSource(_),
            ) => self.misunderstood(attempt, "a control message came out of turn"),
        }
    }

    /// Takes a change of a connection's datagram budget, in bytes.
    pub fn handle_budget(&mut self, attempt: Attempt, budget: usize, now: Instant) {
        if let Some(line) = self.line_mut(attempt) {
            line.budget = budget;
        }
        self.arrive(now);
        self.explored(now);
    }

    /// Takes the member's counters; they are sent every [`STATS_INTERVAL`], so call this a little more often.
    pub fn handle_stats(&mut self, stats: Stats, now: Instant) {
        let is_due = self.stats_at.is_some_and(|at| at <= now);
        let Some(line) = self.current.as_ref().filter(|_| is_due) else {
            return;
        };
        self.stats_at = Some(now + STATS_INTERVAL);
        self.outputs.push_back(Output::Send {
            attempt: line.attempt,
            bytes: encode(&Message::Stats(stats)),
        });
    }

    /// Returns when [`Session::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Idle | Stage::Ended => None,
            Stage::Leaving(until) => Some(until),
            Stage::Running => [
                self.first_deadline,
                self.candidate.as_ref().and_then(|line| line.deadline),
                self.retry_at,
                self.move_at,
                self.former.as_ref().map(|(_, until)| *until),
                self.peers.poll_timeout(),
                self.standby_timeout(),
                self.renewal_timeout(),
            ]
            .into_iter()
            .flatten()
            .min(),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.stage {
            Stage::Idle | Stage::Ended => return,
            Stage::Leaving(until) => {
                if until <= now {
                    self.finish_leaving();
                }
                return;
            }
            Stage::Running => {}
        }

        if is_due(self.first_deadline) {
            self.give_up();
            return;
        }
        if is_due(self.candidate.as_ref().and_then(|line| line.deadline)) {
            self.candidate_due(now);
        }
        if is_due(self.move_at) {
            self.move_now(now);
        }
        if is_due(self.former.as_ref().map(|(_, until)| *until)) {
            self.close_former();
        }
        if is_due(self.retry_at) {
            self.retry_at = None;
            if !self.is_trying() {
                self.close_overdue();
                if self.needs_connection() {
                    self.open(now);
                }
            }
        }
        self.standby_due(now);
        if is_due(self.renewal_timeout()) {
            self.explored(now);
        }
        self.peers.handle_timeout(now, &mut self.outputs);
    }

    /// Gives the next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the largest overlay datagram that may be sent now, in bytes; 0 while there is no place.
    pub fn budget(&self) -> usize {
        let line = self.current.as_ref();

        line.map_or(0, |line| {
            let sendable = line.budget.min(line.agreed);

            line.room_budget.map_or(sendable, |room| room.min(sendable))
        })
    }

    /// Returns the connection that datagrams go over.
    pub fn attempt(&self) -> Option<Attempt> {
        self.current.as_ref().map(|line| line.attempt)
    }

    /// Returns what the member is.
    pub const fn role(&self) -> Role {
        self.config.role
    }

    /// Returns the LAN interface of a gateway or the TAP of a client, for sentences.
    pub fn interface(&self) -> &str {
        &self.config.interface
    }

    /// Returns whether the room has a gateway whose connection works.
    pub fn has_gateway(&self) -> bool {
        self.peers.has_gateway()
    }

    /// Gives the other members, in the order of their ids.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + '_ {
        self.peers.iter()
    }

    /// Returns the MAC of another member.
    pub fn mac_of(&self, peer: PeerId) -> Option<MacAddr> {
        self.peers.mac_of(peer)
    }

    fn line_mut(&mut self, attempt: Attempt) -> Option<&mut Line> {
        [self.current.as_mut(), self.candidate.as_mut()]
            .into_iter()
            .flatten()
            .find(|line| line.attempt == attempt)
    }

    /// Whether there is no place, or one that does not answer.
    fn needs_connection(&self) -> bool {
        (self.current.as_ref()).is_none_or(|line| line.silence >= SUSPICION || self.is_moving)
    }

    /// Whether a connection is tried that still has its time.
    fn is_trying(&self) -> bool {
        (self.candidate.as_ref()).is_some_and(|line| line.phase != Phase::Overdue)
    }

    fn open(&mut self, now: Instant) {
        self.close_overdue();
        let attempt = Attempt(self.next_attempt);
        self.next_attempt = self.next_attempt.saturating_add(1);
        self.retry_at = None;
        self.candidate = Some(Line::new(attempt, now + self.backoff.patience()));
        self.outputs.push_back(Output::Connect {
            attempt,
            worker: self.worker,
        });
    }

    fn close(&mut self, line: &Line, code: u32, reason: &'static str) {
        self.outputs.push_back(Output::Close {
            attempt: line.attempt,
            code,
            reason,
        });
    }

    fn close_overdue(&mut self) {
        if !self.is_trying() {
            self.close_candidate(close_code::SUPERSEDED, "took too long");
        }
    }

    fn close_candidate(&mut self, code: u32, reason: &'static str) {
        if let Some(line) = self.candidate.take() {
            self.close(&line, code, reason);
        }
    }

    fn close_current(&mut self, code: u32, reason: &'static str) {
        if let Some(line) = self.current.take() {
            self.close(&line, code, reason);
        }
    }

    /// Ends the session with a sentence, which may be the relay's.
    fn end(&mut self, exit: Exit, sentence: &str) {
        let sentence = one_line(sentence).into_owned();
        let code = match exit {
            Exit::Left | Exit::Refused => close_code::LEFT,
            Exit::Failed => close_code::PROTOCOL,
        };
        self.close_candidate(code, "over");
        self.close_former();
        self.close_current(code, "over");
        self.stage = Stage::Ended;
        self.outputs
            .push_back(Output::Ended(End { sentence, exit }));
    }
}
