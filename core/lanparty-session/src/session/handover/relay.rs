//! Moving to a relay's successor, make before break (`docs/protocol.md`, 4.10).
//!
//! 1. The relay says `restarting` with `stay`.
//! 2. The member connects to the successor and takes its membership there. It goes on sending by
//!    the old path, and listens to both. It says so: `arrived`.
//! 3. Once everybody in the room listens to both, the relay says `move`.
//! 4. Members send by the new connection, in whatever order they hear that, and confirm it.
//!
//! Every frame travels one way alone, and whoever it is meant for listens there: none is lost, none
//! comes twice.

use std::time::{Duration, Instant};

use lanparty_ctrl::handover::{DRAIN_LIMIT, PATH_DISCOVERY};
use lanparty_ctrl::{Message, Restarting, Welcome, close_code, encode};

use super::super::connection::{Connection, ConnectionId, Phase};
use super::super::output::Output;
use super::super::state::Stage;
use super::super::{SUSPICION, Session};
use super::{OldPath, Order};

/// The latest that a restarting relay may ask us to come: as long as it keeps our membership.
const LATEST_MOVE: Duration = Duration::from_mins(1);

impl Session {
    /// The relay restarts soon and says when to come to its successor.
    pub(in crate::session) fn restarting(&mut self, restarting: Restarting, now: Instant) {
        let wait = Duration::from_millis(restarting.reconnect_in_ms.into()).min(LATEST_MOVE);
        let order = if restarting.stay {
            Order::MakeBeforeBreak
        } else {
            Order::BreakFirst
        };
        self.handover.announce(now + wait, order);
    }

    /// The time to come to the successor is here.
    pub(in crate::session) fn move_now(&mut self, now: Instant) {
        self.handover.begin_move();
        match self.candidate.as_ref().map(|connection| connection.phase) {
            None | Some(Phase::Overdue) => self.open(now),
            Some(Phase::Connected) => self.greet(now),
            Some(Phase::Connecting | Phase::Greeting | Phase::Prepared | Phase::Joined) => {}
        }
    }

    /// Returns whether datagrams that come by a connection are for this member.
    pub fn hears(&self, id: ConnectionId) -> bool {
        let is_prepared = |connection: &&Connection| connection.phase == Phase::Prepared;
        let connections = [
            self.current.as_ref(),
            self.candidate.as_ref().filter(is_prepared),
        ];

        connections
            .into_iter()
            .flatten()
            .any(|connection| connection.id == id)
            || self.handover.is_old_path(id)
    }

    /// Takes what the old relay says to a member that has moved.
    ///
    /// A member that moved by itself hears the word to move only now. The relay waits for the
    /// answer: it goes on until everybody has given it.
    pub(in crate::session) fn handle_old_path(&mut self, id: ConnectionId, bytes: &[u8]) {
        if !self.handover.is_old_path(id) || self.stage != Stage::Running {
            return;
        }
        let mut is_told = false;
        let Some(old) = &mut self.handover.old_path else {
            return;
        };
        old.connection.decoder.push(bytes);
        let is_broken = loop {
            match old.connection.decoder.poll_message() {
                Ok(Some(message)) => is_told |= message == Message::Move,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if is_told {
            self.confirm_move();
        }
        if is_broken {
            self.close_old_path();
        }
    }

    /// Whether the candidate has the membership with the relay's successor.
    pub(in crate::session) fn is_prepared(&self) -> bool {
        (self.candidate.as_ref()).is_some_and(|connection| connection.phase == Phase::Prepared)
    }

    /// Whether a new connection may be prepared only: the old path works, and its relay says when to
    /// leave it.
    pub(in crate::session) fn may_prepare(&self) -> bool {
        let is_alive =
            (self.current.as_ref()).is_some_and(|connection| connection.silence < SUSPICION);

        self.handover.is_make_before_break() && is_alive
    }

    /// The candidate has the same membership with the successor.
    pub(in crate::session) fn prepare(
        &mut self,
        mut connection: Connection,
        welcome: &Welcome,
        now: Instant,
    ) {
        connection.phase = Phase::Prepared;
        connection.deadline = Some(now + PATH_DISCOVERY);
        connection.welcome = Some(Box::new(welcome.clone()));
        self.candidate = Some(connection);
        self.arrive(now);
    }

    /// Tells the relay that the candidate is prepared, once that carries as much as the connection in
    /// use.
    pub(in crate::session) fn arrive(&mut self, now: Instant) {
        let Some(current) = &self.current else {
            return;
        };
        let (old, budget) = (current.id, current.budget());
        let Some(connection) =
            (self.candidate.as_mut()).filter(|connection| connection.phase == Phase::Prepared)
        else {
            return;
        };
        let Some(deadline) = connection.deadline else {
            return;
        };
        if connection.budget() < budget && now < deadline {
            return;
        }
        connection.deadline = None;
        self.outputs.push_back(Output::Send {
            id: old,
            bytes: encode(&Message::Arrived),
        });
    }

    /// Sends by the prepared connection from now on; the old path is still listened to.
    ///
    /// Without a prepared connection the next one that is welcomed is used at once.
    pub(in crate::session) fn moved(&mut self, now: Instant) {
        let prepared = (self
            .candidate
            .take_if(|connection| connection.phase == Phase::Prepared))
        .and_then(|mut connection| Some((connection.welcome.take()?, connection)));
        match prepared {
            Some((welcome, connection)) => {
                self.enter(connection, &welcome, true, now);
                self.confirm_move();
            }
            None => self.handover.break_first(),
        }
    }

    /// Tells the old relay that nothing more is sent to it, if the old path is still listened to.
    fn confirm_move(&mut self) {
        if let Some(old) = &self.handover.old_path {
            self.outputs.push_back(Output::Send {
                id: old.connection.id,
                bytes: encode(&Message::Arrived),
            });
        }
    }

    /// Listens to the old path for as long as something may come by it.
    pub(in crate::session) fn listen_on(&mut self, connection: Connection, now: Instant) {
        self.close_old_path();
        self.handover.old_path = Some(OldPath {
            connection,
            until: now + DRAIN_LIMIT,
        });
    }

    pub(in crate::session) fn close_old_path(&mut self) {
        if let Some(old) = self.handover.old_path.take() {
            self.outputs.push_back(Output::Close {
                id: old.connection.id,
                code: close_code::SUPERSEDED,
                reason: "moved to the relay's successor",
            });
        }
    }
}
