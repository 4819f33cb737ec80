//! What a member of a room is, as state machines: no sockets, no clock, no threads.
//!
//! - [`Session`] is the control plane of any member, client or gateway: connecting, joining, coming back, leaving.
//! - [`DataPath`] is what frames go through, and [`ClientPath`] a player's; the gateway's composes the same [`path::Tunnel`].

pub mod path;
pub mod session;

pub use path::{ClientPath, ClientPathConfig, DataPath, Flow, Outbox};
pub use session::{
    Attempt, Cause, Config, End, Exit, JoinInfo, Neighbor, Output, Peer, SUSPICION, Session,
    Standby,
};
