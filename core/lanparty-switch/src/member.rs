//! A member's place in a room.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use lanparty_bounds::TokenBucket;
use lanparty_ctrl::{Hello, PeerInfo, Role, Stats};
use lanparty_obs::{Drops, Traffic};
use lanparty_proto::fragment::Reassembler;
use lanparty_proto::policy::Fragments;
use lanparty_proto::{MacAddr, PeerId};

use crate::admission;
use crate::beside::Former;
use crate::fights::Fights;

/// A connection, as whoever drives the switch names it. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What proves that a connection may take a place again: random bytes, known to the member alone.
pub type Token = [u8; 16];

/// A connection's hold on a member's place.
///
/// Every admission makes a new one, and only the newest of a place is good for anything: what an old connection still does or
/// has done to it cannot touch the place that a newer connection has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    pub(crate) room: usize,
    pub(crate) seat: usize,
    pub(crate) serial: u64,
}

impl Membership {
    /// Returns the room's number on this switch, which another room may have once it is gone.
    pub const fn room(self) -> usize {
        self.room
    }
}

/// How many fragments of one sender wait at a time. A power of two, so that sequence numbers map to
/// slots.
///
/// Fragments leave their sender back to back; what waits is what the network lost or reordered. 32
/// datagrams of 780 bytes are 25 KiB for one sender, and only for one that loses packets.
const FRAGMENT_SLOTS: usize = 32;

/// A member's place in a room.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) identity: Identity,
    pub(crate) token: Token,
    /// What its hello said to tell one start of the program from another.
    pub(crate) instance: Option<Token>,
    pub(crate) generation: u64,
    /// The [`Membership`] that is good.
    pub(crate) serial: u64,
    /// The connection, unless it broke.
    pub(crate) conn: Option<ConnId>,
    /// The connection that this one joined beside, until that ends.
    pub(crate) former: Option<Former>,
    pub(crate) origin: IpAddr,
    pub(crate) fights: Fights,
    /// The largest overlay datagram that was agreed on; more may not be sent by the member.
    pub(crate) agreed: usize,
    /// Whether it understands what [`Switch::tell_budget`](crate::Switch) tells.
    pub(crate) hears_budget: bool,
    /// Whether it is a gateway that understands what [`Switch::tell_foreign_source`](crate::Switch) tells.
    pub(crate) hears_foreign: bool,
    /// What the connection carries now; never more than `agreed`.
    pub(crate) budget: usize,
    pub(crate) joined: Instant,
    pub(crate) last_seen: Instant,
    pub(crate) program: String,
    pub(crate) stats: Option<Stats>,
    pub(crate) buckets: Buckets,
    pub(crate) strikes: u32,
    /// Fragments that wait for each other, each as the datagram that it came in.
    ///
    /// A receiver can use no fragment before it has both, so the relay loses no time by waiting for
    /// both as well. It gains the whole frame: safety policy, rate limits and destination are
    /// decided once, on all of it, and a fragment whose other is lost costs nobody bandwidth. Both
    /// then leave together, in the order they came.
    pub(crate) fragments_held: Reassembler<Bytes, FRAGMENT_SLOTS>,
    /// Which of a client's fragmented packets have lost their first fragment to the policy.
    pub(crate) fragments: Fragments,
    pub(crate) split_sequence: u32,
    pub(crate) up: Traffic,
    pub(crate) down: Traffic,
    pub(crate) drops: Drops,
}

impl Member {
    /// Returns whether `hello` comes from the program that has this place: it shows the place's token, or, if its welcome was lost, that it
    /// is the same start of the program.
    pub(crate) fn is_owned_by(&self, hello: &Hello) -> bool {
        let shown = |text: &Option<String>| text.as_deref().and_then(admission::parse_token);
        let instance = shown(&hello.instance);

        shown(&hello.resume) == Some(self.token)
            || (instance.is_some() && instance == self.instance)
    }
}

/// What stays the same while a member is in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A remote PC.
    Client {
        /// Its id.
        peer: PeerId,
        /// Its tunnel MAC.
        mac: MacAddr,
    },
    /// The box at the party.
    Gateway {
        /// Its id.
        peer: PeerId,
    },
}

impl Identity {
    pub(crate) const fn peer(self) -> PeerId {
        match self {
            Self::Client { peer, .. } | Self::Gateway { peer } => peer,
        }
    }

    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Client { .. } => Role::Client,
            Self::Gateway { .. } => Role::Gateway,
        }
    }

    pub(crate) const fn mac(self) -> Option<MacAddr> {
        match self {
            Self::Client { mac, .. } => Some(mac),
            Self::Gateway { .. } => None,
        }
    }

    pub(crate) const fn info(self) -> PeerInfo {
        PeerInfo {
            peer: self.peer(),
            role: self.role(),
            mac: self.mac(),
        }
    }
}

/// A member's token buckets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Buckets {
    pub(crate) broadcast: TokenBucket,
    pub(crate) unknown: TokenBucket,
    pub(crate) arp: TokenBucket,
    pub(crate) bytes: TokenBucket,
    pub(crate) strikes: TokenBucket,
    /// What the gateway is told of its frames with foreign sources.
    pub(crate) foreign: TokenBucket,
}
