//! The members of one room, and every index over them.

use lanparty_proto::{MacAddr, PeerId};

use crate::member::{Identity, Member};

/// The members of one room, and every index over them.
///
/// Seats and indexes change in [`Roster::insert`] and [`Roster::remove`] alone, and what is indexed cannot change in between: an
/// [`Identity`] is for life. So no index can name somebody who is gone.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: Vec<Option<Member>>,
    /// Sorted by MAC.
    by_mac: Vec<(MacAddr, usize)>,
    gateway: Option<usize>,
    len: usize,
    last_peer: u16,
}

impl Roster {
    /// Takes a member in and returns its seat. The caller has checked that MAC and gateway place are free.
    pub(crate) fn insert(&mut self, member: Member) -> usize {
        let identity = member.identity;
        let seat = self.seats.iter().position(Option::is_none);
        let seat = seat.unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() - 1
        });
        if let Some(place) = self.seats.get_mut(seat) {
            *place = Some(member);
        }
        match identity {
            Identity::Client { mac, .. } => {
                let at = self.by_mac.partition_point(|(other, _)| *other < mac);
                self.by_mac.insert(at, (mac, seat));
            }
            Identity::Gateway { .. } => self.gateway = Some(seat),
        }
        self.len += 1;

        seat
    }

    /// Removes whoever sits on `seat`.
    pub(crate) fn remove(&mut self, seat: usize) -> Option<Member> {
        let member = self.seats.get_mut(seat)?.take()?;
        self.by_mac.retain(|(_, other)| *other != seat);
        if self.gateway == Some(seat) {
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

    /// Returns the seat of the client with `mac`.
    pub(crate) fn seat_of(&self, mac: MacAddr) -> Option<usize> {
        let at = self
            .by_mac
            .binary_search_by_key(&mac, |(other, _)| *other)
            .ok()?;

        self.by_mac.get(at).map(|(_, seat)| *seat)
    }

    /// Returns the seat of the gateway.
    pub(crate) const fn gateway(&self) -> Option<usize> {
        self.gateway
    }

    /// Returns whether a gateway is there and connected.
    pub(crate) fn has_live_gateway(&self) -> bool {
        self.gateway
            .and_then(|seat| self.get(seat))
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

    pub(crate) fn get(&self, seat: usize) -> Option<&Member> {
        self.seats.get(seat)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, seat: usize) -> Option<&mut Member> {
        self.seats.get_mut(seat)?.as_mut()
    }

    /// Gives every member with its seat.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Member)> {
        let seats = self.seats.iter().enumerate();

        seats.filter_map(|(seat, member)| Some((seat, member.as_ref()?)))
    }

    /// Gives every member with its seat.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Member)> {
        let seats = self.seats.iter_mut().enumerate();

        seats.filter_map(|(seat, member)| Some((seat, member.as_mut()?)))
    }
}
