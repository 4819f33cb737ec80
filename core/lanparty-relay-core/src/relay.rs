//! The relay's worker: its state, what drives it, and how it ends connections.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Decoder, Disconnect, LeaveReason, MAX_UNADMITTED, Message, Reject, RejectCode, close_code,
    encode,
};
use lanparty_offload::flow::FlowHasher;
use lanparty_switch::{ConnId, Limits, Membership, RoomSnapshot, Switch, Totals};

use crate::connection::{Connection, Phase};
use crate::connections::Connections;
use crate::deadlines::{Deadlines, Due, LINGER};
use crate::handover::Stage;
use crate::output::{Event, Output};
use crate::silent::Silent;

/// What a connection is told when a newer connection has its membership.
const SUPERSEDED: &str = "a newer connection of this computer has taken over";

/// What a relay is told when it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// This worker's number, which the relay's other workers do not have.
    pub worker: u8,
    /// What rooms and members may do.
    pub limits: Limits,
    /// How long a new connection has for its hello (RFC 9000, 21.6 is the attack).
    pub hello_deadline: Duration,
    /// How long a connection has for a control message that it has begun.
    pub message_deadline: Duration,
    /// How many connections may not have said hello; zero is no limit.
    pub silent_connections: usize,
    /// By how many bytes a member's datagrams are shorter than the relay's on the same path.
    pub uplink_deficit: usize,
    /// Random bytes, so that no outsider can aim at one queue.
    pub flow_seed: u64,
}

/// One worker of a relay. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Relay {
    pub(crate) config: Config,
    pub(crate) switch: Switch,
    pub(crate) connections: Connections,
    pub(crate) deadlines: Deadlines,
    pub(crate) silent: Silent,
    pub(crate) stage: Stage,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) hasher: FlowHasher,
    /// Connections that were refused before the switch was asked.
    pub(crate) refused: u64,
    /// When the last input was, which is when its outputs are.
    pub(crate) now: Instant,
}

