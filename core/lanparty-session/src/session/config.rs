//! What a session is told at its start.

use lanparty_ctrl::{Role, RoomCode};
use lanparty_proto::MacAddr;

/// What a gateway does whose room has one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standby {
    /// It ends.
    Never,
    /// It waits if the other one is on the same LAN, and ends otherwise: a room must not jump to another LAN by itself.
    SameLan,
    /// It waits wherever the other one is.
    Anywhere,
}

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The relay as the person wrote it, for sentences.
    pub relay: String,
    /// What the member is.
    pub role: Role,
    /// The room.
    pub room: RoomCode,
    /// A client's tunnel MAC; a gateway has none.
    pub mac: Option<MacAddr>,
    /// The LAN interface of a gateway or the TAP of a client, for sentences.
    pub interface: String,
    /// The largest overlay datagram the member takes, in bytes.
    pub budget: u16,
    /// Whether frames over the budget may travel as two datagrams.
    pub full_frame: bool,
    /// The member's download rate in bits a second, for the relay to shape to.
    pub down_rate: Option<u64>,
    /// The program's name.
    pub program: String,
    /// The program's version.
    pub program_version: String,
    /// The generation of the first hello; must be higher than any of an earlier run.
    pub generation: u64,
    /// What [`JoinInfo::resume`](super::JoinInfo::resume) of an earlier run said, if that run did not leave.
    pub resume: Option<String>,
    /// Random for every start of the program: by it the relay knows a member whose welcome was lost.
    pub instance: u128,
    /// What a gateway does whose room has one already.
    pub standby: Standby,
    /// Random bits, for jitter.
    pub seed: u64,
}
