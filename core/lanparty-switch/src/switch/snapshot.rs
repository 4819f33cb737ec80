//! Describes a switch for status and metrics.

use std::time::Instant;

use super::Switch;
use crate::member::Member;
use crate::room::Room;
use crate::snapshot::{MemberSnapshot, RoomSnapshot};

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
                    .members
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
        violations: member.violations,
        stats: member.stats.clone(),
    }
}
