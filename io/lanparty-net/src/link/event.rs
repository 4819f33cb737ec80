//! Names of links, what happens on them, and what is known about their paths.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::ConnectionError;

/// Names a link of one endpoint. A name is never used again, so a late one finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    pub(crate) slot: usize,
    pub(crate) generation: u32,
}

impl LinkId {
    /// Returns the number of the slot that the link has in its endpoint: small, and used again once the link is gone.
    pub const fn slot(self) -> usize {
        self.slot
    }

    /// Returns the name as a number, for owners that name connections by numbers.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64 & 0xffff_ffff
    }

    /// Returns the name that [`LinkId::to_bits`] made `bits` of.
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            slot: (bits & 0xffff_ffff) as usize,
            generation: (bits >> 32) as u32,
        }
    }
}

/// What happened on a link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The handshake is complete; the control stream is there.
    Connected {
        /// Which link.
        link: LinkId,
    },
    /// The control stream brought bytes.
    Control {
        /// Which link.
        link: LinkId,
        /// The next bytes of the stream.
        bytes: Bytes,
    },
    /// The datagram budget changed.
    Budget {
        /// Which link.
        link: LinkId,
        /// The largest datagram that fits now, in bytes.
        budget: usize,
    },
    /// The link is gone. Nothing follows.
    Closed {
        /// Which link.
        link: LinkId,
        /// Why.
        cause: CloseCause,
    },
}

/// Why a link is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseCause {
    /// The peer was silent for too long, or never answered.
    TimedOut,
    /// The peer does not know this connection any more: it restarted (stateless reset).
    Reset,
    /// The peer's certificate is not trusted, or ours was refused; what TLS said.
    Certificate(String),
    /// The peer ended it with a code and a text of this protocol.
    Application {
        /// The code.
        code: u64,
        /// The text.
        text: String,
    },
    /// The peer refused or ended it in QUIC's own name, or broke QUIC's rules.
    Transport(String),
    /// The control stream ended, or had more waiting than it may.
    Control,
}

impl CloseCause {
    pub(crate) fn of(error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::Reset => Self::Reset,
            ConnectionError::ApplicationClosed(close) => Self::Application {
                code: close.error_code.into_inner(),
                text: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::TransportError(error) if is_tls(error.code) => {
                Self::Certificate(error.reason)
            }
            ConnectionError::ConnectionClosed(close) if is_tls(close.error_code) => {
                Self::Certificate(String::from_utf8_lossy(&close.reason).into_owned())
            }
            other @ (ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted) => Self::Transport(other.to_string()),
        }
    }
}

/// TLS alerts travel as 0x0100 plus the alert (RFC 9001, 4.8).
fn is_tls(code: quinn_proto::TransportErrorCode) -> bool {
    (0x0100..0x0200).contains(&u64::from(code))
}

/// What is known about a link's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFacts {
    /// The peer's address now; it may change while the link lives.
    pub remote: SocketAddr,
    /// The largest datagram that fits, in bytes; 0 while there is none.
    pub budget: usize,
    /// The smoothed round trip.
    pub rtt: Duration,
    /// The path MTU in bytes of UDP payload.
    pub path_mtu: u16,
    /// QUIC packets sent and found lost.
    pub sent_packets: u64,
    /// QUIC packets found lost.
    pub lost_packets: u64,
    /// How often the path shrank under our packets.
    pub black_holes: u64,
    /// When the peer was last heard.
    pub last_heard: Instant,
    /// When the peer last acknowledged something new. Where packets vanish one way only, the deaf
    /// peer is still heard.
    pub last_answered: Instant,
}
