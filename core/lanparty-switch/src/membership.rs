//! What names a connection and its hold on a membership.

use std::net::IpAddr;

/// A connection, as the driver of the switch names it. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What proves that a connection may take a membership again: random bytes, known to the member alone.
pub type Token = [u8; 16];

/// A connection's hold on a member's membership.
///
/// Every admission makes a new one, and only the newest of a membership is good for anything: what an old connection still does or
/// has done to it cannot touch the membership that a newer connection has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The room's slot on the switch.
    pub(crate) room: usize,
    /// The member's slot in the room.
    pub(crate) slot: usize,
    pub(crate) serial: u64,
}

impl Membership {
    /// Returns the room's number on this switch, which another room may have once it is gone.
    pub const fn room(self) -> usize {
        self.room
    }
}

/// What asks to join.
#[derive(Debug, Clone, Copy)]
pub struct Joiner {
    /// The connection.
    pub conn: ConnId,
    /// The largest overlay datagram that it carries now, in bytes.
    pub budget: usize,
    /// Where it comes from.
    pub origin: IpAddr,
    /// Fresh random bytes, which become the member's resume token.
    pub token: Token,
}

/// Returns `token` as control messages carry it: 32 hexadecimal digits.
pub(crate) fn token_text(token: &Token) -> String {
    format!("{:032x}", u128::from_be_bytes(*token))
}

/// Reads what [`token_text`] wrote.
pub(crate) fn parse_token(text: &str) -> Option<Token> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());

    is_hex
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
        .map(u128::to_be_bytes)
}
