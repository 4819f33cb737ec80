//! The control plane of a worker: hellos, messages, ends, and what the switch wants sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Capability, Decoder, Disconnect, Hello, LeaveReason, MAX_ADMITTED, MAX_UNADMITTED, Message,
    Redirect, Reject, RejectCode, close_code, encode,
};
use lanparty_net::{CloseCause, LinkId, UPLINK_DEFICIT};
use lanparty_proto::budget;
use lanparty_queue::{BitRate, Pace};
use lanparty_switch::{Attachment, ConnId, Joiner, Output};

use super::Worker;
use super::conn::{Conn, Phase};
use super::deadlines::{Due, LINGER, SETTLE};
use crate::directory::Home;
use crate::limit::Limit;

/// What a connection is told whose place a newer one has.
const SUPERSEDED: &str = "a newer connection of this computer has taken over";

/// How many control messages a member may send in [`MESSAGES_WINDOW`]. It sends stats every few seconds.
const MAX_MESSAGES: u32 = 60;

/// See [`MAX_MESSAGES`].
const MESSAGES_WINDOW: Duration = Duration::from_secs(2);

impl Worker {
    pub(super) fn connected(&mut self, link: LinkId, now: Instant) {
        let Some(facts) = self.endpoint.facts(link) else {
            return;
        };
        self.conns.insert(Conn::new(link, facts.remote, now));
        self.deadlines
            .set(now + self.shared.patience.hello, link, Due::Hello);
        self.expect_hello(link, now);
        if self.ends_at.is_some() {
            self.turn_away(link, shutting_down(), now);
        }
    }

    pub(super) fn handle_control(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        let Some(conn) = self.conns.get_mut(link) else {
            return;
        };
        // Whoever was told to go is not read any more, however much it says.
        if conn.is_leaving() {
            return;
        }
        conn.decoder.push(bytes);
        loop {
            let Some(conn) = self.conns.get_mut(link).filter(|conn| !conn.is_leaving()) else {
                return;
            };
            match conn.decoder.poll_message() {
                Ok(Some(message)) => {
                    conn.unfinished_since = None;
                    self.handle_message(link, message, now);
                }
                Ok(None) => {
                    self.watch_unfinished(link, now);
                    return;
                }
                Err(error) => {
                    self.break_off(link, &error.to_string(), now);
                    return;
                }
            }
        }
    }

    /// Gives a message that is not complete a deadline.
    fn watch_unfinished(&mut self, link: LinkId, now: Instant) {
        let Some(conn) = self.conns.get_mut(link) else {
            return;
        };
        if conn.decoder.is_mid_message() && conn.unfinished_since.is_none() {
            conn.unfinished_since = Some(now);
            let until = now + self.shared.patience.message;
            self.deadlines.set(until, link, Due::Message(now));
        }
    }

    fn handle_message(&mut self, link: LinkId, message: Message, now: Instant) {
        let Some(conn) = self.conns.get_mut(link) else {
            return;
        };
        if now.saturating_duration_since(conn.messages.0) >= MESSAGES_WINDOW {
            conn.messages = (now, 0);
        }
        conn.messages.1 += 1;
        if conn.messages.1 > MAX_MESSAGES {
            self.break_off(link, "too many control messages", now);
            return;
        }

        match (&conn.phase, message) {
            (Phase::Silent, Message::Hello(hello)) => self.handle_hello(link, hello, now),
            (Phase::Member(place), Message::Stats(stats)) => {
                self.switch.handle_stats(*place, stats, now);
            }
            (Phase::Member(_), Message::Arrived) => self.arrived(link),
            (Phase::Member(place), Message::Disconnect(goodbye)) => {
                let place = *place;
                tracing::debug!(message = goodbye.message, "a member says goodbye");
                self.leave(place, LeaveReason::Disconnect);
                self.close(link, close_code::LEFT, "goodbye", now);
            }
            (Phase::Leaving { .. }, _) | (_, Message::Disconnect(_)) => {}
            (_, _) => self.break_off(link, "this control message has no place here", now),
        }
    }

