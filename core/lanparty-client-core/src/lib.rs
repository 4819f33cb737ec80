//! What a member of a room is, as state machines: no sockets, no clock, no threads.
//!
//! [`Session`] is the control plane of any member, client or gateway: connecting, joining, coming back, leaving.

pub mod session;

pub use session::{Attempt, Cause, Config, End, Exit, JoinInfo, Output, Peer, Session};
