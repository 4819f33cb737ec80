//! A member's membership in a room.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use lanparty_bounds::TokenBucket;
use lanparty_ctrl::{Hello, PeerInfo, Role, Stats};
use lanparty_obs::{Drops, Traffic};
use lanparty_proto::fragment::Reassembler;
use lanparty_proto::policy::Fragments;
use lanparty_proto::{MacAddr, PeerId};

use crate::membership::{ConnId, Membership, Token, parse_token};
use crate::old_path::OldPath;
use crate::takeover_guard::TakeoverGuard;

/// How many fragments of one sender wait at a time. A power of two, so that sequence numbers map to
/// slots.
///
/// Fragments leave their sender back to back; what waits is what the network lost or reordered. 32
/// datagrams of 780 bytes are 25 KiB for one sender, and only for one that loses packets.
const FRAGMENT_SLOTS: usize = 32;

/// A member of a room.
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
    pub(crate) old_path: Option<OldPath>,
    pub(crate) origin: IpAddr,
    pub(crate) takeover_guard: TakeoverGuard,
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
    pub(crate) violations: u32,
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
    /// Makes a member without a connection, of which nothing is agreed yet.
    pub(crate) fn new(
        identity: Identity,
        token: Token,
        origin: IpAddr,
        serial: u64,
        now: Instant,
    ) -> Self {
        Self {
            identity,
            token,
            instance: None,
            generation: 0,
            serial,
            conn: None,
            old_path: None,
            origin,
            takeover_guard: TakeoverGuard::default(),
            agreed: 0,
            hears_budget: false,
            hears_foreign: false,
            budget: 0,
            joined: now,
            last_seen: now,
            program: String::new(),
            stats: None,
            buckets: Buckets::default(),
            violations: 0,
            fragments_held: Reassembler::default(),
            fragments: Fragments::default(),
            split_sequence: 0,
            up: Traffic::default(),
            down: Traffic::default(),
            drops: Drops::default(),
        }
    }

    /// Returns whether `hello` comes from the program that has this membership: it shows the membership's token, or, if its welcome was lost, that it
    /// is the same start of the program.
    pub(crate) fn is_owned_by(&self, hello: &Hello) -> bool {
        let shown = |text: &Option<String>| text.as_deref().and_then(parse_token);
        let instance = shown(&hello.instance);

        shown(&hello.resume) == Some(self.token)
            || (instance.is_some() && instance == self.instance)
    }
}

impl Member {
    /// Returns the connection that frames for the member go to.
    pub(crate) fn carrier(&self) -> Option<ConnId> {
        match &self.old_path {
            Some(old_path) if old_path.carries => Some(old_path.conn),
            _ => self.conn,
        }
    }

    /// Returns the membership if `from` may send its frames: it holds it, or did until a newer connection joined beside it.
    pub(crate) fn speaker(&self, from: Membership) -> Option<Membership> {
        if self.serial == from.serial {
            return Some(from);
        }
        let old_path = self.old_path.as_ref()?;

        (old_path.serial == from.serial).then_some(Membership {
            serial: self.serial,
            ..from
        })
    }

    /// Gives the connections that control messages for the member go to.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = ConnId> + use<> {
        let old_path = self.old_path.as_ref().map(|old_path| old_path.conn);

        [self.conn, old_path].into_iter().flatten()
    }

    /// Returns what becomes of the connection in use when a newer one joins beside it.
    pub(crate) fn to_old_path(&self) -> Option<OldPath> {
        Some(OldPath {
            conn: self.conn?,
            serial: self.serial,
            generation: self.generation,
            origin: self.origin,
            agreed: self.agreed,
            budget: self.budget,
            carries: true,
        })
    }

    /// Gives the membership back to the connection that carried it before, if that still does. Returns whether it does.
    pub(crate) fn revert(&mut self) -> bool {
        let Some(old_path) = self.old_path.take_if(|old_path| old_path.carries) else {
            return false;
        };
        self.conn = Some(old_path.conn);
        self.serial = old_path.serial;
        self.generation = old_path.generation;
        self.origin = old_path.origin;
        self.agreed = old_path.agreed;
        self.budget = old_path.budget;

        true
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
    pub(crate) violations: TokenBucket,
    /// What the gateway is told of its frames with foreign sources.
    pub(crate) foreign: TokenBucket,
}
