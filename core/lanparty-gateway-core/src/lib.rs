//! The gateway's data path: remote members, the LAN side's safety, CAM refresh.
//!
//! [`GatewayPath`] is driven as [`DataPath`](lanparty_client_core::DataPath) says. Beside that it tells which remote MACs there are
//! (`DataPath::take_remotes`), so that its owner can keep LAN-to-LAN unicast out of user space.

mod bindings;
mod clean;
mod gateway;
mod inquiry;
mod loops;
mod memory;
mod notices;
mod refresh;

pub use gateway::{GatewayPath, GatewayPathConfig};
pub use loops::{PROBE_INTERVAL, Presence, ProbeKeys};
pub use refresh::REFRESH_INTERVAL;
