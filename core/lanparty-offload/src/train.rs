//! Trains of UDP packets, which the system cuts.

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
