//! Who may connect to a relay, decided before a handshake costs anything.

use std::net::SocketAddr;
use std::time::Instant;

use lanparty_queue::Pace;

/// What to do with the first packet of an unvalidated peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Shake hands.
    Accept {
        /// How sending towards the peer is limited at first.
        pace: Pace,
    },
    /// Ask it to prove its address first (RFC 9000, 8.1.2).
    Retry,
    /// Tell it no.
    Refuse,
    /// Do not answer at all.
    Ignore,
}

/// A connection that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingConnection {
    /// The address that it came from. It may use another by now.
    pub remote: SocketAddr,
    /// Whether that address was proved before it was let in.
    pub was_validated: bool,
    /// Whether its handshake is complete, which proves the address as well.
    pub is_connected: bool,
}

/// Stands at a relay's door.
pub trait AcceptPolicy: Send {
    /// Decides about a connection from `remote`; `validated` tells whether the address was proved, `may_retry` whether it can be asked to.
    fn decide(
        &mut self,
        remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        now: Instant,
    ) -> Decision;

    /// The handshake of a connection that was accepted is complete.
    fn handle_connected(&mut self, guest: PendingConnection, now: Instant);

    /// A connection that was accepted is gone.
    fn handle_gone(&mut self, guest: PendingConnection, now: Instant);
}
