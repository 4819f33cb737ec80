//! What a relay has the program do, ask and tell.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_ctrl::{LeaveReason, RejectCode, Role, RoomCode};
use lanparty_proto::{MacAddr, PeerId};
use lanparty_switch::{ConnId, Token};

use crate::admission::Limit;
use crate::directory::Home;

/// Something that has to be done, answered or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send `bytes` on the control stream of `conn`; where they do not fit, call
    /// [`Relay::handle_backlog`](crate::Relay::handle_backlog).
    Send {
        /// The connection.
        conn: ConnId,
        /// A message as [`lanparty_ctrl::encode`] makes it.
        bytes: Vec<u8>,
    },
    /// Close `conn`. The relay has forgotten it.
    Close {
        /// The connection.
        conn: ConnId,
        /// One of [`lanparty_ctrl::close_code`].
        code: u32,
        /// Why, for a person.
        reason: String,
    },
    /// Find the room for `conn`, and answer with
    /// [`Relay::handle_claim`](crate::Relay::handle_claim).
    Claim {
        /// The connection.
        conn: ConnId,
        /// The room.
        room: RoomCode,
        /// The gateway whose membership `conn` asks for: [`Claim::rival`].
        rival: Option<ConnId>,
    },
    /// Ask the peer of `conn` for an acknowledgement (a PING frame, RFC 9000, 19.2).
    Ping(ConnId),
    /// Let go of a room that this worker does not have any more.
    Release(RoomCode),
    /// Limit what is sent to `conn` as its hello asks for.
    SetRate {
        /// The connection.
        conn: ConnId,
        /// In bits a second: `None` is found out, zero is without limit.
        down_rate: Option<u64>,
    },
    /// Refuse new connections of this address for a while.
    Ban(SocketAddr),
    /// Count that a peer reached a limit, and tell the operator.
    LimitReached {
        /// Which limit.
        limit: Limit,
        /// The peer.
        remote: SocketAddr,
    },
    /// Tell the operator.
    Event(Event),
}

/// When a peer gave its last signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// When any packet of it came.
    pub heard: Instant,
    /// When it acknowledged a packet: only then does it hear this relay, too.
    pub answered: Instant,
}

/// The answer to [`Output::Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The room.
    pub room: RoomCode,
    /// Where the room is.
    pub home: Home,
    /// How many members the relay's other workers have.
    pub members_elsewhere: usize,
    /// What is known of the rival; `None` if there is none, or no connection.
    pub rival: Option<Liveness>,
    /// Fresh random bytes; `None` if the system gives none.
    pub token: Option<Token>,
}

/// How a connection of a member ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The member left.
    Left,
    /// The connection broke; the membership is kept for a while.
    Lost {
        /// Where the member was.
        remote: SocketAddr,
    },
}

/// Something that an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection was admitted.
    Joined {
        /// The member's address.
        remote: SocketAddr,
        /// The room.
        room: RoomCode,
        /// What it is.
        role: Role,
        /// A client's MAC.
        mac: Option<MacAddr>,
        /// Its program.
        program: String,
        /// Its program's version.
        version: String,
    },
    /// A connection was not admitted.
    Refused {
        /// The peer's address.
        remote: SocketAddr,
        /// The room.
        room: RoomCode,
        /// Why, for programs.
        code: RejectCode,
        /// Why, for a person.
        sentence: String,
    },
    /// A member said goodbye.
    Goodbye(String),
    /// A member left its room.
    Left {
        /// The member.
        peer: PeerId,
        /// A client's MAC.
        mac: Option<MacAddr>,
        /// Why.
        reason: LeaveReason,
        /// It was the last one.
        room_gone: bool,
    },
    /// A member was removed.
    Removed {
        /// The member's address.
        remote: SocketAddr,
        /// Why, for programs.
        reason: LeaveReason,
        /// Why, for a person.
        sentence: String,
    },
    /// A connection does not keep to the protocol.
    Violation {
        /// The peer's address.
        remote: SocketAddr,
        /// How, for a person.
        sentence: String,
    },
    /// A connection reads so little that control messages pile up.
    Backlog {
        /// The peer's address.
        remote: SocketAddr,
    },
    /// A room's gateway is silent, and another gateway takes over.
    GatewayReplaced(RoomCode),
    /// A client closes a loop, and what it sends goes nowhere for a while.
    Blocked {
        /// The room.
        room: RoomCode,
        /// The client.
        mac: MacAddr,
        /// For how long.
        lasting: Duration,
    },
    /// A room's last member is gone.
    RoomGone(RoomCode),
}
