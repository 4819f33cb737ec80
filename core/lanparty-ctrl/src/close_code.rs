//! Codes of QUIC's application close (RFC 9000, 19.19; `docs/protocol.md`, clause 1.5).
//!
//! A close overtakes what waits on the control stream, so code and text say again what a message said.

/// The sender left, or has nothing more to say.
pub const LEFT: u32 = 0;
/// The peer broke this protocol; the text says how.
pub const PROTOCOL: u32 = 1;
/// Not admitted, and trying again is pointless; the text is the reject's sentence.
pub const REJECTED: u32 = 2;
/// Not admitted now; trying again later can help.
pub const BUSY: u32 = 3;
/// A newer connection of the same member took over, or another attempt won.
pub const SUPERSEDED: u32 = 4;
/// The relay removed the member; the text says why.
pub const KICKED: u32 = 5;
/// The sender goes down; come back later.
pub const SHUTDOWN: u32 = 6;
