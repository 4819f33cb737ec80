//! What a switch looks like from outside, for status and metrics.

use std::time::{Duration, Instant};

use lanparty_ctrl::{Mode, Role, RoomCode, Stats};
use lanparty_obs::{Drops, Traffic};
use lanparty_proto::{MacAddr, PeerId, RoomId};

use crate::member::Member;
use crate::room::Room;
use crate::{ConnId, Switch};

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
    pub strikes: u32,
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
    /// Broken connections that were taken up again, and places taken over.
    pub resumed: u64,
    /// Members removed because of malformed datagrams.
    pub struck_out: u64,
}

impl Switch {
    /// Describes every room.
    pub fn snapshot(&self, now: Instant) -> Vec<RoomSnapshot> {
        self.rooms
            .iter()
            .map(|(_, room)| RoomSnapshot {
                id: room.id,
                code: room.code.clone(),
                mode: room.mode,
                mtu: room.mtu,
                age: now.saturating_duration_since(room.created),
                lan_stations: room.stations.len(),
                members: room
                    .roster
                    .iter()
                    .map(|(_, member)| describe(room, member, now))
                    .collect(),
            })
            .collect()
    }
}

fn describe(room: &Room, member: &Member, now: Instant) -> MemberSnapshot {
    MemberSnapshot {
        peer: member.identity.peer(),
        role: member.identity.role(),
        mac: member.identity.mac(),
        conn: member.conn,
        program: member.program.clone(),
        age: now.saturating_duration_since(member.joined),
        last_seen: now.saturating_duration_since(member.last_seen),
        budget: member.budget,
        up: member.up,
        down: member.down,
        drops: member.drops.clone(),
        blocked: member
            .identity
            .mac()
            .and_then(|mac| room.blocks.left(mac, now)),
        strikes: member.strikes,
        stats: member.stats.clone(),
    }
}
