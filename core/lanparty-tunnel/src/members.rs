//! Who is in the room, in the shape that frames need.

use lanparty_ctrl::Role;
use lanparty_proto::{MacAddr, PeerId};

use lanparty_session::Peer;

/// The other members of a room, by id and by MAC.
///
/// Two sorted lists: a party is small, and a lookup in 64 entries is six comparisons in one or two cache lines. The session bounds
/// how many there are.
#[derive(Debug, Default)]
pub struct Members {
    by_id: Vec<Peer>,
    by_mac: Vec<(MacAddr, PeerId)>,
}

impl Members {
    /// Adds a member, or replaces the one with its id.
    pub fn insert(&mut self, peer: Peer) {
        self.remove(peer.id);
        let at = self.by_id.partition_point(|other| other.id < peer.id);
        self.by_id.insert(at, peer);
        if let Some(mac) = peer.mac {
            match self.by_mac.binary_search_by_key(&mac, |(mac, _)| *mac) {
                Ok(at) => {
                    if let Some(entry) = self.by_mac.get_mut(at) {
                        entry.1 = peer.id;
                    }
                }
                Err(at) => self.by_mac.insert(at, (mac, peer.id)),
            }
        }
    }

    /// Removes a member with its MAC, and returns it.
    pub fn remove(&mut self, id: PeerId) -> Option<Peer> {
        let at = self.by_id.binary_search_by_key(&id, |peer| peer.id).ok()?;
        let peer = self.by_id.remove(at);
        self.by_mac.retain(|(_, owner)| *owner != id);

        Some(peer)
    }

    /// Forgets everybody.
    pub fn clear(&mut self) {
        self.by_id.clear();
        self.by_mac.clear();
    }

    /// Returns the member with an id.
    #[inline]
    pub fn get(&self, id: PeerId) -> Option<Peer> {
        let at = self.by_id.binary_search_by_key(&id, |peer| peer.id).ok()?;

        self.by_id.get(at).copied()
    }

    /// Returns the client that has a MAC.
    #[inline]
    pub fn owner_of(&self, mac: MacAddr) -> Option<PeerId> {
        let at = self
            .by_mac
            .binary_search_by_key(&mac, |(mac, _)| *mac)
            .ok()?;

        self.by_mac.get(at).map(|(_, owner)| *owner)
    }

    /// Gives the MACs of all clients, sorted.
    pub fn macs(&self) -> impl ExactSizeIterator<Item = MacAddr> + '_ {
        self.by_mac.iter().map(|(mac, _)| *mac)
    }

    /// Gives the MACs of all clients with their ids, sorted.
    pub fn clients(&self) -> impl ExactSizeIterator<Item = (MacAddr, PeerId)> + '_ {
        self.by_mac.iter().copied()
    }

    /// Returns whether a frame from `peer` may have `source`: a client's its own MAC, a gateway's any but a client's.
    #[inline]
    pub fn may_send(&self, peer: Peer, source: MacAddr) -> bool {
        match peer.role {
            Role::Client => peer.mac == Some(source),
            Role::Gateway => self.owner_of(source).is_none(),
        }
    }
}
