//! Trains of UDP packets, which the system cuts.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Where a train goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// The peer.
    pub destination: SocketAddr,
    /// The address of ours that it is sent from; `None` leaves it to the system.
    pub source: Option<IpAddr>,
    /// The ECN field of every packet, 0 to 3 (RFC 3168, 5).
    pub ecn: u8,
    /// The length of every packet but the last, in bytes; `None` if there is one packet.
    pub segment: Option<usize>,
}

/// Up to 64 UDP payloads of one size, the last of which may be shorter, to one peer: one message for the system, which cuts it
/// (`UDP_SEGMENT`, `udp(7)`).
#[derive(Debug, Clone, Copy)]
pub struct Train<'a> {
    /// Where it goes.
    pub heading: Heading,
    /// The payloads, one behind the other.
    pub contents: &'a [u8],
}

impl<'a> Train<'a> {
    /// Returns the packets, each as a train of its own.
    pub fn packets(&self) -> impl Iterator<Item = Train<'a>> + use<'a> {
        let heading = Heading {
            segment: None,
            ..self.heading
        };
        let len = self.heading.segment.unwrap_or(self.contents.len()).max(1);

        self.contents
            .chunks(len)
            .map(move |contents| Train { heading, contents })
    }
}

/// What a system can do with UDP sockets of type `S` beyond what every system can.
///
/// `os/` provides it, and the crate that owns the sockets uses it: neither knows the other.
#[derive(Debug)]
pub struct UdpSystem<S> {
    /// Sets the options of a socket that only this system has. The second argument is the receive buffer
    /// that is wanted, in bytes.
    pub prepare: fn(&S, usize),
    /// Sends some of the trains, the first ones, and returns how many left; an error is the first one's.
    ///
    /// `WouldBlock` says that the socket is full, `Unsupported` that the train cannot be cut there.
    pub send: fn(&S, &mut dyn Iterator<Item = Train<'_>>) -> io::Result<usize>,
}

// Derived ones would ask the same of sockets.
impl<S> Clone for UdpSystem<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for UdpSystem<S> {}
