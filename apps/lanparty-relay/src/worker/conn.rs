//! What a worker knows about each connection.

use std::net::SocketAddr;
use std::time::Instant;

use lanparty_ctrl::{Decoder, Hello, MAX_UNADMITTED};
use lanparty_net::LinkId;
use lanparty_switch::Attachment;

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) link: LinkId,
    pub(crate) remote: SocketAddr,
    pub(crate) phase: Phase,
    pub(crate) decoder: Decoder,
    /// When the message that is not complete yet began.
    pub(crate) unfinished_since: Option<Instant>,
    /// Datagrams that came before the connection had a place.
    pub(crate) early: u32,
    /// Control messages: since when they are counted, and how many there were.
    pub(crate) messages: (Instant, u32),
    /// It hears the next process, too.
    pub(crate) has_arrived: bool,
    /// It was told to send by the next process.
    pub(crate) has_moved: bool,
    /// It said that it does.
    pub(crate) has_confirmed: bool,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its hello is not complete.
    Silent,
    /// Its hello is there, and the path's MTU is still being found.
    Settling(Box<Hello>),
    /// It has a place.
    Member(Attachment),
    /// It was told to go, and has a moment to read why; the close says it again.
    Leaving {
        /// One of [`lanparty_ctrl::close_code`].
        code: u32,
        /// The sentence.
        sentence: String,
    },
}

impl Conn {
    pub(crate) const fn new(link: LinkId, remote: SocketAddr, now: Instant) -> Self {
        Self {
            link,
            remote,
            phase: Phase::Silent,
            decoder: Decoder::new(MAX_UNADMITTED),
            unfinished_since: None,
            early: 0,
            messages: (now, 0),
            has_arrived: false,
            has_moved: false,
            has_confirmed: false,
        }
    }

    /// Returns whether it was told to go.
    pub(crate) const fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    /// Returns the place in a room, if it has one.
    pub(crate) const fn place(&self) -> Option<Attachment> {
        match self.phase {
            Phase::Member(place) => Some(place),
            Phase::Silent | Phase::Settling(_) | Phase::Leaving { .. } => None,
        }
    }
}

/// All connections of a worker, found by their link's place in the endpoint.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    slots: Vec<Option<Conn>>,
    len: usize,
}

impl Conns {
    pub(crate) fn insert(&mut self, conn: Conn) {
        let slot = conn.link.slot();
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(slot)
            && place.replace(conn).is_none()
        {
            self.len += 1;
        }
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Conn> {
        self.slots
            .get(link.slot())?
            .as_ref()
            .filter(|conn| conn.link == link)
    }

    pub(crate) fn get_mut(&mut self, link: LinkId) -> Option<&mut Conn> {
        self.slots
            .get_mut(link.slot())?
            .as_mut()
            .filter(|conn| conn.link == link)
    }

    pub(crate) fn remove(&mut self, link: LinkId) -> Option<Conn> {
        self.get(link)?;
        self.len -= 1;

        self.slots.get_mut(link.slot())?.take()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.slots.iter().flatten()
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.iter().map(|conn| conn.link)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}
