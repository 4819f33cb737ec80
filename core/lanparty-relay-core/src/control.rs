//! The control plane of a connection: its beginning, its messages and its end.

use std::net::SocketAddr;
use std::time::Instant;

use lanparty_ctrl::{LeaveReason, Message, close_code};
use lanparty_switch::{ConnId, Membership};

use crate::admission::Limit;
use crate::connection::{Connection, Phase};
use crate::deadlines::Due;
use crate::output::{Ended, Event, Output};
use crate::relay::Relay;

impl Relay {
    /// Takes a connection whose handshake is complete, with the largest datagram that its path
    /// carries to the member now, in bytes.
    pub fn handle_connected(
        &mut self,
        conn: ConnId,
        remote: SocketAddr,
        budget: usize,
        now: Instant,
    ) {
        self.now = now;
        self.connections
            .insert(Connection::new(conn, remote, budget, now));
        let deadline = now + self.config.hello_deadline;
        self.deadlines.set(deadline, conn, Due::Hello);
        if let Some(crowded_out) = self.silent.push(conn, &self.connections) {
            self.crowd_out(crowded_out);
        }
        if self.stage.is_ending() {
            self.refuse_shutting_down(conn);
        }
    }

    /// Takes bytes that came on a connection's control stream.
    pub fn handle_control(&mut self, conn: ConnId, bytes: &[u8], now: Instant) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        if connection.is_leaving() {
            // It was told to go, and nothing that it says changes that.
            return;
        }
        connection.decoder.push(bytes);
        self.read_messages(conn);
    }

    /// Takes that the largest datagram which the path carries to the member is `budget` bytes now.
    pub fn handle_budget(&mut self, conn: ConnId, budget: usize, now: Instant) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        connection.budget = budget;
        let is_settling = matches!(connection.phase, Phase::Settling(_));
        if let Some(membership) = connection.membership() {
            self.switch.handle_budget(membership, budget);
        } else if is_settling && self.has_settled(conn) {
            self.claim_room(conn);
        }
        self.process_switch();
    }

    /// Takes that bytes for a connection's control stream found no room.
    ///
    /// A member that reads so little has lost its connection for all purposes.
    pub fn handle_backlog(&mut self, conn: ConnId, now: Instant) {
        self.now = now;
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let remote = connection.remote;
        let (code, reason) = match &connection.phase {
            // What it was told last found no room, so the close has to say it.
            Phase::Leaving { code, sentence } => (*code, sentence.clone()),
            Phase::Silent | Phase::Settling(_) | Phase::Claiming(_) | Phase::Member(_) => {
                let reason = "control messages pile up".to_owned();
                (close_code::PROTOCOL, reason)
            }
        };
        self.tell(Event::Backlog { remote });
        self.close(conn, code, &reason);
    }

    /// Takes that a connection is gone; `code` is the one that the peer closed it with, if it did.
    ///
    /// Returns what that meant, if it was a member's.
    pub fn handle_closed(
        &mut self,
        conn: ConnId,
        code: Option<u64>,
        now: Instant,
    ) -> Option<Ended> {
        self.now = now;
        let connection = self.connections.remove(conn)?;
        let membership = connection.membership()?;
        self.stage.handle_news(now);
        let has_left = code == Some(close_code::LEFT.into());
        let ended = if has_left {
            self.leave(membership, LeaveReason::Disconnect);
            Ended::Left
        } else {
            self.switch.handle_lost(membership, now);
            self.process_switch();
            Ended::Lost {
                remote: connection.remote,
            }
        };

        Some(ended)
    }

    /// Reads what a connection has sent, up to a message that has to be answered first.
    pub(crate) fn read_messages(&mut self, conn: ConnId) {
        loop {
            let Some(connection) = self
                .connections
                .get_mut(conn)
                .filter(|found| !found.is_deaf())
            else {
                return;
            };
            match connection.decoder.poll_message() {
                Ok(Some(message)) => {
                    connection.unfinished_since = None;
                    if connection.count_message(self.now) {
                        self.handle_message(conn, message);
                    } else {
                        self.handle_violation(conn, "too many control messages");
                    }
                }
                Ok(None) => {
                    self.watch_unfinished(conn);
                    return;
                }
                Err(error) => {
                    self.handle_violation(conn, &error.to_string());
                    return;
                }
            }
        }
    }

    /// Gives a message that is not complete a deadline.
    fn watch_unfinished(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        if connection.decoder.is_mid_message() && connection.unfinished_since.is_none() {
            connection.unfinished_since = Some(self.now);
            let until = self.now + self.config.message_deadline;
            self.deadlines.set(until, conn, Due::Message(self.now));
        }
    }

    fn handle_message(&mut self, conn: ConnId, message: Message) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        match (&connection.phase, message) {
            (Phase::Silent, Message::Hello(hello)) => self.handle_hello(conn, hello),
            (Phase::Member(membership), Message::Stats(stats)) => {
                self.switch.handle_stats(*membership, stats, self.now);
            }
            (Phase::Member(membership), Message::Arrived) => {
                let membership = *membership;
                self.handle_arrived(conn, membership);
            }
            (Phase::Member(membership), Message::Disconnect(goodbye)) => {
                let membership = *membership;
                self.tell(Event::Goodbye(goodbye.message));
                self.say_goodbye(conn, membership);
            }
            (Phase::Leaving { .. }, _) | (_, Message::Disconnect(_)) => {}
            (_, _) => self.handle_violation(conn, "this control message has no place here"),
        }
    }

    fn say_goodbye(&mut self, conn: ConnId, membership: Membership) {
        self.leave(membership, LeaveReason::Disconnect);
        self.close(conn, close_code::LEFT, "goodbye");
    }

    /// Closes a connection that has been silent for longest, for a new one.
    fn crowd_out(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get(conn) {
            let remote = connection.remote;
            let limit = Limit::SilentConnections;
            self.outputs
                .push_back(Output::LimitReached { limit, remote });
        }
        let reason = "too many connections have not said hello";
        self.close(conn, close_code::BUSY, reason);
    }
}
