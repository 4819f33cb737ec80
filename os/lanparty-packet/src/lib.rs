//! Packet sockets: frames of a LAN as the network card and the kernel's offloads leave them, and back.
//!
//! [`PacketSocket::receive`] takes a batch off the interface, [`PacketSocket::received`] shows each frame with its
//! virtio-net header and its VLAN tag back in place; [`PacketSocket::send`] and [`PacketSocket::flush`] put frames out.
//! Nothing the network does is an error: what cannot be sent is counted.

mod facts;
mod filter;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(not(target_os = "linux"))]
#[path = "stub.rs"]
mod imp;

use std::io;

use lanparty_offload::VnetHeader;

pub use self::facts::{InterfaceFacts, InterfaceKind, Offloads};
pub use self::filter::MAX_FILTERED_MACS;
pub use self::imp::PacketSocket;

/// How a packet socket is opened.
#[derive(Debug, Clone, Copy)]
pub struct PacketOptions {
    /// Ask the card for frames to every station (`PACKET_MR_PROMISC`): remote players are not its own.
    pub promiscuous: bool,
    /// Bytes of the kernel's receive buffer (`SO_RCVBUFFORCE`).
    pub receive_buffer: usize,
    /// Bytes of the kernel's send buffer (`SO_SNDBUFFORCE`).
    pub send_buffer: usize,
}

impl Default for PacketOptions {
    /// Promiscuous, with 8 MiB to receive (64 ms of a gigabit, twice that in the kernel's accounting) and 4 MiB to send.
    fn default() -> Self {
        Self {
            promiscuous: true,
            receive_buffer: 8 << 20,
            send_buffer: 4 << 20,
        }
    }
}

/// A frame that arrived.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What offloads have left to do; give both to `Super::parse`.
    pub vnet: VnetHeader,
    /// The frame, its VLAN tag in place.
    pub frame: &'a [u8],
}

/// Whether the interface takes frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Up,
    /// It is down or gone; frames are dropped and counted until it is back.
    Down,
}

/// What did not arrive or leave, since the socket was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames that passed the kernel's filter.
    pub received: u64,
    /// Frames that the kernel dropped because the receive buffer was full.
    pub kernel_drops: u64,
    /// Frames longer than the buffers here.
    pub truncated: u64,
    /// Frames handed to the kernel.
    pub sent: u64,
    /// Frames dropped because the send buffer or the card's queue was full.
    pub send_busy: u64,
    /// Frames dropped because the interface was down.
    pub send_down: u64,
    /// Frames that the kernel refused (longer than the MTU, a header it cannot express).
    pub send_refused: u64,
}

/// What the kernel's filter does after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterState {
    /// Unicast between LAN stations stays in the kernel.
    Exact,
    /// More than [`MAX_FILTERED_MACS`] remote MACs: everything comes up, and the caller decides.
    PassAll,
}

/// Why there is no packet socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// This system has no packet sockets.
    #[error("packet sockets need Linux; this is an unsupported platform")]
    UnsupportedPlatform,
    /// There is no such interface.
    #[error("there is no interface {name:?}")]
    NoInterface {
        /// The interface asked for.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel gives us no packet socket.
    #[error("failed to create a packet socket (it takes root or CAP_NET_RAW)")]
    Socket(#[source] io::Error),
    /// The kernel refuses an option without which frames would be damaged.
    #[error("the kernel refuses packet socket option {option}")]
    Option {
        /// Its name in `linux/if_packet.h`.
        option: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The socket cannot be bound to the interface.
    #[error("failed to bind to interface {name:?}")]
    Bind {
        /// The interface asked for.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}
