//! Packet sockets: frames of a LAN as the network card and the kernel's offloads leave them, and back.
//!
//! A [`PacketSocket`] is driven as a [`FrameDevice`](lanparty_device::FrameDevice): each frame comes with its virtio-net header, and
//! with its VLAN tag back in place. Nothing the network does is an error: what cannot be sent is counted.
//!
//! On other systems than Linux this crate is empty.
#![cfg(target_os = "linux")]

mod facts;
mod filter;

mod interface;
mod options;
mod receive;
mod send;
mod socket;

use std::io;

pub use self::facts::{InterfaceFacts, InterfaceKind, Offloads};
pub use self::filter::MAX_FILTERED_MACS;
pub use self::socket::PacketSocket;

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
