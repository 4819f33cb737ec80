//! One connection to the relay, from the attempt to the membership that it carries.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Decoder, MAX_UNADMITTED, Welcome};

/// Names an attempt to connect, and the connection that comes of it. Never used again in one
/// session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Why a connection is gone or never came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionError {
    /// No address of the relay can be reached; what the system or the resolver said.
    Unreachable(String),
    /// No answer came.
    TimedOut,
    /// The relay does not know the connection: it restarted.
    Reset,
    /// The relay's certificate is not the one to trust; what TLS said.
    Certificate(String),
    /// The relay closed it with one of [`close_code`](lanparty_ctrl::close_code) and a text.
    Closed {
        /// The code.
        code: u64,
        /// The text.
        text: String,
    },
    /// QUIC itself failed; what it said.
    Transport(String),
    /// The control stream ended.
    ControlEnded,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The handshake goes on.
    Connecting,
    /// The handshake has taken too long, and the next attempt comes soon. Until then the relay may
    /// still answer: a relay that stood still has our packet before it, and a relay that comes back
    /// hears the repetition of the packet.
    Overdue,
    /// Connected, while the connection in use may still be alive and gets a last chance.
    Connected,
    /// The hello is on its way.
    Greeting,
    /// Prepared with the relay's successor: it has the membership, and is used once everybody's is
    /// prepared (make before break).
    Prepared,
    /// The connection carries the membership.
    Joined,
}

/// A connection to the relay.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) phase: Phase,
    /// When the phase has taken too long.
    pub(super) deadline: Option<Instant>,
    pub(super) decoder: Decoder,
    /// What the connection carries, in bytes.
    pub(super) budget: usize,
    /// What relay and member agreed on, in bytes.
    pub(super) agreed: usize,
    /// What the paths of all members carry, in bytes, where that is less than the room's MTU needs.
    pub(super) room_budget: Option<usize>,
    pub(super) rtt: Duration,
    /// How long the relay has owed an answer.
    pub(super) silence: Duration,
    pub(super) joined_at: Option<Instant>,
    /// What a prepared connection was welcomed with.
    pub(super) welcome: Option<Box<Welcome>>,
}

impl Connection {
    /// Returns what datagrams over the connection may have, in bytes.
    pub(super) fn budget(&self) -> usize {
        self.budget.min(self.agreed)
    }

    pub(super) const fn new(id: ConnectionId, deadline: Instant) -> Self {
        Self {
            id,
            phase: Phase::Connecting,
            deadline: Some(deadline),
            decoder: Decoder::new(MAX_UNADMITTED),
            budget: 0,
            agreed: 0,
            room_budget: None,
            rtt: Duration::ZERO,
            silence: Duration::ZERO,
            joined_at: None,
            welcome: None,
        }
    }
}