    fn handle_hello(&mut self, link: LinkId, hello: Hello, now: Instant) {
        if self.needs_settling(link, &hello) {
            if let Some(conn) = self.conns.get_mut(link) {
                conn.phase = Phase::Settling(Box::new(hello));
            }
            self.deadlines.set(now + SETTLE, link, Due::Settle);
            return;
        }

        self.admit(link, &hello, now);
    }

    /// Returns whether the room's MTU depends on a path that is still being explored.
    fn needs_settling(&self, link: LinkId, hello: &Hello) -> bool {
        let is_split = hello.can(Capability::FullFrame) && self.switch.may_split(&hello.room);
        let wanted = budget::datagram_len(self.switch.native_mtu()).min(hello.budget.into());

        !is_split && self.budget(link) < wanted
    }

    /// Returns the datagram that passes both ways, in bytes: what a room's MTU is chosen by.
    fn budget(&self, link: LinkId) -> usize {
        let facts = self.endpoint.facts(link);

        facts.map_or(0, |facts| facts.budget.saturating_sub(UPLINK_DEFICIT))
    }

    pub(super) fn handle_budget(&mut self, link: LinkId, budget: usize, now: Instant) {
        let Some(conn) = self.conns.get_mut(link) else {
            return;
        };
        match &conn.phase {
            Phase::Member(place) => self.switch.handle_budget(*place, budget),
            Phase::Settling(hello) => {
                let hello = hello.clone();
                if !self.needs_settling(link, &hello) {
                    self.admit(link, &hello, now);
                }
            }
            Phase::Silent | Phase::Leaving { .. } => {}
        }
    }

    fn admit(&mut self, link: LinkId, hello: &Hello, now: Instant) {
        let Some(facts) = self.endpoint.facts(link) else {
            return;
        };
        let mut home = self.shared.directory.claim(&hello.room, self.number);
        if home == Home::Full && self.switch.make_way() {
            self.carry_out(now);
            home = self.shared.directory.claim(&hello.room, self.number);
        }
        match home {
            Home::Here => {}
            Home::Elsewhere(worker) => {
                self.send(link, &Message::Redirect(Redirect { worker }), now);
                self.let_linger(link, close_code::LEFT, "redirected".to_owned(), now);
                return;
            }
            Home::Full => {
                self.shared.door.note(Limit::Rooms, facts.remote, now);
                let message = "the relay has as many rooms as it may have; try again later or use another relay";
                self.turn_away(link, (RejectCode::RelayFull, message.to_owned()), now);
                return;
            }
        }

        self.drop_silent_gateway(hello, now);
        let mut token = [0; 16];
        let admitted = match getrandom::fill(&mut token) {
            Ok(()) => self.try_admit(link, self.budget(link), facts.remote, token, hello, now),
            Err(error) => Err((RejectCode::RelayFull, error.to_string())),
        };
        match admitted {
            Ok(place) => self.admitted(link, place, hello, facts.remote),
            Err(reject) => {
                if !self.switch.has_room(&hello.room) {
                    self.shared.directory.release(&hello.room, self.number);
                }
                let limits = [
                    (RejectCode::RoomFull, Limit::RoomClients),
                    (RejectCode::RelayFull, Limit::Members),
                ];
                let limit = limits.iter().find(|(code, _)| *code == reject.0);
                if let Some((_, limit)) = limit {
                    self.shared.door.note(*limit, facts.remote, now);
                }
                tracing::info!(remote = %facts.remote, room = %hello.room, code = ?reject.0, "not admitted: {}", reject.1);
                self.turn_away(link, reject, now);
            }
        }
    }

    fn try_admit(
        &mut self,
        link: LinkId,
        budget: usize,
        remote: SocketAddr,
        token: [u8; 16],
        hello: &Hello,
        now: Instant,
    ) -> Result<Attachment, (RejectCode, String)> {
        let elsewhere = self.shared.directory.members_elsewhere(self.number);
        self.switch.set_members_elsewhere(elsewhere);
        let joiner = Joiner {
            conn: ConnId(link.to_bits()),
            budget,
            origin: remote.ip().to_canonical(),
            token,
        };

        self.switch
            .handle_hello(joiner, hello, now)
            .map_err(|reject| (reject.code, reject.message))
    }

