//! TAP devices: TAP-Windows6 and /dev/net/tun.
//!
//! A [`Tap`] is an Ethernet interface whose wire is this program. [`Tap::receive`] takes what the system sends,
//! [`Tap::received`] shows it, [`Tap::send`] gives the system frames. What the device does not take is counted, never an
//! error.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(target_os = "windows")]
#[path = "windows.rs"]
mod imp;
#[cfg(not(any(target_os = "linux", target_os = "windows")))]
#[path = "stub.rs"]
mod imp;

use std::io;

use lanparty_offload::VnetHeader;
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

/// What a device can take and hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// TCP super-frames and unfinished checksums, both ways.
    pub tcp: bool,
    /// UDP super-frames, both ways (Linux 6.2).
    pub udp: bool,
}

/// A frame that the system sent.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What offloads have left to do; give both to `Super::parse`.
    pub vnet: VnetHeader,
    /// The frame.
    pub frame: &'a [u8],
}

/// Whether the interface takes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Up,
    /// It is switched off; frames are dropped and counted until it is on.
    Down,
}

/// What was not taken, since the device was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames and super-frames that the system sent.
    pub received: u64,
    /// Frames longer than the buffers here, or broken.
    pub truncated: u64,
    /// Frames and super-frames given to the system.
    pub sent: u64,
    /// Frames dropped because the system had no room.
    pub send_busy: u64,
    /// Frames dropped because the interface was switched off.
    pub send_down: u64,
    /// Frames that the system refused.
    pub send_refused: u64,
}

/// Why there is no TAP device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There are TAP devices for Windows and Linux.
    #[error("TAP devices need Linux or Windows; this is an unsupported platform")]
    UnsupportedPlatform,
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
