//! The control plane: what members and relay say to each other on the control stream.
//!
//! Messages are JSON objects with a `type`, each behind a 32-bit length (`docs/protocol.md`, clauses 3 and 4). Nothing here
//! does I/O: a [`Decoder`] is fed bytes and gives messages, [`encode`] gives bytes.

pub mod close_code;
mod framing;
pub mod handover;
mod message;
mod room;

pub use framing::{ControlError, Decoder, LENGTH_PREFIX, MAX_ADMITTED, MAX_UNADMITTED, encode};
pub use message::{
    Capability, Disconnect, ForeignSource, Hello, LeaveReason, MAX_CAPABILITIES, MAX_REASONS,
    MAX_TEXT, Message, Mode, PeerInfo, PeerLeft, PeerRef, Redirect, Reject, RejectCode, Restarting,
    Resume, Role, RoomBudget, Stats, ValidationError, Welcome,
};
pub use room::{MAX_LEN as MAX_ROOM_CODE, MIN_LEN as MIN_ROOM_CODE, RoomCode, RoomCodeError};

/// The ALPN token of the tunnel (RFC 7301). It changes when an old peer could not even read a [`Reject`].
pub const ALPN: &[u8] = b"softlan/1";

/// The version of messages and datagrams that this code speaks; [`Hello::version`].
pub const PROTOCOL_VERSION: u16 = 1;
