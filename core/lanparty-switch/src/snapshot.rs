//! What a switch looks like from outside, for status and metrics.

use std::time::Duration;

use lanparty_ctrl::{Mode, Role, RoomCode, Stats};
use lanparty_obs::{Drops, Traffic};
use lanparty_proto::{MacAddr, PeerId, RoomId};

use crate::membership::ConnId;

/// One room.
#[derive(Debug, Clone)]
pub struct RoomSnapshot {
    /// The room's id in datagrams.
    pub id: RoomId,
    /// The room's code.
    pub code: RoomCode,
    /// How it carries larger frames.
    pub mode: Mode,
    /// Its IP MTU.
    pub mtu: u16,
    /// How long it has been there.
    pub age: Duration,
    /// How many stations were seen on its LAN.
    pub lan_stations: usize,
    /// Who is in it.
    pub members: Vec<MemberSnapshot>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct MemberSnapshot {
    /// Its id.
    pub peer: PeerId,
    /// What it is.
    pub role: Role,
    /// A client's tunnel MAC.
    pub mac: Option<MacAddr>,
    /// Its connection, unless that broke.
    pub conn: Option<ConnId>,
    /// The program it runs and its version.
    pub program: String,
    /// How long it has been a member.
    pub age: Duration,
    /// How long ago it was last heard of.
    pub last_seen: Duration,
    /// The largest overlay datagram its connection carries now.
    pub budget: usize,
    /// Frames that it sent and that went on.
    pub up: Traffic,
    /// Frames that went to it.
    pub down: Traffic,
    /// What of its frames was dropped, and what was too large for it.
    pub drops: Drops,
    /// For how long what it sends goes nowhere, because it closes a loop.
    pub blocked: Option<Duration>,
    /// Malformed datagrams on this connection.
    pub violations: u32,
    /// What it says about itself.
    pub stats: Option<Stats>,
}

/// What a switch counted since it started.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Frames that came in and went on.
    pub ingress: Traffic,
    /// Copies of them that went out.
    pub egress: Traffic,
    /// Everything else, by reason.
    pub drops: Drops,
    /// Members admitted.
    pub admitted: u64,
    /// Members not admitted.
    pub rejected: u64,
    /// Broken connections that were taken up again, and memberships taken over.
    pub resumed: u64,
    /// Members removed because of malformed datagrams.
    pub removed: u64,
}
