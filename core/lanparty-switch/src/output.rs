//! What a switch has its driver do.

use std::time::Duration;

use lanparty_ctrl::{LeaveReason, Message, Role, RoomCode};
use lanparty_proto::{MacAddr, PeerId, RoomId};

use crate::membership::ConnId;

/// Something that has to be sent or done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send `message` on the control stream of `conn`.
    Send {
        /// The connection.
        conn: ConnId,
        /// The message.
        message: Message,
    },
    /// Tell `conn` to go and close it; its membership is gone already.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why, for programs.
        reason: LeaveReason,
        /// Why, for a person.
        message: &'static str,
    },
    /// A newer connection of the same member has the membership of `conn`: close it.
    Superseded {
        /// The connection.
        conn: ConnId,
    },
    /// The gateway says that a client closes a loop; what that client sends goes nowhere for a while.
    Blocked {
        /// The room.
        room: RoomCode,
        /// The client.
        mac: MacAddr,
        /// For how long, unless the gateway says it again.
        lasting: Duration,
    },
    /// The room's last member is gone, and its code is free.
    RoomGone(RoomCode),
}

/// Who left, and what that meant for the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Who.
    pub member: PeerId,
    /// What it was.
    pub role: Role,
    /// A client's MAC, which is free again.
    pub mac: Option<MacAddr>,
    /// The room.
    pub room: RoomId,
    /// Whether the room went with its last member.
    pub room_gone: bool,
}
