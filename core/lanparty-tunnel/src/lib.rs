//! What frames go through at a member: the data paths of client and gateway beside each other, and what they share.
//!
//! - [`DataPath`] says how to drive either.
//! - [`ClientPath`] stands between a player's TAP and the relay, [`GatewayPath`] between the party's LAN and the relay. Beside the frames,
//!   the gateway's tells which remote MACs there are ([`DataPath::take_remotes`]), so that its owner can keep LAN-to-LAN unicast out of user
//!   space.
//! - [`Tunnel`] is what both compose: encapsulation, reassembly, segmentation, counters.

mod block;
mod client;
mod encapsulation;
mod gateway;
mod members;
mod path;
mod pool;
mod tunnel;

pub use client::{ClientPath, ClientPathConfig};
pub use encapsulation::{Decapsulator, Encapsulator};
pub use gateway::{
    GatewayPath, GatewayPathConfig, PROBE_INTERVAL, Presence, ProbeKeys, REFRESH_INTERVAL,
};
pub use members::Members;
pub use path::{DataPath, Flow, Outbox};
pub use pool::Pool;
pub use tunnel::Tunnel;
