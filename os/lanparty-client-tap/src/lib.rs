//! TAP devices: TAP-Windows6 and /dev/net/tun.
//!
//! A [`Tap`] is an Ethernet interface whose wire is this program. It is driven as a
//! [`FrameDevice`](lanparty_device::FrameDevice).
//!
//! On other systems than Linux and Windows this crate is empty.

#![cfg(any(target_os = "linux", target_os = "windows"))]

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(target_os = "windows")]
#[path = "windows.rs"]
mod imp;

use std::io;

use lanparty_proto::MacAddr;

pub use self::imp::Tap;
#[cfg(target_os = "windows")]
pub use self::imp::{
    Adapter, AdapterError, AdapterId, AdapterList, AdapterState, ChooseError, DriverVersion,
    MIN_DRIVER, adapters, choose, look, prepare,
};
#[cfg(target_os = "linux")]
pub use self::imp::{RouteError, RouteGuard};

/// What a TAP device is to be.
#[derive(Debug, Clone)]
pub struct TapOptions {
    /// The interface's name (Linux: at most 15 bytes).
    pub name: String,
    /// Its MAC address: the tunnel MAC.
    pub mac: MacAddr,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// Let the system hand over super-frames and leave checksums to us.
    pub offload: bool,
    /// Linux: take the LAN's IPv6 router as a way out, if router advertisements name one.
    pub accept_router: bool,
}

/// Why there is no TAP device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name does not fit into what the system allows.
    #[error("interface name {0:?} is empty, too long, or has characters that the system refuses")]
    BadName(String),
    /// The driver is not there or not for us.
    #[error("failed to open the TAP driver (on Linux /dev/net/tun, as root or with CAP_NET_ADMIN)")]
    Driver(#[source] io::Error),
    /// The driver refused to make the interface.
    #[error("failed to make interface {name:?}")]
    Attach {
        /// The interface asked for.
        name: String,
        /// What the driver said.
        #[source]
        source: io::Error,
    },
    /// A step of setting up the interface failed.
    #[error("failed to set {what} of interface {name:?}")]
    Configure {
        /// Which step.
        what: &'static str,
        /// The interface.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
