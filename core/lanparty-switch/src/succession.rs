//! Rooms that pass from one relay process to the next while their members play.
//!
//! The old process tells everything that members know of their rooms ([`Switch::hand_over`]), the new one takes it
//! ([`Switch::take_over`]): ids, MTU, mode and tokens stay the same, so that members take their places there as if a connection had
//! broken. Until all of them are there ([`Switch::settle`]) strangers are asked to wait, for they would not hear who is still with the old one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_bounds::TokenBucket;
use lanparty_ctrl::handover::DRAIN_LIMIT;
use lanparty_ctrl::{LeaveReason, Mode, Reject, RejectCode, RoomCode};
use lanparty_obs::{Drops, Traffic};
use lanparty_proto::fragment::{RELAY_SEQUENCE, Reassembler};
use lanparty_proto::policy::Fragments;
use lanparty_proto::{MacAddr, PeerId, RoomId};
use serde::{Deserialize, Serialize};

use crate::admission::reject;
use crate::blocks::Blocks;
use crate::fights::Fights;
use crate::member::{Buckets, Identity, Member, Membership, Token};
use crate::room::Room;
use crate::roster::Roster;
use crate::stations::Stations;
use crate::switch::{Output, Switch};

/// How far the numbers for halves of the new process are ahead of the old one's, which goes on numbering: more than it can make in the
/// seconds that it has left.
const SEQUENCE_STRIDE: u32 = 1 << 28;

/// How long the gateway of a room is waited for once the old process is gone, which it may have been without a word: the gateway notices
/// after 1.5 s, and takes its place after two attempts at the latest. One that stands by asks more often than that.
const GATEWAY_RETURN: Duration = Duration::from_secs(5);

/// One room, for the next process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRecord {
    /// Its id on the wire.
    pub id: u32,
    /// Its code.
    pub code: RoomCode,
    /// How it carries larger frames.
    pub mode: Mode,
    /// Its IP MTU in bytes.
    pub mtu: u16,
    /// The peer id that was given last.
    pub last_peer: u16,
    /// Its members, those included whose connection broke.
    pub members: Vec<MemberRecord>,
    /// The stations that were seen on its LAN.
    pub stations: Vec<[u8; 6]>,
}

/// One member, for the next process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its peer id.
    pub peer: u16,
    /// A client's MAC; a gateway has none.
    pub mac: Option<[u8; 6]>,
    /// What it shows to take its place again.
    pub token: Token,
    /// Which start of its program it is, if that said so.
    pub instance: Option<Token>,
    /// Its last hello's.
    pub generation: u64,
    /// The largest overlay datagram that was agreed on, in bytes.
    pub agreed: usize,
    /// Where it came from.
    pub origin: IpAddr,
    /// Its program and version.
    pub program: String,
    /// The number of the last halves that the relay made of its frames.
    pub split_sequence: u32,
}

impl Switch {
    /// Gives every room for the next process. Admit nobody from then on: the next process does.
    pub fn hand_over(&self, now: Instant) -> Vec<RoomRecord> {
        (self.rooms.iter())
            .map(|(_, room)| RoomRecord {
                id: room.id.0,
                code: room.code.clone(),
                mode: room.mode,
                mtu: room.mtu,
                last_peer: room.roster.last_peer(),
                members: room
                    .roster
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
        let mut roster = Roster::default();
        let expiry = now
            .checked_add(self.limits.detached_lifetime + DRAIN_LIMIT)
            .unwrap_or(now);
        let mut places = Vec::new();
        for member in record.members {
            let serial = self.next_serial();
            let seat = roster.insert(restore(member, serial, now));
            places.push((seat, serial));
        }
        roster.set_last_peer(record.last_peer);
        let mut stations = Stations::default();
        for mac in record.stations {
            stations.learn(MacAddr(mac), now);
        }
        let slot = self.rooms.insert(Room {
            id: RoomId(record.id),
            code: record.code,
            mode: record.mode,
            mtu: record.mtu,
            narrowest: None,
            roster,
            stations,
            // Who is blocked is said every second.
            blocks: Blocks::default(),
            foreign_source: None,
            foreign_rate: TokenBucket::default(),
            created: now,
            is_arriving: true,
            gateway_awaited: None,
        });
        self.members += places.len();
        let places = places.into_iter().map(|(seat, serial)| Membership {
            room: slot,
            seat,
            serial,
        });
        self.expiries.extend(places.map(|place| (expiry, place)));
    }

    /// Tells every member to go.
    pub fn close(&mut self) {
        let rooms = std::mem::take(&mut self.rooms);
        self.members = 0;
        self.expiries.clear();
        self.formers.clear();
        let members = rooms.iter().flat_map(|(_, room)| room.roster.iter());
        let conns = members.flat_map(|(_, member)| member.listeners());
        self.outputs.extend(conns.map(|conn| Output::Close {
            conn,
            reason: LeaveReason::Shutdown,
            message: "the relay is shutting down",
        }));
    }

    /// The old process is gone: strangers are welcome. A gateway that stands by is none as long as the room's own may be on its way.
    pub fn settle(&mut self, now: Instant) {
        let until = now.checked_add(GATEWAY_RETURN);
        for room in self.rooms.iter_mut().filter(|room| room.is_arriving) {
            room.is_arriving = false;
            room.gateway_awaited = until.filter(|_| !room.roster.has_live_gateway());
        }
    }

    /// Asks strangers to wait while the room's members are on their way.
    pub(crate) fn check_arriving(&self, slot: usize) -> Result<(), Reject> {
        if self.rooms.get(slot).is_some_and(|room| room.is_arriving) {
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

    Member {
        identity,
        token: record.token,
        instance: record.instance,
        generation: record.generation,
        serial,
        conn: None,
        former: None,
        origin: record.origin,
        fights: Fights::default(),
        agreed: record.agreed,
        // The hello with which it comes says so.
        hears_budget: false,
        hears_foreign: false,
        budget: record.agreed,
        joined: now,
        last_seen: now,
        program: record.program,
        stats: None,
        buckets: Buckets::default(),
        strikes: 0,
        fragments_held: Reassembler::default(),
        fragments: Fragments::default(),
        split_sequence: record.split_sequence.wrapping_add(SEQUENCE_STRIDE) & !RELAY_SEQUENCE,
        up: Traffic::default(),
        down: Traffic::default(),
        drops: Drops::default(),
    }
}
