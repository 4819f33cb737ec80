//! Who else is in the room (SPEC K4).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use lanparty_ctrl::{LeaveReason, PeerInfo, Role};
use lanparty_obs::StatusLine;
use lanparty_proto::{MacAddr, PeerId};

use super::output::{Output, Peer};

/// How many other members a room may have. Sixteen times the largest party that relays admit by default.
const MAX_PEERS: usize = 4096;

/// How long after coming back a member that was there before may take to be announced again: as long as the slowest back-off of a
/// party that lost its relay together, and one attempt.
const RETURN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Entry {
    peer: Peer,
    detached: bool,
    /// Announced on the connection that is used now.
    confirmed: bool,
}

/// The room's other members, as the relay announces them.
///
/// Not an ageing map: a member stays until the relay says that it left. Only after a connection was
/// lost is there a deadline, and that is one for all.
#[derive(Debug, Default)]
pub(super) struct Peers {
    here: BTreeMap<PeerId, Entry>,
    /// Members that were here before the membership was lost, known to the person and expected back.
    expected: Vec<Peer>,
    /// The person was told that the gateway is here.
    is_gateway_told: bool,
    settle_at: Option<Instant>,
}

impl Peers {
    /// Begins anew on a new connection, whose relay announces everybody again.
    pub(super) fn begin(&mut self, same_membership: bool, gateway: bool, now: Instant) {
        if same_membership {
            for entry in self.here.values_mut() {
                entry.confirmed = false;
            }
        } else {
            let here = std::mem::take(&mut self.here);
            self.expected
                .extend(here.into_values().map(|entry| entry.peer));
            self.expected.truncate(MAX_PEERS);
        }
        let has_known = !self.here.is_empty() || !self.expected.is_empty();
        self.settle_at = has_known.then(|| now + RETURN);
        self.is_gateway_told |= gateway;
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.settle_at
    }

    /// Gives up on members that were not announced again.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        if self.settle_at.is_none_or(|at| at > now) {
            return;
        }
        self.settle_at = None;

        for peer in std::mem::take(&mut self.expected) {
            self.tell_left(peer, LeaveReason::Timeout, out);
        }
        let gone: Vec<PeerId> = (self.here.iter())
            .filter_map(|(peer, entry)| (!entry.confirmed).then_some(*peer))
            .collect();
        for peer in gone {
            self.left(peer, LeaveReason::Timeout, out);
        }
    }

    /// Takes an announcement. Returns `false` if there are more than a room can have.
    #[must_use]
    pub(super) fn joined(&mut self, info: &PeerInfo, out: &mut VecDeque<Output>) -> bool {
        let peer = Peer {
            id: info.peer,
            role: info.role,
            mac: info.mac,
        };
        if let Some(entry) = self.here.get_mut(&info.peer)
            && entry.peer == peer
        {
            entry.confirmed = true;
            if std::mem::take(&mut entry.detached) {
                out.push_back(Output::PeerResumed(peer));
            }
            return true;
        }
        // Whoever had the id is gone, and so is the member that had the MAC: first one goes, then the other comes.
        let is_gone = |entry: &&Entry| {
            entry.peer.id == peer.id || peer.mac.is_some() && entry.peer.mac == peer.mac
        };
        let gone: Vec<PeerId> = (self.here.values().filter(is_gone))
            .map(|entry| entry.peer.id)
            .collect();
        for id in gone {
            self.left(id, LeaveReason::Unknown, out);
        }
        if self.here.len() >= MAX_PEERS {
            return false;
        }

        self.here.insert(
            info.peer,
            Entry {
                peer,
                detached: false,
                confirmed: true,
            },
        );
        out.push_back(Output::PeerJoined(peer));
        self.tell_joined(peer, out);

        true
    }

    fn tell_joined(&mut self, peer: Peer, out: &mut VecDeque<Output>) {
        let known = (self.expected.iter()).position(|f| (f.role, f.mac) == (peer.role, peer.mac));
        if let Some(known) = known {
            self.expected.swap_remove(known);
        }
        match peer.mac {
            Some(mac) if known.is_none() => {
                out.push_back(Output::Status(StatusLine::ClientJoined(mac)));
            }
            Some(_) => {}
            None if std::mem::replace(&mut self.is_gateway_told, true) => {}
            None => out.push_back(Output::Status(StatusLine::GatewayJoined)),
        }
    }

    /// Takes the end of a member.
    pub(super) fn left(&mut self, peer: PeerId, reason: LeaveReason, out: &mut VecDeque<Output>) {
        if let Some(entry) = self.here.remove(&peer) {
            out.push_back(Output::PeerLeft(entry.peer, reason));
            self.tell_left(entry.peer, reason, out);
        }
    }

    fn tell_left(&mut self, peer: Peer, reason: LeaveReason, out: &mut VecDeque<Output>) {
        let reason = reason.as_str();
        let line = match (peer.role, peer.mac) {
            (Role::Client, Some(mac)) => StatusLine::ClientLeft { mac, reason },
            (Role::Client | Role::Gateway, _) => {
                self.is_gateway_told = false;
                StatusLine::GatewayLeft { reason }
            }
        };
        out.push_back(Output::Status(line));
    }

    pub(super) fn detached(&mut self, peer: PeerId, out: &mut VecDeque<Output>) {
        if let Some(entry) = self.here.get_mut(&peer)
            && !std::mem::replace(&mut entry.detached, true)
        {
            out.push_back(Output::PeerDetached(entry.peer));
        }
    }

    pub(super) fn resumed(&mut self, peer: PeerId, out: &mut VecDeque<Output>) {
        if let Some(entry) = self.here.get_mut(&peer)
            && std::mem::take(&mut entry.detached)
        {
            out.push_back(Output::PeerResumed(entry.peer));
        }
    }

    /// Returns whether the room has a gateway whose connection works.
    pub(super) fn has_gateway(&self) -> bool {
        (self.here.values()).any(|entry| entry.peer.role == Role::Gateway && !entry.detached)
    }

    /// Returns the other members, in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = Peer> + '_ {
        self.here.values().map(|entry| entry.peer)
    }

    /// Returns the MAC of a member.
    pub(super) fn mac_of(&self, peer: PeerId) -> Option<MacAddr> {
        self.here.get(&peer)?.peer.mac
    }
}
