//! What the programs need of Linux beside devices; the mirror of `lanparty-win32`.
//!
//! [`HOST`] and [`UDP`] are the functions that portable crates are given: those crates name no system.
//!
//! On other systems than Linux this crate is empty.
#![cfg(target_os = "linux")]

pub mod bpf;
mod clock;
pub mod heap;
pub mod netlink;
pub mod privilege;
pub mod realtime;
mod signals;
pub mod steer;
mod supervisor;
pub mod udp;
mod wait;

use std::net::UdpSocket;

use lanparty_device::Host;
use lanparty_offload::train::UdpSystem;

pub use supervisor::Supervisor;
pub use wait::{WakeFd, wait};

/// What a member's loop asks of Linux.
pub const HOST: Host = Host {
    addresses: netlink::addresses,
    watch_network: netlink::watch,
    watch_stop: signals::watch,
    time_asleep: clock::time_asleep,
    notify_ready: || Supervisor::from_environment().ready(),
    notify_stopping: || Supervisor::from_environment().stopping(),
    watch_alive: |is_alive| Supervisor::from_environment().watch(is_alive),
};

/// What Linux can do with UDP sockets beyond what every system can.
pub const UDP: UdpSystem<UdpSocket> = UdpSystem {
    prepare: udp::prepare,
    send: udp::send_trains,
};
