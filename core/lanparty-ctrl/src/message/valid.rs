//! What makes fields valid, and what is said of those that are not.

use lanparty_proto::PeerId;

use super::MAX_TEXT;

/// What is not valid in a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// A client without a MAC.
    #[error("a client needs a MAC address")]
    MissingMac,
    /// A gateway with a MAC.
    #[error("a gateway has no MAC address of its own in the room")]
    GatewayWithMac,
    /// A MAC that no station may send with.
    #[error("the MAC address is zero or a group address")]
    BadMac,
    /// A peer id of zero.
    #[error("peer id 0 is nobody")]
    BadPeer,
    /// An MTU outside [`MIN_IP_MTU`](lanparty_proto::budget::MIN_IP_MTU) to [`FULL_IP_MTU`](lanparty_proto::budget::FULL_IP_MTU).
    #[error("an MTU of {0} is outside of what a room may have")]
    BadMtu(u16),
    /// A list with too many entries.
    #[error("too many entries in {0}")]
    TooMany(&'static str),
    /// A text that is too long.
    #[error("{0} is longer than {MAX_TEXT} bytes")]
    TextTooLong(&'static str),
}

pub(super) fn check_text(field: &'static str, text: &str) -> Result<(), ValidationError> {
    if text.len() > MAX_TEXT {
        return Err(ValidationError::TextTooLong(field));
    }

    Ok(())
}

pub(super) const fn check_peer(peer: PeerId) -> Result<(), ValidationError> {
    if peer.0 == 0 {
        return Err(ValidationError::BadPeer);
    }

    Ok(())
}
