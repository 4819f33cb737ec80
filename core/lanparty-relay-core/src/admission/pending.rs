//! What is known of a connection that was accepted.

use std::net::SocketAddr;

/// A connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The address that it came from. It may use another by now.
    pub remote: SocketAddr,
    /// Whether that address was validated before it was accepted.
    pub was_validated: bool,
    /// Whether its handshake is complete, which validates the address as well.
    pub is_connected: bool,
}
