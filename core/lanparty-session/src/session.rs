//! The control plane of a member: from the first attempt to the end.
//!
//! A [`Session`] decides and never acts. Drive it like this:
//!
//! 1. [`Session::start`] once.
//! 2. The `handle_*` calls as things happen: a connection is made ([`Session::handle_connected`]),
//!    brings control bytes, changes its budget, is silent, is gone.
//! 3. [`Session::poll_output`] until it returns `None`, after any of the above. Carry each output out
//!    **before any frame is read**: who is in the room is known before its first frame (SPEC G8).
//! 4. [`Session::handle_timeout`] once the time in [`Session::poll_timeout`] has come.
//!
//! At most two connections exist: the connection in use, and a candidate that is tried. A connection
//! that is suspected to be dead is left only when the candidate is welcomed, so frames flow on
//! whichever works. After a planned restart of the relay there is a third for a while, the old path,
//! which is only listened to ([`Session::hears`]).

mod backoff;
mod config;
mod connection;
mod connections;
mod handover;
mod join;
mod leave;
mod loss;
mod output;
mod peers;
mod protocol_error;
mod standby;
mod state;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_ctrl::{Message, Role, Stats, encode};
use lanparty_obs::StatusLine;
use lanparty_proto::{MacAddr, PeerId, RoomId};

use backoff::Backoff;
use connection::{Connection, Phase};
use handover::Handover;
use peers::Peers;
use standby::Candidacy;
use state::Stage;

pub use config::{SessionConfig, Standby};
pub use connection::{ConnectionError, ConnectionId};
pub use output::{EndKind, JoinInfo, Output, Peer, SessionEnd};
pub use standby::{LISTEN, NEIGHBOR_SILENCE, Neighbor};
pub use state::State;

/// How long the first join may take before the person is told. Less than anybody waits without looking for a reason; time for three
/// attempts.
pub const FIRST_JOIN: Duration = Duration::from_secs(10);

/// How long the relay may owe an answer before a second connection is tried beside the first. Longer than any queue of a home line
/// that is not broken, and than three lost probes in a row.
pub const SUSPICION: Duration = Duration::from_millis(1500);

/// How often a member sends its counters.
pub const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// The control plane of a member. The module says how to drive it.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    stage: Stage,
    /// The connection in use: it carries the membership.
    current: Option<Connection>,
    /// Is tried.
    candidate: Option<Connection>,
    next_attempt: u64,
    generation: u64,
    resume: Option<String>,
    membership: Option<(RoomId, PeerId)>,
    /// Until when the first join has to succeed; `None` afterwards.
    first_deadline: Option<Instant>,
    lost_at: Option<Instant>,
    retry_at: Option<Instant>,
    worker: Option<u8>,
    redirects: u8,
    last_failure: Option<String>,
    backoff: Backoff,
    /// The room's other gateway on the LAN, and when it was last heard.
    neighbor: Option<(MacAddr, Instant)>,
    candidacy: Option<Candidacy>,
    /// What the relay said of the membership that is waited for.
    taken: String,
    peers: Peers,
    stats_at: Option<Instant>,
    handover: Handover,
    outputs: VecDeque<Output>,
}

impl Session {
    /// Makes a session that has not begun.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            stage: Stage::Idle,
            current: None,
            candidate: None,
            next_attempt: 1,
            generation: config.generation,
            resume: config.resume.clone(),
            membership: None,
            first_deadline: None,
            lost_at: None,
            retry_at: None,
            worker: None,
            redirects: 0,
            last_failure: None,
            backoff: Backoff::new(config.seed),
            neighbor: None,
            candidacy: None,
            taken: String::new(),
            peers: Peers::default(),
            stats_at: None,
            handover: Handover::default(),
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
    pub fn handle_control(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        self.handle_old_path(id, bytes);
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        connection.silence = Duration::ZERO;
        connection.decoder.push(bytes);

        // A message may end the connection or make it the one in use, so it is looked up again for
        // each.
        while self.stage == Stage::Running
            && let Some(connection) = self.connection_mut(id)
        {
            match connection.decoder.poll_message() {
                Ok(Some(message)) => self.handle_message(id, message, now),
                Ok(None) => return,
                Err(error) => self.unreadable(id, &error),
            }
        }
    }