    fn admitted(&mut self, link: LinkId, place: Attachment, hello: &Hello, remote: SocketAddr) {
        if let Some(conn) = self.conns.get_mut(link) {
            conn.phase = Phase::Member(place);
            conn.decoder.set_limit(MAX_ADMITTED);
        }
        let pace = match hello.down_rate {
            None => Pace::Auto,
            Some(0) => Pace::Off,
            Some(bits) => Pace::Fixed(BitRate::clamped(bits)),
        };
        self.endpoint.set_pace(link, pace);
        self.count_members();
        tracing::info!(
            %remote,
            room = %hello.room,
            role = ?hello.role,
            mac = hello.mac.map(tracing::field::display),
            program = hello.program,
            version = hello.program_version,
            "joined"
        );
    }

    pub(super) fn closed(&mut self, link: LinkId, cause: &CloseCause, now: Instant) {
        let Some(conn) = self.conns.remove(link) else {
            return;
        };
        let Some(place) = conn.place() else {
            return;
        };
        if let Some(departure) = &mut self.departure {
            departure.has_news = true;
        }
        let has_left = matches!(cause, CloseCause::Application { code, .. } if *code == u64::from(close_code::LEFT));
        if has_left {
            self.leave(place, LeaveReason::Disconnect);
        } else {
            tracing::info!(remote = %conn.remote, ?cause, "connection lost");
            self.switch.handle_lost(place, now);
        }
    }

    /// Sends and does what the switch wants.
    pub(super) fn carry_out(&mut self, now: Instant) {
        let mut any = false;
        while let Some(output) = self.switch.poll_output() {
            any = true;
            match output {
                Output::Send { conn, message } => {
                    self.send(LinkId::from_bits(conn.0), &message, now);
                }
                Output::Close {
                    conn,
                    reason,
                    message,
                } => {
                    self.show_out(LinkId::from_bits(conn.0), reason, message, now);
                }
                Output::Superseded { conn } => {
                    let link = LinkId::from_bits(conn.0);
                    self.close(link, close_code::SUPERSEDED, SUPERSEDED, now);
                }
                Output::Blocked { room, mac, lasting } => {
                    let lasting_s = lasting.as_secs();
                    tracing::info!(%room, %mac, lasting_s, "blocked: the client closes a loop");
                }
                Output::RoomGone(code) => {
                    self.shared.directory.release(&code, self.number);
                    tracing::debug!(room = %code, "room gone");
                }
            }
        }
        if any {
            self.count_members();
        }
    }

    /// Does what is due.
    pub(super) fn run_deadlines(&mut self, now: Instant) {
        while let Some((link, due)) = self.deadlines.pop(now) {
            let Some(conn) = self.conns.get(link) else {
                continue;
            };
            match (due, &conn.phase) {
                (Due::Hello, Phase::Silent) => {
                    self.close(link, close_code::PROTOCOL, "no hello in time", now);
                }
                (Due::Settle, Phase::Settling(hello)) => {
                    let hello = hello.clone();
                    self.admit(link, &hello, now);
                }
                (Due::Message(since), _) if conn.unfinished_since == Some(since) => {
                    self.break_off(link, "a control message was not completed in time", now);
                }
                (Due::Linger, Phase::Leaving { code, sentence }) => {
                    let (code, sentence) = (*code, sentence.clone());
                    self.close(link, code, &sentence, now);
                }
                (Due::Linger, _) => {
                    self.close(link, close_code::PROTOCOL, "control messages pile up", now);
                }
                (Due::Hello | Due::Settle | Due::Message(_), _) => {}
            }
        }
    }

    /// Tells everybody without a place that the relay is going.
    pub(super) fn turn_away_the_rest(&mut self, now: Instant) {
        let links: Vec<LinkId> = self.conns.links().collect();
        for link in links {
            let is_waiting = self.conns.get(link).is_some_and(|conn| !conn.is_leaving());
            if is_waiting {
                self.turn_away(link, shutting_down(), now);
            }
        }
    }

