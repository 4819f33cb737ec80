//! The switch itself: data path and what drives it.

mod clamp;
mod evict;
mod foreign;
mod handover;
mod join;
mod make_before_break;
mod resume;
mod snapshot;

use std::collections::VecDeque;
use std::time::Instant;

use lanparty_ctrl::{LeaveReason, Message, Mode, PeerRef, RoomCode, Stats};
use lanparty_obs::DropReason;
use lanparty_proto::fragment::RELAY_SEQUENCE;
use lanparty_proto::{RoomId, overlay};

use crate::limits::{Limits, ROOM_COUNTER_BITS};
use crate::member::Member;
use crate::membership::Membership;
use crate::old_path::OldPath;
use crate::output::{Left, Output};
use crate::room::{Counted, Decision, Found, Going};
use crate::rooms::Rooms;
use crate::snapshot::Totals;
use crate::verdict::{Dropped, Forward, Sender, Target, Verdict};

/// Rooms, their members, and where every datagram goes. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Switch {
    pub(crate) limits: Limits,
    worker: u8,
    rooms_made: u32,
    pub(crate) rooms: Rooms,
    pub(crate) members: usize,
    /// Members of the relay's other workers.
    pub(crate) members_elsewhere: usize,
    serial: u64,
    pub(crate) outputs: VecDeque<Output>,
    /// Detached memberships in the order in which they go; one that was taken up again has another serial by then.
    pub(crate) expiries: VecDeque<(Instant, Membership)>,
    /// Connections that newer ones joined beside, and until when they may stay.
    pub(crate) old_paths: VecDeque<(Instant, Membership)>,
    /// Where fragments become a frame.
    frame: Vec<u8>,
    /// Where the targets of a frame are named.
    targets: Vec<Target>,
    pub(crate) totals: Totals,
}

impl Switch {
    /// Makes a switch without rooms; `worker` becomes the first byte of every room id.
    pub fn new(limits: Limits, worker: u8) -> Self {
        Self {
            limits,
            worker,
            rooms_made: 0,
            rooms: Rooms::default(),
            members: 0,
            members_elsewhere: 0,
            serial: 0,
            outputs: VecDeque::new(),
            expiries: VecDeque::new(),
            old_paths: VecDeque::new(),
            frame: Vec::new(),
            targets: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Takes note of how many members the relay's other workers have, which count for [`Limits::members`].
    pub const fn set_members_elsewhere(&mut self, count: usize) {
        self.members_elsewhere = count;
    }

    /// Decides where a datagram that came in by `from` goes.
    ///
    /// A member that sent too many malformed ones is gone afterwards; its [`Output::Close`] says so.
    pub fn handle_datagram<'a>(
        &'a mut self,
        from: Membership,
        datagram: &'a [u8],
        now: Instant,
    ) -> Verdict<'a> {
        let speaking = self.rooms.get_mut(from.room).and_then(|room| {
            let member = room.members.get(from.slot)?;
            let (from, peer) = (member.speaker(from)?, member.identity.peer());
            Some((room, from, peer))
        });
        let Some((room, from, peer)) = speaking else {
            self.totals.drops.add(DropReason::UnknownPeer);
            return Verdict::Drop(Dropped {
                reason: DropReason::UnknownPeer,
                sender: None,
                frame: None,
                violations: 0,
            });
        };

        let sender = Sender {
            room: room.id,
            peer,
        };
        let decision =
            room.handle_datagram(from.slot, datagram, &self.limits, &mut self.frame, now);
        if let Some((mac, lasting)) = room.blocks.take_news() {
            let room = room.code.clone();
            self.outputs
                .push_back(Output::Blocked { room, mac, lasting });
        }
        match decision {
            Decision::Go(going) => self.forward(from, sender, going, datagram),
            Decision::Hold { lost } => {
                if lost {
                    self.count_drop(from, DropReason::FragmentLost);
                }
                Verdict::Hold
            }
            Decision::Drop(reason, found) => {
                self.refuse(from, sender, (reason, found), datagram, now)
            }
        }
    }