    fn handle_message(&mut self, id: ConnectionId, message: Message, now: Instant) {
        let phase = self.connection_mut(id).map(|connection| connection.phase);
        match (phase, message) {
            (Some(Phase::Greeting), Message::Welcome(welcome)) => self.welcomed(&welcome, now),
            (Some(Phase::Greeting), Message::Reject(reject)) => self.rejected(&reject, now),
            (Some(Phase::Greeting), Message::Redirect(redirect)) => {
                self.redirected(redirect, now);
            }
            (_, Message::Restarting(restarting)) => self.restarting(restarting, now),
            (_, Message::Disconnect(disconnect)) => self.dismissed(id, &disconnect, now),
            (Some(Phase::Joined), Message::Move) => {
                if !self.handed_over() {
                    self.moved(now);
                }
            }
            (Some(Phase::Joined | Phase::Prepared), Message::PeerJoined(info)) => {
                if !self.peers.joined(&info, &mut self.outputs) {
                    self.protocol_error(id, "the room has more members than any can have");
                }
            }
            (Some(Phase::Joined | Phase::Prepared), Message::PeerLeft(left)) => {
                self.peers.left(left.peer, left.reason, &mut self.outputs);
            }
            (Some(Phase::Joined), Message::PeerDetached(peer)) => {
                self.peers.detached(peer.peer, &mut self.outputs);
            }
            (Some(Phase::Joined | Phase::Prepared), Message::PeerResumed(peer)) => {
                self.peers.resumed(peer.peer, &mut self.outputs);
            }
            (Some(Phase::Joined | Phase::Prepared), Message::RoomBudget(room)) => {
                if let Some(connection) = self.connection_mut(id) {
                    connection.room_budget = room.budget.map(usize::from);
                }
                self.begin_discovery(now);
            }
            (Some(Phase::Joined | Phase::Prepared), Message::ForeignSource(foreign))
                if self.config.role == Role::Gateway =>
            {
                self.outputs.push_back(Output::ForeignSource(foreign));
            }
            // Others come to the successor later than we did; by the old relay they are still there.
            (Some(Phase::Prepared), Message::PeerDetached(_)) => {}
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
            ) => self.protocol_error(id, "a control message came out of turn"),
        }
    }

    /// Takes a change of a connection's datagram budget, in bytes.
    pub fn handle_budget(&mut self, id: ConnectionId, budget: usize, now: Instant) {
        if let Some(connection) = self.connection_mut(id) {
            connection.budget = budget;
        }
        self.arrive(now);
        self.end_discovery(now);
    }

    /// Takes the member's counters; they are sent every [`STATS_INTERVAL`], so call this a little more often.
    pub fn handle_stats(&mut self, stats: Stats, now: Instant) {
        let is_due = self.stats_at.is_some_and(|at| at <= now);
        let Some(connection) = self.current.as_ref().filter(|_| is_due) else {
            return;
        };
        self.stats_at = Some(now + STATS_INTERVAL);
        self.outputs.push_back(Output::Send {
            id: connection.id,
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
                self.candidate
                    .as_ref()
                    .and_then(|connection| connection.deadline),
                self.retry_at,
                self.handover.move_at(),
                self.handover.old_path.as_ref().map(|old| old.until),
                self.peers.poll_timeout(),
                self.standby_timeout(),
                self.discovery_timeout(),
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
        if is_due(
            self.candidate
                .as_ref()
                .and_then(|connection| connection.deadline),
        ) {
            self.candidate_due(now);
        }
        if is_due(self.handover.move_at()) {
            self.move_now(now);
        }
        if is_due(self.handover.old_path.as_ref().map(|old| old.until)) {
            self.close_old_path();
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
        if is_due(self.discovery_timeout()) {
            self.end_discovery(now);
        }
        self.peers.handle_timeout(now, &mut self.outputs);
    }

    /// Gives the next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the largest overlay datagram that may be sent now, in bytes; 0 while there is no
    /// connection in use.
    pub fn budget(&self) -> usize {
        let connection = self.current.as_ref();

        connection.map_or(0, |connection| {
            let sendable = connection.budget.min(connection.agreed);

            connection
                .room_budget
                .map_or(sendable, |room| room.min(sendable))
        })
    }

    /// Returns the connection that datagrams go over.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.current.as_ref().map(|connection| connection.id)
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

    /// Returns where the session is.
    pub fn state(&self) -> State {
        match self.stage {
            Stage::Idle => State::Idle,
            Stage::Leaving(_) => State::Leaving,
            Stage::Ended => State::Ended,
            Stage::Running if self.is_handed_over() => State::HandedOver,
            Stage::Running if self.candidacy.is_some() => State::Standby,
            Stage::Running if self.current.is_some() => self.state_with_connection(),
            Stage::Running if self.first_deadline.is_some() => State::Joining,
            Stage::Running => State::Reconnecting,
        }
    }

    fn state_with_connection(&self) -> State {
        if self.is_prepared() {
            State::Prepared
        } else if self.handover.is_moving() {
            State::Moving
        } else if self.candidate.is_some() {
            State::Probing
        } else {
            State::Joined
        }
    }
}
