//! How a member's newer connection takes its membership up.

use std::time::Instant;

use lanparty_ctrl::{Capability, Hello, Message, PeerRef, Reject, Role};

use super::Switch;
use crate::membership::{Joiner, Membership, parse_token};
use crate::old_path::{OLD_PATH_LIFETIME, OldPath};
use crate::output::Output;
use crate::refusal;

impl Switch {
    /// Finds the membership in the room that `hello` claims: its MAC's, or the gateway's.
    pub(super) fn membership_of(&self, room_slot: usize, hello: &Hello) -> Option<Membership> {
        let members = &self.rooms.get(room_slot)?.members;
        let slot = match hello.mac {
            Some(mac) => members.slot_of(mac)?,
            None => members.gateway()?,
        };
        let serial = members.get(slot)?.serial;

        Some(Membership {
            room: room_slot,
            slot,
            serial,
        })
    }

    /// Gives a membership that is there to its member's new connection.
    ///
    /// Returns `None` if the membership was abandoned and is free now.
    pub(super) fn try_resume(
        &mut self,
        membership: Membership,
        joiner: Joiner,
        hello: &Hello,
        now: Instant,
    ) -> Result<Option<Membership>, Reject> {
        let Some(room) = self.rooms.get_mut(membership.room) else {
            return Ok(None);
        };
        refusal::check_mode(room.mode, hello)?;
        let Some(member) = room.members.get_mut(membership.slot) else {
            return Ok(None);
        };
        if !member.is_owned_by(hello) {
            let is_awaited = hello.role == Role::Gateway
                && room.gateway_awaited.is_some_and(|until| now < until);
            if member.conn.is_some() || is_awaited {
                return Err(refusal::place_taken(hello.role));
            }
            // Whoever comes without the token but with the MAC of somebody whose connection broke is most likely the same computer
            // after a crash. It is a new member to everybody, so it gains nothing but the MAC.
            self.check_room(membership.room, joiner, hello)?;
            return Ok(None);
        }
        if hello.generation <= member.generation {
            return Err(refusal::superseded());
        }
        if member.conn.is_some()
            && !member
                .takeover_guard
                .may_take(member.origin, joiner.origin, now)
        {
            return Err(refusal::copied_identity());
        }

        Ok(Some(self.resume(membership, joiner, hello, now)))
    }

    fn resume(
        &mut self,
        membership: Membership,
        joiner: Joiner,
        hello: &Hello,
        now: Instant,
    ) -> Membership {
        let serial = self.next_serial();
        let agreed = self.agree(hello);
        let taken = Membership {
            serial,
            ..membership
        };
        let Some(member) = self.member_mut(membership) else {
            return taken;
        };

        let keeps_old_path = hello.can(Capability::Beside) && member.conn.is_some();
        let earlier = member.old_path.take();
        if keeps_old_path {
            member.old_path = member.to_old_path();
        }
        let old = member.conn.replace(joiner.conn);
        let peer = member.identity.peer();
        member.serial = serial;
        member.generation = hello.generation;
        member.instance = hello.instance.as_deref().and_then(parse_token);
        member.origin = joiner.origin;
        member.agreed = agreed;
        member.hears_budget = hello.can(Capability::RoomBudget);
        member.hears_foreign = hello.can(Capability::ForeignSource);
        member.budget = joiner.budget.min(agreed);
        member.last_seen = now;
        member.violations = 0;
        if !keeps_old_path {
            member.fragments_held.clear();
        }
        self.totals.resumed += 1;

        if hello.role == Role::Gateway
            && let Some(room) = self.rooms.get_mut(membership.room)
        {
            room.gateway_awaited = None;
        }
        self.outputs.extend(earlier.map(OldPath::closed));
        match old {
            Some(_) if keeps_old_path => self
                .old_paths
                .push_back((now + OLD_PATH_LIFETIME, membership)),
            Some(conn) => self.outputs.push_back(Output::Superseded { conn }),
            None => self.tell_others(taken, &Message::PeerResumed(PeerRef { peer })),
        }
        self.welcome(taken);
        self.tell_budget(taken.room);

        taken
    }
}
