//! The control plane of a member, client or gateway, as a state machine: no sockets, no clock, no threads.
//!
//! A [`Session`] connects, joins, comes back and leaves. What frames go through is another crate's (`lanparty-tunnel`).

pub mod session;

pub use session::{
    Cause, Config, ConnectionId, End, Exit, JoinInfo, Neighbor, Output, Peer, SUSPICION, Session,
    Standby,
};
