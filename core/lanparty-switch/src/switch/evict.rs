//! Rooms and memberships that are given up for others.

use lanparty_ctrl::{LeaveReason, Message};

use super::Switch;
use crate::membership::Membership;

impl Switch {
    /// Gives up the room that has been without any connected member for longest, and returns whether there was one.
    ///
    /// Places are kept for those who come back; whoever opens rooms and vanishes must not keep others out with them.
    pub fn make_way(&mut self) -> bool {
        let is_abandoned = |membership: &Membership| {
            self.member(*membership).is_some_and(|_| {
                let room = self.rooms.get(membership.room);
                room.is_some_and(|room| {
                    !room.is_arriving && room.members.iter().all(|(_, other)| other.conn.is_none())
                })
            })
        };
        let mut memberships = self.expiries.iter().map(|(_, membership)| *membership);
        let Some(abandoned) = memberships.find(is_abandoned) else {
            return false;
        };
        let Some(room) = self.rooms.get(abandoned.room) else {
            return false;
        };
        let slots = room.members.iter();
        let left: Vec<Membership> = slots
            .map(|(slot, member)| Membership {
                slot,
                serial: member.serial,
                ..abandoned
            })
            .collect();
        for membership in left {
            self.handle_leave(membership, LeaveReason::Timeout);
        }

        true
    }

    /// Removes a detached member whose MAC or gateway membership is claimed anew. The room stays: it is about to get a member.
    pub(super) fn evict(&mut self, membership: Membership) {
        let Some(room) = self.rooms.get_mut(membership.room) else {
            return;
        };
        let Some(member) = room.members.remove(membership.slot) else {
            return;
        };
        self.members -= 1;
        let left = lanparty_ctrl::PeerLeft {
            peer: member.identity.peer(),
            reason: LeaveReason::Timeout,
        };
        self.tell_others(membership, &Message::PeerLeft(left));
    }
}
