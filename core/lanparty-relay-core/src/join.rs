//! How a connection becomes a member: what the path carries, where the room is, and who has it.

use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Capability, Hello, MAX_ADMITTED, Message, Redirect, Reject, RejectCode, RoomCode, close_code,
};
use lanparty_proto::budget;
use lanparty_switch::{ConnId, Joiner, Membership, Token};

use crate::admission::Limit;
use crate::connection::{Claiming, Phase};
use crate::deadlines::{Due, SETTLE};
use crate::directory::Home;
use crate::output::{Claim, Event, Liveness, Output};
use crate::relay::Relay;

/// How long a gateway may be silent before another one that asks gets its membership: a member that
/// has nothing to say is heard every half second, and at least every two seconds by QUIC's keep-alive
/// if it is another program's.
const GATEWAY_SILENCE: Duration = Duration::from_millis(2500);

impl Relay {
    pub(crate) fn handle_hello(&mut self, conn: ConnId, hello: Hello) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        connection.phase = Phase::Settling(Box::new(hello));
        if self.has_settled(conn) {
            self.claim_room(conn);
        } else {
            self.deadlines.set(self.now + SETTLE, conn, Due::Settle);
        }
    }

    /// Returns whether the room's MTU does not depend on a path that is still being explored.
    pub(crate) fn has_settled(&self, conn: ConnId) -> bool {
        let Some(connection) = self.connections.get(conn) else {
            return true;
        };
        let Phase::Settling(hello) = &connection.phase else {
            return true;
        };
        let is_split = hello.can(Capability::FullFrame) && self.switch.may_split(&hello.room);
        let wanted = budget::datagram_len(self.switch.native_mtu()).min(hello.budget.into());

        is_split || self.both_ways(connection.budget) >= wanted
    }

    /// Returns the datagram that passes both ways, in bytes: what a room's MTU is chosen by.
    const fn both_ways(&self, budget: usize) -> usize {
        budget.saturating_sub(self.config.uplink_deficit)
    }

    /// Asks the program where the room of a connection is that has settled.
    pub(crate) fn claim_room(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        let phase = std::mem::replace(&mut connection.phase, Phase::Silent);
        let Phase::Settling(hello) = phase else {
            connection.phase = phase;
            return;
        };
        if self.stage.is_serving() {
            self.ask(conn, *hello, false);
        } else {
            self.refused += 1;
            self.refuse_hello(conn, &hello, shutting_down());
        }
    }

    fn ask(&mut self, conn: ConnId, hello: Hello, has_made_way: bool) {
        let rival = self.switch.rival_of(&hello);
        let room = hello.room.clone();
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.phase = Phase::Claiming(Box::new(Claiming {
                hello,
                rival,
                has_made_way,
            }));
        }
        self.outputs.push_back(Output::Claim { conn, room, rival });
    }

    /// Takes the answer to [`Output::Claim`].
    pub fn handle_claim(&mut self, conn: ConnId, claim: &Claim, now: Instant) {
        self.now = now;
        let Some(claiming) = self.take_claiming(conn) else {
            if claim.home == Home::Here {
                self.release_unless_used(&claim.room);
            }
            return;
        };
        match claim.home {
            Home::Here => self.join(conn, &claiming, claim),
            Home::Elsewhere(worker) => {
                self.send(conn, &Message::Redirect(Redirect { worker }));
                self.let_linger(conn, close_code::LEFT, "redirected".to_owned());
            }
            Home::Full => self.handle_full(conn, *claiming),
        }
        self.process_switch();
        self.read_messages(conn);
    }

    /// Takes the hello out of a connection whose room is being looked for.
    fn take_claiming(&mut self, conn: ConnId) -> Option<Box<Claiming>> {
        let connection = self.connections.get_mut(conn)?;
        let phase = std::mem::replace(&mut connection.phase, Phase::Silent);
        if let Phase::Claiming(claiming) = phase {
            return Some(claiming);
        }
        connection.phase = phase;

        None
    }

    fn release_unless_used(&mut self, room: &RoomCode) {
        if !self.switch.has_room(room) {
            self.outputs.push_back(Output::Release(room.clone()));
        }
    }

    /// Gives up an abandoned room and asks again, or refuses.
    fn handle_full(&mut self, conn: ConnId, claiming: Claiming) {
        if !claiming.has_made_way && self.switch.make_way() {
            // The room that went has to be released before the question.
            self.process_switch();
            self.ask(conn, claiming.hello, true);
            return;
        }
        self.refused += 1;
        self.reach_limit(conn, Limit::Rooms);
        let message =
            "the relay has as many rooms as it may have; try again later or use another relay";
        let reject = Reject {
            code: RejectCode::RelayFull,
            message: message.to_owned(),
        };
        self.refuse_hello(conn, &claiming.hello, reject);
    }

    fn join(&mut self, conn: ConnId, claiming: &Claiming, claim: &Claim) {
        let hello = &claiming.hello;
        self.replace_silent_gateway(claiming, claim.rival);
        self.switch.set_members_elsewhere(claim.members_elsewhere);
        let admitted = self.admit(conn, hello, claim.token);
        match admitted {
            Ok(membership) => self.admitted(conn, membership, hello),
            Err(reject) => {
                self.release_unless_used(&hello.room);
                if reject.code == RejectCode::RoomFull {
                    self.reach_limit(conn, Limit::RoomClients);
                } else if reject.code == RejectCode::RelayFull {
                    self.reach_limit(conn, Limit::Members);
                }
                self.refuse_hello(conn, hello, reject);
            }
        }
    }

    fn admit(
        &mut self,
        conn: ConnId,
        hello: &Hello,
        token: Option<Token>,
    ) -> Result<Membership, Reject> {
        let Some((connection, token)) = self.connections.get(conn).zip(token) else {
            return Err(Reject {
                code: RejectCode::RelayFull,
                message: "the relay's system gives no random numbers; try again later".to_owned(),
            });
        };
        let joiner = Joiner {
            conn,
            budget: self.both_ways(connection.budget),
            origin: connection.remote.ip().to_canonical(),
            token,
        };

        self.switch.handle_hello(joiner, hello, self.now)
    }

    fn admitted(&mut self, conn: ConnId, membership: Membership, hello: &Hello) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        connection.phase = Phase::Member(membership);
        connection.decoder.set_limit(MAX_ADMITTED);
        let remote = connection.remote;
        self.outputs.push_back(Output::SetRate {
            conn,
            down_rate: hello.down_rate,
        });
        self.tell(Event::Joined {
            remote,
            room: hello.room.clone(),
            role: hello.role,
            mac: hello.mac,
            program: hello.program.clone(),
            version: hello.program_version.clone(),
        });
    }

    /// Gives up the connection of a gateway that is silent, or hears nothing, while another one asks
    /// for its membership.
    fn replace_silent_gateway(&mut self, claiming: &Claiming, liveness: Option<Liveness>) {
        let rival = self.switch.rival_of(&claiming.hello);
        let Some(rival) = rival.filter(|rival| claiming.rival == Some(*rival)) else {
            return;
        };
        let is_silent = liveness.is_none_or(|liveness| {
            self.is_overdue(liveness.heard) || self.is_deaf(rival, liveness.answered)
        });
        if is_silent {
            self.tell(Event::GatewayReplaced(claiming.hello.room.clone()));
            self.close(rival, close_code::BUSY, "silent");
        }
    }

    fn is_overdue(&self, since: Instant) -> bool {
        self.now.saturating_duration_since(since) >= GATEWAY_SILENCE
    }

    /// Asks a gateway for an acknowledgement, and returns whether it has owed one for too long: where
    /// packets vanish only on their way to the gateway, it is heard and hears nothing.
    fn is_deaf(&mut self, conn: ConnId, answered: Instant) -> bool {
        let Some(connection) = self.connections.get_mut(conn) else {
            return false;
        };
        let asked_since = connection.ask(answered, self.now);
        self.outputs.push_back(Output::Ping(conn));

        self.is_overdue(asked_since)
    }

    fn reach_limit(&mut self, conn: ConnId, limit: Limit) {
        if let Some(connection) = self.connections.get(conn) {
            let remote = connection.remote;
            self.outputs
                .push_back(Output::LimitReached { limit, remote });
        }
    }

    fn refuse_hello(&mut self, conn: ConnId, hello: &Hello, reject: Reject) {
        if let Some(connection) = self.connections.get(conn) {
            let event = Event::Refused {
                remote: connection.remote,
                room: hello.room.clone(),
                code: reject.code,
                sentence: reject.message.clone(),
            };
            self.tell(event);
        }
        self.refuse(conn, reject);
    }

    /// Tells a connection that is no member that the relay is going.
    pub(crate) fn refuse_shutting_down(&mut self, conn: ConnId) {
        self.refuse(conn, shutting_down());
    }
}

fn shutting_down() -> Reject {
    Reject {
        code: RejectCode::ShuttingDown,
        message: "the relay is shutting down; try again in a moment".to_owned(),
    }
}