    /// Counts a datagram that goes nowhere, and what follows from it.
    fn refuse<'a>(
        &'a mut self,
        from: Membership,
        sender: Sender,
        (reason, found): (DropReason, Found),
        datagram: &'a [u8],
        now: Instant,
    ) -> Verdict<'a> {
        self.count_drop(from, reason);
        let mut violations = 0;
        if reason.is_malformed() {
            violations = self.count_violation(from, now);
        } else if reason == DropReason::SpoofedSource {
            self.tell_foreign_source(from, now);
        }
        let frame = match found {
            Found::Nothing => None,
            Found::Payload => datagram.get(overlay::HEADER_LEN..),
            Found::Joined => Some(self.frame.as_slice()),
        };

        Verdict::Drop(Dropped {
            reason,
            sender: Some(sender),
            frame,
            violations,
        })
    }

    /// Takes note that the largest overlay datagram which the connection carries is `budget` bytes now.
    pub fn handle_budget(&mut self, from: Membership, budget: usize) {
        if let Some(member) = self.member_mut(from) {
            member.budget = budget.min(member.agreed);
            self.tell_budget(from.room);
        }
    }

    /// Takes note of a member's own counters.
    pub fn handle_stats(&mut self, from: Membership, stats: Stats, now: Instant) {
        if let Some(member) = self.member_mut(from) {
            member.last_seen = now;
            member.stats = Some(stats);
        }
    }

    /// Removes a member at once: it said so, or was thrown out.
    ///
    /// Returns `None` if the membership is somebody else's by now, or nobody's: then nothing happens.
    pub fn handle_leave(&mut self, from: Membership, reason: LeaveReason) -> Option<Left> {
        self.hold_or_forget(from)?;
        let room = self.rooms.get_mut(from.room)?;
        let member = room.members.remove(from.slot)?;
        self.members -= 1;
        self.outputs.extend(member.old_path.map(OldPath::closed));
        if room.members.gateway().is_none() {
            room.stations.clear();
        }
        let id = room.id;
        let room_gone = room.members.len() == 0;
        let peer = member.identity.peer();
        if room_gone {
            let gone = self.rooms.remove(from.room);
            self.outputs
                .extend(gone.map(|room| Output::RoomGone(room.code)));
        } else {
            self.tell_others(
                from,
                &Message::PeerLeft(lanparty_ctrl::PeerLeft { peer, reason }),
            );
            self.tell_budget(from.room);
        }

        Some(Left {
            member: peer,
            role: member.identity.role(),
            mac: member.identity.mac(),
            room: id,
            room_gone,
        })
    }

    /// Keeps the membership of a member whose connection broke, for a while.
    ///
    /// Does nothing if a newer connection has the membership: the end of an old connection cannot evict the new one.
    pub fn handle_lost(&mut self, from: Membership, now: Instant) {
        if self.give_back(from) {
            return;
        }
        let serial = self.next_serial();
        let Some(member) = self.member_mut(from) else {
            return;
        };
        let old_path = member.old_path.take();
        member.conn = None;
        member.fragments_held.clear();
        member.serial = serial;
        let peer = member.identity.peer();
        let kept = Membership { serial, ..from };
        self.outputs.extend(old_path.map(OldPath::closed));
        self.tell_others(kept, &Message::PeerDetached(PeerRef { peer }));
        self.tell_budget(from.room);

        let expiry = now
            .checked_add(self.limits.detached_lifetime)
            .unwrap_or(now);
        // Places that came from another process may stay longer.
        let index = self.expiries.partition_point(|(at, _)| *at <= expiry);
        self.expiries.insert(index, (expiry, kept));
    }

    /// Gives what has to be sent or done, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when [`Switch::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let fronts = [self.expiries.front(), self.old_paths.front()];

        fronts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Removes members that were away for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.close_old_paths(now);
        while let Some((at, membership)) = self.expiries.front().copied() {
            if at > now {
                return;
            }
            self.expiries.pop_front();
            self.handle_leave(membership, LeaveReason::Timeout);
        }
    }

    /// Returns whether a member that can split frames would do so in the room with `code`, be it there or yet to be made.
    pub fn may_split(&self, code: &RoomCode) -> bool {
        let room = self.rooms.find(code).and_then(|slot| self.rooms.get(slot));
        let mode = room.map_or_else(|| self.limits.mode.choose(true), |room| room.mode);

        mode == Mode::Full
    }

    /// Returns the largest IP MTU of a room in native mode.
    pub const fn native_mtu(&self) -> u16 {
        self.limits.native_mtu
    }

    /// Returns whether there is a room with `code`.
    pub fn has_room(&self, code: &RoomCode) -> bool {
        self.rooms.find(code).is_some()
    }

    /// Returns how many rooms there are.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Returns how many members there are, those included whose connection broke.
    pub const fn members(&self) -> usize {
        self.members
    }

    /// Returns what was counted since the start.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Returns how many bytes of fragments wait for each other.
    pub fn held_bytes(&self) -> usize {
        let members = self.rooms.iter().flat_map(|(_, room)| room.members.iter());

        members
            .map(|(_, member)| member.fragments_held.bytes())
            .sum()
    }

    /// Returns the member that `from` holds the membership of, if it still does.
    pub(crate) fn member(&self, from: Membership) -> Option<&Member> {
        let member = self.rooms.get(from.room)?.members.get(from.slot)?;

        (member.serial == from.serial).then_some(member)
    }

    pub(crate) fn member_mut(&mut self, from: Membership) -> Option<&mut Member> {
        let member = self.rooms.get_mut(from.room)?.members.get_mut(from.slot)?;

        (member.serial == from.serial).then_some(member)
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;

        self.serial
    }

    /// Returns a room id that no room has, and that none had for a long time.
    pub(crate) fn next_room_id(&mut self) -> RoomId {
        let counter_mask = (1 << ROOM_COUNTER_BITS) - 1;
        loop {
            self.rooms_made = self.rooms_made.wrapping_add(1) & counter_mask;
            let id = RoomId(u32::from(self.worker) << ROOM_COUNTER_BITS | self.rooms_made);
            if self.rooms_made != 0 && !self.rooms.has_id(id) {
                return id;
            }
        }
    }

    /// Sends `message` to every connected member of the room of `membership` but the one that holds it.
    pub(crate) fn tell_others(&mut self, membership: Membership, message: &Message) {
        let Some(room) = self.rooms.get(membership.room) else {
            return;
        };
        let others = room
            .members
            .iter()
            .filter(|(slot, _)| *slot != membership.slot);
        let messages = others
            .flat_map(|(_, member)| member.listeners())
            .map(|conn| Output::Send {
                conn,
                message: message.clone(),
            });
        self.outputs.extend(messages);
    }

    fn forward<'a>(
        &'a mut self,
        from: Membership,
        sender: Sender,
        going: Going,
        datagram: &'a [u8],
    ) -> Verdict<'a> {
        let frame_len = going.frame_len;
        let mut counted = Counted::default();
        self.targets.clear();
        // Most frames go whole, and need none.
        let mut split_sequence = RELAY_SEQUENCE;
        if let Some(room) = self.rooms.get_mut(from.room) {
            counted = room.address(from.slot, &going, datagram.len(), &mut self.targets);
            if counted.split {
                split_sequence = room.next_split_sequence(from.slot);
            }
        }
        let copies = usize::try_from(counted.sent).unwrap_or(usize::MAX);
        let totals = &mut self.totals;
        totals.ingress.add(frame_len);
        (totals.egress).add_many(copies, copies.saturating_mul(frame_len));
        if counted.skipped > 0 {
            (totals.drops).add_many(DropReason::TargetBudget, counted.skipped);
        }
        let frame = if going.held.is_some() {
            self.frame.as_slice()
        } else {
            datagram.get(overlay::HEADER_LEN..).unwrap_or_default()
        };

        Verdict::Forward(Forward {
            sender,
            frame,
            held: going.held,
            split_sequence,
            targets: &self.targets,
        })
    }

    fn count_drop(&mut self, from: Membership, reason: DropReason) {
        self.totals.drops.add(reason);
        if let Some(member) = self.member_mut(from) {
            member.drops.add(reason);
        }
    }

    /// Counts a malformed datagram, and removes the member if it was one too many (SPEC R12). Returns how many there were.
    fn count_violation(&mut self, from: Membership, now: Instant) -> u32 {
        let (rate, most) = (self.limits.violations, self.limits.violations_in_total);
        let Some(member) = self.member_mut(from) else {
            return 0;
        };
        member.violations = member.violations.saturating_add(1);
        let count = member.violations;
        let is_in_rate = member.buckets.violations.take(rate, 1, now);
        if is_in_rate && count <= most {
            return count;
        }

        let conn = member.conn;
        self.totals.removed += 1;
        self.handle_leave(from, LeaveReason::Malformed);
        self.outputs.extend(conn.map(|conn| Output::Close {
            conn,
            reason: LeaveReason::Malformed,
            message: "too many datagrams that are not of this protocol",
        }));

        count
    }
}
