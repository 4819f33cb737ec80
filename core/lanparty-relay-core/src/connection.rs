//! What a relay knows about one connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_ctrl::{Decoder, Hello, MAX_UNADMITTED};
use lanparty_switch::{ConnId, Membership};

use crate::progress::Progress;

/// How many control messages a connection may send in [`MESSAGES_WINDOW`]. A member sends stats every
/// few seconds.
const MAX_MESSAGES: u32 = 60;

/// See [`MAX_MESSAGES`].
const MESSAGES_WINDOW: Duration = Duration::from_secs(2);

/// How many datagrams a connection may send before it is a member: as many as may be malformed in all
/// its life, by default.
const MAX_EARLY: u32 = 64;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) remote: SocketAddr,
    /// The largest datagram that the path carries to the member now, in bytes.
    pub(crate) budget: usize,
    pub(crate) phase: Phase,
    pub(crate) decoder: Decoder,
    /// When the message that is not complete yet began.
    pub(crate) unfinished_since: Option<Instant>,
    /// How far it has come on its way to the next process.
    pub(crate) progress: Progress,
    /// Since when it has owed an acknowledgement, if another gateway asks for its membership.
    asked_since: Option<Instant>,
    /// Datagrams that came before the connection had a membership.
    early: u32,
    messages: MessageRate,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its hello is not complete.
    Silent,
    /// Its hello is there, and the path's MTU is still being found.
    Settling(Box<Hello>),
    /// The program was asked where its room is.
    Claiming(Box<Claiming>),
    /// It was admitted.
    Member(Membership),
    /// It was told to go, and has a moment to read why; the close says it again.
    Leaving {
        /// One of [`lanparty_ctrl::close_code`].
        code: u32,
        /// The sentence.
        sentence: String,
    },
}

/// A hello whose room is being looked for.
#[derive(Debug)]
pub(crate) struct Claiming {
    pub(crate) hello: Hello,
    /// The gateway whose membership the hello asks for.
    pub(crate) rival: Option<ConnId>,
    /// An abandoned room was given up for this one.
    pub(crate) has_made_way: bool,
}

/// Control messages: since when they are counted, and how many there were.
#[derive(Debug)]
struct MessageRate {
    since: Instant,
    count: u32,
}

impl Connection {
    pub(crate) const fn new(id: ConnId, remote: SocketAddr, budget: usize, now: Instant) -> Self {
        Self {
            id,
            remote,
            budget,
            phase: Phase::Silent,
            decoder: Decoder::new(MAX_UNADMITTED),
            unfinished_since: None,
            progress: Progress::Here,
            asked_since: None,
            early: 0,
            messages: MessageRate {
                since: now,
                count: 0,
            },
        }
    }

    /// Returns the membership, if there is one.
    #[inline]
    pub(crate) const fn membership(&self) -> Option<Membership> {
        match self.phase {
            Phase::Member(membership) => Some(membership),
            Phase::Silent | Phase::Settling(_) | Phase::Claiming(_) | Phase::Leaving { .. } => None,
        }
    }

    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Silent)
    }

    pub(crate) const fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    /// Returns whether the connection reads no messages now: it was told to go, or its hello is being
    /// answered.
    pub(crate) const fn is_deaf(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. } | Phase::Claiming(_))
    }

    /// Counts a control message. Returns whether it is within the rate.
    pub(crate) fn count_message(&mut self, now: Instant) -> bool {
        let rate = &mut self.messages;
        if now.saturating_duration_since(rate.since) >= MESSAGES_WINDOW {
            rate.since = now;
            rate.count = 0;
        }
        rate.count = rate.count.saturating_add(1);

        rate.count <= MAX_MESSAGES
    }

    /// Takes that the peer is asked for an acknowledgement and gave the last one at `answered`. Returns
    /// since when it has owed one.
    pub(crate) fn ask(&mut self, answered: Instant, now: Instant) -> Instant {
        let owing = self.asked_since.filter(|asked| answered < *asked);

        *self.asked_since.insert(owing.unwrap_or(now))
    }

    /// Counts a datagram that came without a membership. Returns whether it was one too many.
    pub(crate) const fn count_early(&mut self) -> bool {
        self.early = self.early.saturating_add(1);

        self.early == MAX_EARLY
    }
}