impl Relay {
    /// Makes a relay without connections and rooms.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            switch: Switch::new(config.limits.clone(), config.worker),
            connections: Connections::default(),
            deadlines: Deadlines::default(),
            silent: Silent::new(config.silent_connections),
            stage: Stage::Serving,
            outputs: VecDeque::new(),
            hasher: FlowHasher::new(config.flow_seed),
            refused: 0,
            now,
            config,
        }
    }

    /// Gives what has to be done, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            self.process_switch();
            let output = self.outputs.pop_front()?;
            // A hello that was answered meanwhile may have opened the room again.
            let is_stale = matches!(&output, Output::Release(room) if self.switch.has_room(room));
            if !is_stale {
                return Some(output);
            }
        }
    }

    /// Returns when [`Relay::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = [
            self.switch.poll_timeout(),
            self.deadlines.next(),
            self.stage.poll_timeout(),
        ];

        next.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.switch.handle_timeout(now);
        self.process_switch();
        while let Some((conn, due)) = self.deadlines.pop(now) {
            self.handle_due(conn, due);
        }
        self.drain();
    }

    /// Returns how many connections there are, those included that are no members.
    pub const fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Gives every connection.
    pub fn conn_ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.connections.ids()
    }

    /// Returns how many members there are, those included whose connection broke.
    pub const fn members(&self) -> usize {
        self.switch.members()
    }

    /// Returns how many rooms there are.
    pub fn rooms(&self) -> usize {
        self.switch.rooms()
    }

    /// Returns what was counted since the start.
    pub fn totals(&self) -> Totals {
        let mut totals = self.switch.totals().clone();
        totals.rejected += self.refused;

        totals
    }

    /// Describes every room.
    pub fn snapshot(&self, now: Instant) -> Vec<RoomSnapshot> {
        self.switch.snapshot(now)
    }

    fn handle_due(&mut self, conn: ConnId, due: Due) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        match (due, &connection.phase) {
            (Due::Hello, Phase::Silent) => {
                self.close(conn, close_code::PROTOCOL, "no hello in time");
            }
            (Due::Settle, Phase::Settling(_)) => self.claim_room(conn),
            (Due::Message(since), _) if connection.unfinished_since == Some(since) => {
                self.handle_violation(conn, "a control message was not completed in time");
            }
            (Due::Linger, Phase::Leaving { code, sentence }) => {
                let (code, sentence) = (*code, sentence.clone());
                self.close(conn, code, &sentence);
            }
            (Due::Hello | Due::Settle | Due::Message(_) | Due::Linger, _) => {}
        }
    }

    /// Takes over what the switch wants.
    pub(crate) fn process_switch(&mut self) {
        use lanparty_switch::Output as Wanted;

        while let Some(wanted) = self.switch.poll_output() {
            match wanted {
                Wanted::Send { conn, message } => self.send(conn, &message),
                Wanted::Close {
                    conn,
                    reason,
                    message,
                } => self.remove(conn, reason, message),
                Wanted::Superseded { conn } => {
                    self.close(conn, close_code::SUPERSEDED, SUPERSEDED);
                }
                Wanted::Blocked { room, mac, lasting } => {
                    self.tell(Event::Blocked { room, mac, lasting });
                }
                Wanted::RoomGone(room) => {
                    self.outputs.push_back(Output::Release(room.clone()));
                    self.tell(Event::RoomGone(room));
                }
            }
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn send(&mut self, conn: ConnId, message: &Message) {
        let bytes = encode(message);
        self.outputs.push_back(Output::Send { conn, bytes });
    }

    /// Refuses a connection that is no member, with a sentence.
    pub(crate) fn refuse(&mut self, conn: ConnId, reject: Reject) {
        // A gateway may wait for the membership, also if the close overtakes the message.
        let is_temporary = reject.code.is_temporary() || reject.code == RejectCode::GatewayPresent;
        let code = if is_temporary {
            close_code::BUSY
        } else {
            close_code::REJECTED
        };
        let sentence = reject.message.clone();
        self.send(conn, &Message::Reject(reject));
        self.let_linger(conn, code, sentence);
    }

    /// Tells a member that its membership is gone.
    pub(crate) fn remove(&mut self, conn: ConnId, reason: LeaveReason, sentence: &str) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let remote = connection.remote;
        self.tell(Event::Removed {
            remote,
            reason,
            sentence: sentence.to_owned(),
        });
        if reason == LeaveReason::Malformed {
            self.outputs.push_back(Output::Ban(remote));
        }
        let goodbye = Disconnect {
            reason,
            message: sentence.to_owned(),
        };
        self.send(conn, &Message::Disconnect(goodbye));
        let code = if reason == LeaveReason::Shutdown {
            close_code::SHUTDOWN
        } else {
            close_code::KICKED
        };
        self.let_linger(conn, code, sentence.to_owned());
    }

    /// Ends a connection that does not keep to the protocol, once.
    pub(crate) fn handle_violation(&mut self, conn: ConnId, sentence: &str) {
        let Some(connection) = self
            .connections
            .get(conn)
            .filter(|found| !found.is_leaving())
        else {
            return;
        };
        let (remote, membership) = (connection.remote, connection.membership());
        self.tell(Event::Violation {
            remote,
            sentence: sentence.to_owned(),
        });
        match membership {
            Some(membership) => {
                self.leave(membership, LeaveReason::Malformed);
                self.remove(conn, LeaveReason::Malformed, sentence);
            }
            None => self.refuse(
                conn,
                Reject {
                    code: RejectCode::BadHello,
                    message: sentence.to_owned(),
                },
            ),
        }
    }

    pub(crate) fn leave(&mut self, membership: Membership, reason: LeaveReason) {
        let left = self.switch.handle_leave(membership, reason);
        if let Some(left) = left {
            self.tell(Event::Left {
                peer: left.member,
                mac: left.mac,
                reason,
                room_gone: left.room_gone,
            });
        }
        self.process_switch();
    }

    /// Gives a connection a moment to read the last message; most close it themselves then.
    pub(crate) fn let_linger(&mut self, conn: ConnId, code: u32, sentence: String) {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.phase = Phase::Leaving { code, sentence };
            // What it was in the middle of saying is not waited for.
            connection.decoder = Decoder::new(MAX_UNADMITTED);
            connection.unfinished_since = None;
            self.deadlines.set(self.now + LINGER, conn, Due::Linger);
        }
    }

    /// Ends a connection without a message. A member keeps its membership for a while.
    pub(crate) fn close(&mut self, conn: ConnId, code: u32, reason: &str) {
        let connection = self.connections.remove(conn);
        if let Some(membership) = connection.as_ref().and_then(Connection::membership) {
            self.switch.handle_lost(membership, self.now);
            self.process_switch();
        }
        self.outputs.push_back(Output::Close {
            conn,
            code,
            reason: reason.to_owned(),
        });
    }
}
