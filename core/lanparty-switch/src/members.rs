//! The members of one room, and every index over them.

use lanparty_proto::{MacAddr, PeerId};

use crate::member::{Identity, Member};

/// The members of one room, and every index over them.
///
/// Slots and indexes change in [`Members::insert`] and [`Members::remove`] alone, and what is indexed cannot change in between: an
/// [`Identity`] is for life. So no index can name somebody who is gone.
#[derive(Debug, Default)]
pub(crate) struct Members {
    slots: Vec<Option<Member>>,
    /// Sorted by MAC.
    by_mac: Vec<(MacAddr, usize)>,
    gateway: Option<usize>,
    len: usize,
    last_peer: u16,
}

impl Members {
    /// Takes a member in and returns its slot. The caller has checked that MAC and gateway membership are free.
    pub(crate) fn insert(&mut self, member: Member) -> usize {
        let identity = member.identity;
        let slot = self.slots.iter().position(Option::is_none);
        let slot = slot.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = Some(member);
        }
        match identity {
            Identity::Client { mac, .. } => {
                let at = self.by_mac.partition_point(|(other, _)| *other < mac);
                self.by_mac.insert(at, (mac, slot));
            }
            Identity::Gateway { .. } => self.gateway = Some(slot),
        }
        self.len += 1;

        slot
    }

    /// Removes whoever sits on `slot`.
    pub(crate) fn remove(&mut self, slot: usize) -> Option<Member> {
        let member = self.slots.get_mut(slot)?.take()?;
        self.by_mac.retain(|(_, other)| *other != slot);
        if self.gateway == Some(slot) {
            self.gateway = None;
        }
        self.len -= 1;

        Some(member)
    }

    /// Returns an id that nobody has; ids come again only after all others were used.
    pub(crate) fn next_peer(&mut self) -> PeerId {
        loop {
            self.last_peer = self.last_peer.wrapping_add(1);
            let peer = PeerId(self.last_peer);
            if peer.0 != 0
                && self
                    .iter()
                    .all(|(_, member)| member.identity.peer() != peer)
            {
                return peer;
            }
        }
    }

    /// Returns the id that was given last.
    pub(crate) const fn last_peer(&self) -> u16 {
        self.last_peer
    }

    /// Goes on giving ids after `last`.
    pub(crate) const fn set_last_peer(&mut self, last: u16) {
        self.last_peer = last;
    }

    /// Returns the slot of the client with `mac`.
    pub(crate) fn slot_of(&self, mac: MacAddr) -> Option<usize> {
        let at = self
            .by_mac
            .binary_search_by_key(&mac, |(other, _)| *other)
            .ok()?;

        self.by_mac.get(at).map(|(_, slot)| *slot)
    }

    /// Returns the slot of the gateway.
    pub(crate) const fn gateway(&self) -> Option<usize> {
        self.gateway
    }

    /// Returns whether a gateway is there and connected.
    pub(crate) fn has_live_gateway(&self) -> bool {
        self.gateway
            .and_then(|slot| self.get(slot))
            .is_some_and(|member| member.conn.is_some())
    }

    /// Returns how many clients there are.
    pub(crate) const fn clients(&self) -> usize {
        self.by_mac.len()
    }

    /// Returns how many members there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Member> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Member> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Gives every member with its slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Member)> {
        let slots = self.slots.iter().enumerate();

        slots.filter_map(|(slot, member)| Some((slot, member.as_ref()?)))
    }

    /// Gives every member with its slot.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Member)> {
        let slots = self.slots.iter_mut().enumerate();

        slots.filter_map(|(slot, member)| Some((slot, member.as_mut()?)))
    }
}
