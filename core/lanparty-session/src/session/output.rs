//! What a session asks for and what it tells.

use lanparty_ctrl::{ForeignSource, LeaveReason, Mode, Role};
use lanparty_obs::StatusLine;
use lanparty_proto::{MacAddr, PeerId, RoomId};

use super::connection::ConnectionId;

/// What the owner of a session must do or may tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Resolve the relay's name again, and connect; answer with `handle_connected` or `handle_closed`.
    ///
    /// An attempt that the session gives up is closed with [`Output::Close`]; nothing needs to be said about it any more.
    Connect {
        /// The name of the connection.
        id: ConnectionId,
        /// The worker that the first connection id has to name, after a redirect.
        worker: Option<u8>,
    },
    /// Write to the control stream.
    Send {
        /// Which connection.
        id: ConnectionId,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// Close a connection.
    Close {
        /// Which connection.
        id: ConnectionId,
        /// One of [`close_code`](lanparty_ctrl::close_code).
        code: u32,
        /// A text for the peer's log.
        reason: &'static str,
    },
    /// The member is in the room, for the first time or again. From now on datagrams go over
    /// [`JoinInfo::connection`] alone.
    Joined(JoinInfo),
    /// A member is in the room.
    PeerJoined(Peer),
    /// A member left.
    PeerLeft(Peer, LeaveReason),
    /// A member's connection broke; its membership is kept.
    PeerDetached(Peer),
    /// A member is back, with the same membership.
    PeerResumed(Peer),
    /// The relay dropped a client's frame for its source; only a gateway is told.
    ForeignSource(ForeignSource),
    /// The connection broke: the data path pauses, the TAP stays up.
    Detached,
    /// Something worth telling the person in front of the program.
    Status(StatusLine),
    /// The session is over; nothing follows.
    Ended(SessionEnd),
}

/// A membership of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinInfo {
    /// The connection that carries the membership.
    pub connection: ConnectionId,
    /// The member's own id.
    pub peer: PeerId,
    /// The room's id.
    pub room: RoomId,
    /// The room's IP MTU in bytes.
    pub mtu: u16,
    /// How the room carries frames larger than a datagram.
    pub mode: Mode,
    /// The largest overlay datagram that relay and member agreed on, in bytes. The connection may carry less:
    /// [`Session::budget`](super::Session::budget).
    pub budget: usize,
    /// Whether the room has a gateway now.
    pub gateway: bool,
    /// Whether this is the membership that the member had before; never at the first join.
    pub same_membership: bool,
    /// The token that resumes the membership after a crash of this program, for
    /// [`SessionConfig::resume`](super::SessionConfig::resume).
    pub resume: Option<String>,
}

/// Another member of the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: PeerId,
    /// What it is.
    pub role: Role,
    /// A client's tunnel MAC.
    pub mac: Option<MacAddr>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Why and what to do, for a person; empty if the person wanted it.
    pub sentence: String,
    /// What kind of end it is.
    pub kind: EndKind,
}

/// The kind of a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// The person wanted it.
    Left,
    /// Something is broken.
    Failed,
    /// The world refused: rejected, unreachable, wrong certificate.
    Refused,
}
