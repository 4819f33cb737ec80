//! A member whose program goes on in another process: two connections for one membership, for a while.
//!
//! The new process joins beside the old one ([`Capability::Beside`](lanparty_ctrl::Capability)). From then on control messages go to
//! both, frames to the old one alone. Once the new one knows who is there it says so ([`Switch::handle_arrived`]): frames go to it, and
//! the old one is told to move. What either sends is the member's until the old connection ends. A new connection that breaks before
//! it has arrived leaves the membership as it was.

use std::time::Instant;

use lanparty_ctrl::Message;

use super::Switch;
use crate::membership::Membership;
use crate::old_path::OldPath;
use crate::output::Output;

impl Switch {
    /// Takes that the connection which joined beside another knows who is in the room: frames go to it from now on.
    pub fn handle_arrived(&mut self, from: Membership) {
        let old_path = self.member_mut(from).and_then(|member| {
            let old_path = member
                .old_path
                .as_mut()
                .filter(|old_path| old_path.carries)?;
            old_path.carries = false;
            Some(old_path.conn)
        });
        self.outputs.extend(old_path.map(|conn| Output::Send {
            conn,
            message: Message::Move,
        }));
    }

    /// Takes that a connection ended. Returns whether its member has another one that carries the membership all the same.
    pub(crate) fn give_back(&mut self, from: Membership) -> bool {
        let Some(member) = self.member_mut(from) else {
            self.forget_old_path(from);
            return true;
        };
        let is_back = member.revert();
        if is_back {
            self.tell_budget(from.room);
        }

        is_back
    }

    /// Returns something if `from` holds its membership. If it held it until a newer connection joined beside it, it is forgotten: it ended.
    pub(crate) fn hold_or_forget(&mut self, from: Membership) -> Option<()> {
        if self.member(from).is_none() {
            self.forget_old_path(from);
            return None;
        }

        Some(())
    }

    /// Forgets the older connection of a membership if it is `from`: it ended.
    pub(crate) fn forget_old_path(&mut self, from: Membership) {
        let room = self.rooms.get_mut(from.room);
        let member = room.and_then(|room| room.members.get_mut(from.slot));
        if let Some(member) = member {
            member
                .old_path
                .take_if(|old_path| old_path.serial == from.serial);
        }
    }

    /// Closes older connections that have been there for too long.
    pub(crate) fn close_old_paths(&mut self, now: Instant) {
        while let Some((_, membership)) = self.old_paths.pop_front_if(|(at, _)| *at <= now) {
            let room = self.rooms.get_mut(membership.room);
            let member = room.and_then(|room| room.members.get_mut(membership.slot));
            let old_path = member.and_then(|member| {
                member
                    .old_path
                    .take_if(|old_path| old_path.serial == membership.serial)
            });
            self.outputs.extend(old_path.map(OldPath::closed));
        }
    }
}
