//! Rooms that pass from one relay process to the next while their members play.
//!
//! The old process tells everything that members know of their rooms ([`Switch::hand_over`]), the new one takes it
//! ([`Switch::take_over`]): ids, MTU, mode and tokens stay the same, so that members take their memberships there as if a connection had
//! broken. Until all of them are there ([`Switch::finish_arrival`]) newcomers are asked to wait, for they would not hear who is still with the old one.

use std::time::{Duration, Instant};

use lanparty_ctrl::handover::DRAIN_LIMIT;
use lanparty_ctrl::{LeaveReason, Reject, RejectCode};
use lanparty_proto::fragment::RELAY_SEQUENCE;
use lanparty_proto::{MacAddr, PeerId, RoomId};

use super::Switch;
use crate::member::{Identity, Member};
use crate::membership::Membership;
use crate::output::Output;
use crate::record::{MemberRecord, RoomRecord};
use crate::refusal::reject;
use crate::room::Room;

/// How far the numbers for fragments of the new process are ahead of the old one's, which goes on numbering: more than it can make in the
/// seconds that it has left.
const SEQUENCE_STRIDE: u32 = 1 << 28;

/// How long the gateway of a room is waited for once the old process is gone, which it may have been without a word: the gateway notices
/// after 1.5 s, and takes its membership after two attempts at the latest. One that stands by asks more often than that.
const GATEWAY_RETURN: Duration = Duration::from_secs(5);

impl Switch {
    /// Gives every room for the next process. Admit nobody from then on: the next process does.
    pub fn hand_over(&self, now: Instant) -> Vec<RoomRecord> {
        (self.rooms.iter())
            .map(|(_, room)| RoomRecord {
                id: room.id.0,
                code: room.code.clone(),
                mode: room.mode,
                mtu: room.mtu,
                last_peer: room.members.last_peer(),
                members: room
                    .members
                    .iter()
                    .map(|(_, member)| record(member))
                    .collect(),
                stations: room.stations.iter(now).map(|mac| mac.0).collect(),
            })
            .collect()
    }

    /// Takes the rooms of another process. Every member counts as one whose connection broke just now.
    pub fn take_over(&mut self, rooms: Vec<RoomRecord>, now: Instant) {
        for room in rooms {
            self.take_room(room, now);
        }
    }

    fn take_room(&mut self, record: RoomRecord, now: Instant) {
        let mode = record.mode;
        let mut room = Room::new(RoomId(record.id), record.code, mode, record.mtu, now);
        // Who is blocked is said every second.
        room.is_arriving = true;
        let expiry = now
            .checked_add(self.limits.detached_lifetime + DRAIN_LIMIT)
            .unwrap_or(now);
        let mut memberships = Vec::new();
        for member in record.members {
            let serial = self.next_serial();
            let slot = room.members.insert(restore(member, serial, now));
            memberships.push((slot, serial));
        }
        room.members.set_last_peer(record.last_peer);
        for mac in record.stations {
            room.stations.learn(MacAddr(mac), now);
        }
        let room_slot = self.rooms.insert(room);
        self.members += memberships.len();
        let memberships = memberships.into_iter().map(|(slot, serial)| Membership {
            room: room_slot,
            slot,
            serial,
        });
        self.expiries
            .extend(memberships.map(|membership| (expiry, membership)));
    }

    /// Tells every member to go.
    pub fn close(&mut self) {
        let rooms = std::mem::take(&mut self.rooms);
        self.members = 0;
        self.expiries.clear();
        self.old_paths.clear();
        let members = rooms.iter().flat_map(|(_, room)| room.members.iter());
        let conns = members.flat_map(|(_, member)| member.listeners());
        self.outputs.extend(conns.map(|conn| Output::Close {
            conn,
            reason: LeaveReason::Shutdown,
            message: "the relay is shutting down",
        }));
    }

    /// The old process is gone: newcomers are welcome. A gateway that stands by is none as long as the room's own may be on its way.
    pub fn finish_arrival(&mut self, now: Instant) {
        let until = now.checked_add(GATEWAY_RETURN);
        for room in self.rooms.iter_mut().filter(|room| room.is_arriving) {
            room.is_arriving = false;
            room.gateway_awaited = until.filter(|_| !room.members.has_live_gateway());
        }
    }

    /// Asks newcomers to wait while the room's members are on their way.
    pub(crate) fn check_arriving(&self, room_slot: usize) -> Result<(), Reject> {
        if self
            .rooms
            .get(room_slot)
            .is_some_and(|room| room.is_arriving)
        {
            return Err(reject(
                RejectCode::ShuttingDown,
                "the relay is being renewed; try again in a moment",
            ));
        }

        Ok(())
    }
}

fn record(member: &Member) -> MemberRecord {
    MemberRecord {
        peer: member.identity.peer().0,
        mac: member.identity.mac().map(|mac| mac.0),
        token: member.token,
        instance: member.instance,
        generation: member.generation,
        agreed: member.agreed,
        origin: member.origin,
        program: member.program.clone(),
        split_sequence: member.split_sequence,
    }
}

fn restore(record: MemberRecord, serial: u64, now: Instant) -> Member {
    let peer = PeerId(record.peer);
    let identity = record
        .mac
        .map_or(Identity::Gateway { peer }, |mac| Identity::Client {
            peer,
            mac: MacAddr(mac),
        });

    let mut member = Member::new(identity, record.token, record.origin, serial, now);
    member.instance = record.instance;
    member.generation = record.generation;
    member.agreed = record.agreed;
    member.budget = record.agreed;
    member.program = record.program;
    member.split_sequence = record.split_sequence.wrapping_add(SEQUENCE_STRIDE) & !RELAY_SEQUENCE;

    member
}
