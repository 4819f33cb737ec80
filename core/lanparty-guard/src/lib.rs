//! Address bindings at the gateway: which member may use which address on the LAN.
//!
//! A [`Guard`] does for a tunnel what DHCP snooping, dynamic ARP inspection and source address validation (RFC 6620, RFC 7513)
//! do for a switch. It listens to the LAN, and then decides about frames of remote clients that the safety policy let
//! pass:
//!
//! - The LAN's routers, DHCP servers and resolvers, learnt from DHCP and router advertisements, are nobody's to claim.
//! - An address that the LAN's DHCP server acknowledged belongs to the member it was acknowledged for, and that member uses
//!   no other one of its kind until the lease ends.
//! - Any other address belongs to who came first, be it a station on the LAN or a member. Before a member may announce one, the
//!   LAN is asked, because a station may be silent for long.
//!
//! Drive it like this:
//!
//! 1. [`Guard::handle_joined`] and [`Guard::handle_left`] as members come and go.
//! 2. [`Guard::handle_lan`] for every frame from the LAN that speaks of addresses, **before** it is rewritten for players.
//! 3. [`Guard::check_remote`] for every frame of a remote client; drop what it refuses.
//! 4. [`Guard::poll_probe`] until it returns `None`, and ask the LAN.
//! 5. [`Guard::poll_event`] until it returns `None`; [`Guard::handle_timeout`] once [`Guard::poll_timeout`] has come.
//! 6. [`Guard::snapshot`] now and then, and [`Guard::restore`] after a restart, so that bindings hold from the first frame.

mod claim;
mod event;
mod lan;
mod learn;
mod member;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_bounds::AgeingMap;
use lanparty_proto::MacAddr;

pub use self::claim::PROBE_WAIT;
pub use self::event::{Denial, Event, Origin, Owner, Role};
pub use self::snapshot::{SavedBinding, SavedProtection, Snapshot};

use self::lan::Lan;
use self::member::Member;

/// Most members that are remembered, those that left included: more than a room has clients.
pub const MAX_MEMBERS: usize = 256;

/// Most events waiting to be polled; more are not worth an operator's reading.
const MAX_EVENTS: usize = 64;

/// How often tables are cleared of what has expired; expired entries never count, so this only bounds memory.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// Which member may use which address.
#[derive(Debug, Default)]
pub struct Guard {
    lan: Lan,
    members: BTreeMap<MacAddr, (Member, Presence)>,
    events: VecDeque<Event>,
    recent: AgeingMap<(MacAddr, IpAddr), (), { claim::MAX_RECENT }>,
    probes: VecDeque<IpAddr>,
    next_expiry: Option<Instant>,
}

/// Whether a member is in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Left,
}

impl Guard {
    /// Protects an address for ever that the operator names.
    pub fn protect(&mut self, address: IpAddr, now: Instant) {
        self.lan.protect(address, Role::Operator, now);
    }

    /// Protects the addresses of the gateway box itself, in place of those of the last call. A member that has one loses it.
    pub fn protect_own(&mut self, addresses: &[IpAddr], now: Instant) {
        self.lan.set_own(addresses);
        for &address in addresses {
            if let Some((member, _)) = self.holder(address, now) {
                self.take_away(member, address);
            }
        }
    }

    /// Lets a member in. What it had when it left is its own again, as far as it has not expired.
    pub fn handle_joined(&mut self, mac: MacAddr, now: Instant) {
        if let Some((_, presence)) = self.members.get_mut(&mac) {
            *presence = Presence::Here;
            return;
        }
        if self.make_room() {
            self.members
                .insert(mac, (Member::default(), Presence::Here));
        }
        self.next_expiry.get_or_insert(now + EXPIRY_INTERVAL);
    }

    /// Lets a member go. Its bindings stay until they expire, because it may come back.
    pub fn handle_left(&mut self, mac: MacAddr) {
        if let Some((_, presence)) = self.members.get_mut(&mac) {
            *presence = Presence::Left;
        }
    }

    /// Makes room for one member, by forgetting one that left, and returns whether there is room.
    fn make_room(&mut self) -> bool {
        if self.members.len() >= MAX_MEMBERS {
            let left = self
                .members
                .iter()
                .find(|(_, (_, presence))| *presence == Presence::Left)
                .map(|(&mac, _)| mac);
            if let Some(mac) = left {
                self.members.remove(&mac);
            }
        }

        self.members.len() < MAX_MEMBERS
    }

    /// Returns the member that has an address, and how it came to it.
    fn holder(&self, address: IpAddr, now: Instant) -> Option<(MacAddr, Origin)> {
        self.members.iter().find_map(|(&mac, (member, _))| {
            let binding = member.binding(address, now)?;
            Some((mac, binding.origin))
        })
    }

    fn take_away(&mut self, member: MacAddr, address: IpAddr) {
        if let Some((had, _)) = self.members.get_mut(&member)
            && had.unbind(address)
        {
            self.push(Event::Lost { member, address });
        }
    }

    fn push(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// Returns the next event for the operator's log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns when [`Self::handle_timeout`] wants to be called.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// Forgets what has expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_expiry.is_none_or(|due| due > now) {
            return;
        }
        self.lan.expire(now);
        for (member, _) in self.members.values_mut() {
            member.expire(now);
        }
        self.members.retain(|_, (member, presence)| {
            *presence == Presence::Here || !member.bindings().is_empty()
        });
        self.next_expiry = Some(now + EXPIRY_INTERVAL);
    }
}