    fn turn_away(&mut self, link: LinkId, (code, message): (RejectCode, String), now: Instant) {
        // A gateway may wait for the place, also if the close overtakes the message.
        let close = if code.is_temporary() || code == RejectCode::GatewayPresent {
            close_code::BUSY
        } else {
            close_code::REJECTED
        };
        let sentence = message.clone();
        self.send(link, &Message::Reject(Reject { code, message }), now);
        self.let_linger(link, close, sentence, now);
    }

    /// Tells a member that its place is gone.
    fn show_out(&mut self, link: LinkId, reason: LeaveReason, message: &str, now: Instant) {
        let Some(conn) = self.conns.get(link) else {
            return;
        };
        tracing::info!(remote = %conn.remote, reason = reason.as_str(), message, "shown out");
        if reason == LeaveReason::Malformed {
            self.shared.door.punish(conn.remote, now);
        }
        let goodbye = Disconnect {
            reason,
            message: message.to_owned(),
        };
        self.send(link, &Message::Disconnect(goodbye), now);
        let code = if reason == LeaveReason::Shutdown {
            close_code::SHUTDOWN
        } else {
            close_code::KICKED
        };
        self.let_linger(link, code, message.to_owned(), now);
    }

    /// Ends a connection that does not keep to the protocol, once.
    pub(super) fn break_off(&mut self, link: LinkId, why: &str, now: Instant) {
        let Some(conn) = self.conns.get(link).filter(|conn| !conn.is_leaving()) else {
            return;
        };
        tracing::info!(remote = %conn.remote, "connection ended: {why}");
        match conn.place() {
            Some(place) => {
                self.leave(place, LeaveReason::Malformed);
                self.show_out(link, LeaveReason::Malformed, why, now);
            }
            None => self.turn_away(link, (RejectCode::BadHello, why.to_owned()), now),
        }
    }

    fn leave(&mut self, place: Attachment, reason: LeaveReason) {
        if let Some(left) = self.switch.handle_leave(place, reason) {
            tracing::info!(
                peer = left.member.0,
                mac = left.mac.map(tracing::field::display),
                reason = reason.as_str(),
                room_gone = left.room_gone,
                "left"
            );
        }
    }

    /// Gives a connection a moment to read the last message; most close it themselves then.
    fn let_linger(&mut self, link: LinkId, code: u32, sentence: String, now: Instant) {
        if let Some(conn) = self.conns.get_mut(link) {
            conn.phase = Phase::Leaving { code, sentence };
            // What it was in the middle of saying is nobody's, and is not waited for.
            conn.decoder = Decoder::new(MAX_UNADMITTED);
            conn.unfinished_since = None;
            self.deadlines.set(now + LINGER, link, Due::Linger);
        }
    }

    /// Ends a connection without a word. A member keeps its place for a while.
    pub(super) fn close(&mut self, link: LinkId, code: u32, text: &str, now: Instant) {
        let conn = self.conns.remove(link);
        if let Some(place) = conn.and_then(|conn| conn.place()) {
            self.switch.handle_lost(place, now);
        }
        self.endpoint.close(link, code, text, now);
    }

    /// Sends a control message. A member that reads so little that they pile up has lost its connection for all purposes.
    pub(super) fn send(&mut self, link: LinkId, message: &Message, now: Instant) {
        let is_sent = self.endpoint.send_control(link, encode(message));
        if !is_sent && let Some(conn) = self.conns.get(link) {
            tracing::info!(remote = %conn.remote, "control messages pile up");
            self.deadlines.set(now, link, Due::Linger);
        }
    }

    fn count_members(&self) {
        let members = self.switch.members();
        self.shared.directory.set_members(self.number, members);
    }
}

fn shutting_down() -> (RejectCode, String) {
    (
        RejectCode::ShuttingDown,
        "the relay is shutting down; try again in a moment".to_owned(),
    )
}
