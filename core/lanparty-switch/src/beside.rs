//! A member whose program goes on in another process: two connections for one place, for a while.
//!
//! The new process joins beside the old one ([`Capability::Beside`](lanparty_ctrl::Capability)). From then on control messages go to
//! both, frames to the old one alone. Once the new one knows who is there it says so ([`Switch::handle_arrived`]): frames go to it, and
//! the old one is told to move. What either sends is the member's until the old connection ends. A new connection that breaks before
//! it has arrived leaves the place as it was.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_ctrl::Message;

use crate::member::{ConnId, Member, Membership};
use crate::switch::{Output, Switch};

/// How long a place may have two connections: the new one needs a round trip and a path MTU discovery, the old one empties its queues.
pub(crate) const BESIDE: Duration = Duration::from_secs(30);

/// The connection of a member that a newer one is to replace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Former {
    pub(crate) conn: ConnId,
    pub(crate) serial: u64,
    pub(crate) generation: u64,
    pub(crate) origin: IpAddr,
    pub(crate) agreed: usize,
    pub(crate) budget: usize,
    /// Frames for the member still go to it.
    pub(crate) carries: bool,
}

impl Former {
    /// Says that it must end.
    pub(crate) const fn closed(self) -> Output {
        Output::Superseded { conn: self.conn }
    }
}

impl Member {
    /// Returns the connection that frames for the member go to.
    pub(crate) fn carrier(&self) -> Option<ConnId> {
        match &self.former {
            Some(former) if former.carries => Some(former.conn),
            _ => self.conn,
        }
    }

    /// Returns the place if `from` may send its frames: it holds it, or did until a newer connection joined beside it.
    pub(crate) fn speaker(&self, from: Membership) -> Option<Membership> {
        if self.serial == from.serial {
            return Some(from);
        }
        let former = self.former.as_ref()?;

        (former.serial == from.serial).then_some(Membership {
            serial: self.serial,
            ..from
        })
    }

    /// Gives the connections that control messages for the member go to.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = ConnId> + use<> {
        let former = self.former.as_ref().map(|former| former.conn);

        [self.conn, former].into_iter().flatten()
    }

    /// Returns what becomes of the connection in use when a newer one joins beside it.
    pub(crate) fn to_former(&self) -> Option<Former> {
        Some(Former {
            conn: self.conn?,
            serial: self.serial,
            generation: self.generation,
            origin: self.origin,
            agreed: self.agreed,
            budget: self.budget,
            carries: true,
        })
    }

    /// Gives the place back to the connection that carried it before, if that still does. Returns whether it does.
    pub(crate) fn revert(&mut self) -> bool {
        let Some(former) = self.former.take_if(|former| former.carries) else {
            return false;
        };
        self.conn = Some(former.conn);
        self.serial = former.serial;
        self.generation = former.generation;
        self.origin = former.origin;
        self.agreed = former.agreed;
        self.budget = former.budget;

        true
    }
}

impl Switch {
    /// Takes that the connection which joined beside another knows who is in the room: frames go to it from now on.
    pub fn handle_arrived(&mut self, from: Membership) {
        let former = self.member_mut(from).and_then(|member| {
            let former = member.former.as_mut().filter(|former| former.carries)?;
            former.carries = false;
            Some(former.conn)
        });
        self.outputs.extend(former.map(|conn| Output::Send {
            conn,
            message: Message::Move,
        }));
    }

    /// Takes that a connection ended. Returns whether its member has another one that carries the place all the same.
    pub(crate) fn give_back(&mut self, from: Membership) -> bool {
        let Some(member) = self.member_mut(from) else {
            self.forget_former(from);
            return true;
        };
        let is_back = member.revert();
        if is_back {
            self.tell_budget(from.room);
        }

        is_back
    }

    /// Returns something if `from` holds its place. If it held it until a newer connection joined beside it, it is forgotten: it ended.
    pub(crate) fn hold_or_forget(&mut self, from: Membership) -> Option<()> {
        if self.member(from).is_none() {
            self.forget_former(from);
            return None;
        }

        Some(())
    }

    /// Forgets the older connection of a place if it is `from`: it ended.
    pub(crate) fn forget_former(&mut self, from: Membership) {
        let room = self.rooms.get_mut(from.room);
        let member = room.and_then(|room| room.roster.get_mut(from.seat));
        if let Some(member) = member {
            member.former.take_if(|former| former.serial == from.serial);
        }
    }

    /// Closes older connections that have been there for too long.
    pub(crate) fn close_formers(&mut self, now: Instant) {
        while let Some((_, place)) = self.formers.pop_front_if(|(at, _)| *at <= now) {
            let room = self.rooms.get_mut(place.room);
            let member = room.and_then(|room| room.roster.get_mut(place.seat));
            let former = member.and_then(|member| {
                member
                    .former
                    .take_if(|former| former.serial == place.serial)
            });
            self.outputs.extend(former.map(Former::closed));
        }
    }
}
