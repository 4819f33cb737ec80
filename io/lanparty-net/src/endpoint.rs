//! One UDP socket and all links on it, driven by hand.
//!
//! An [`Endpoint`] acts only when called, on the caller's thread. One turn of the owner's loop:
//!
//! 1. Wait until the socket is readable (or writable, if [`Endpoint::wants_write`]) or [`Endpoint::poll_timeout`] has come; read the clock.
//! 2. [`Endpoint::receive`] until it returns `false`; after each call take everything from [`Endpoint::poll_event`] and
//!    [`Endpoint::poll_datagram`], events first.
//! 3. [`Endpoint::handle_timeout`].
//! 4. [`Endpoint::queue`] and [`Endpoint::send_control`] what is to be sent.
//! 5. [`Endpoint::flush`], then events once more.

mod receiving;
mod sending;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lanparty_queue::{
    EgressConfig, EgressQueue, Enqueued, Pace, QueueCounts, TrafficClass, shaper,
};
use quinn_proto::ConnectionHandle;

use crate::accept::AcceptPolicy;
use crate::handshakes::Handshakes;
use crate::link::{Link, LinkEvent, LinkFacts, LinkId};
use crate::outgoing::Outgoing;
use crate::pool::Pool;
use crate::sensor::{Report, Reports};
use crate::settings::{ConnectError, MemberSettings, RelaySettings, SettingsError};
use crate::timers::Timers;
use crate::trains::TrainSocket;
use crate::transport::{self, End};

/// What may wait in front of one link while memory is scarce, in bytes: 20 ms at 25 Mbit/s, and 640 MiB in front of 10,000 links.
const SCARCE_QUEUE: usize = 64 * 1024;

/// The code of a close that nobody reads: before the handshake is complete QUIC says only that there was an error (RFC 9000, 10.2.3).
const LATE: u32 = 1;

/// What an endpoint is: a member that connects, or a relay that is connected to.
enum Side {
    Member(MemberSettings),
    Relay {
        server: quinn_proto::ServerConfig,
        gatekeeper: Box<dyn AcceptPolicy>,
        handshakes: Handshakes,
    },
}

/// What a link gave up by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// What its queue dropped or marked.
    pub queue: QueueCounts,
    /// Datagrams that did not fit any more, because the path shrank while they waited.
    pub oversize: u64,
}

/// One UDP socket and all links on it.
pub struct Endpoint {
    io: TrainSocket,
    pool: Pool,
    proto: quinn_proto::Endpoint,
    side: Side,
    /// Boxed, because a link is large: a slot that once was used is a pointer, and its memory goes back.
    links: Vec<Option<Box<Link>>>,
    next_generation: u32,
    timers: Timers,
    dirty: VecDeque<usize>,
    readable: VecDeque<usize>,
    events: VecDeque<LinkEvent>,
    contents: Vec<u8>,
    reports: Vec<Report>,
    is_scarce: bool,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("links", &self.links.iter().flatten().count())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Makes a member's endpoint on `socket`.
    ///
    /// # Errors
    ///
    /// Returns an error if the socket or the settings cannot be used.
    pub fn member(socket: UdpSocket, settings: MemberSettings) -> Result<Self, SettingsError> {
        let io = TrainSocket::new(socket, settings.udp).map_err(SettingsError::Socket)?;
        let proto =
            quinn_proto::Endpoint::new(settings.endpoint_config(), None, !io.may_fragment(), None);

        Ok(Self::new(io, proto, Side::Member(settings)))
    }

    /// Makes a relay worker's endpoint on `socket`, at whose door `gatekeeper` stands.
    ///
    /// # Errors
    ///
    /// Returns an error if the socket or the settings cannot be used.
    pub fn relay(
        socket: UdpSocket,
        settings: &RelaySettings,
        gatekeeper: Box<dyn AcceptPolicy>,
    ) -> Result<Self, SettingsError> {
        let io = TrainSocket::new(socket, settings.udp).map_err(SettingsError::Socket)?;
        let server = settings.server_config();
        let proto = quinn_proto::Endpoint::new(
            settings.endpoint_config()?,
            Some(Arc::new(server.clone())),
            !io.may_fragment(),
            None,
        );

        let handshakes = Handshakes::new(settings.handshake);
        let side = Side::Relay {
            server,
            gatekeeper,
            handshakes,
        };

        Ok(Self::new(io, proto, side))
    }

    fn new(io: TrainSocket, proto: quinn_proto::Endpoint, side: Side) -> Self {
        Self {
            io,
            pool: Pool::default(),
            proto,
            side,
            links: Vec::new(),
            next_generation: 0,
            timers: Timers::default(),
            dirty: VecDeque::new(),
            readable: VecDeque::new(),
            events: VecDeque::new(),
            contents: Vec::new(),
            reports: Vec::new(),
            is_scarce: false,
        }
    }

    /// Says whether memory is scarce: while it is, little may wait in front of each link.
    pub const fn set_scarce(&mut self, is_scarce: bool) {
        self.is_scarce = is_scarce;
    }

    /// Returns the socket, to wait on.
    pub const fn socket(&self) -> &UdpSocket {
        self.io.socket()
    }

    /// Returns whether the system lets us find out what a path carries: only where it can forbid that packets are fragmented.
    pub fn discovers_mtu(&self) -> bool {
        !self.io.may_fragment()
    }

    /// Returns whether the socket was full, so that the owner should wait until it is writable too.
    pub const fn wants_write(&self) -> bool {
        self.io.is_full()
    }

    /// Starts a link to a relay; `worker` asks for one of its workers.
    ///
    /// # Errors
    ///
    /// Returns an error on a relay's endpoint, or if the name or address cannot be used.
    pub fn connect(
        &mut self,
        remote: SocketAddr,
        worker: Option<u8>,
        now: Instant,
    ) -> Result<LinkId, ConnectError> {
        let Side::Member(settings) = &self.side else {
            return Err(ConnectError::NotAMember);
        };
        let reports = Reports::default();
        let transport = transport::config(
            End::Member,
            remote.is_ipv6(),
            settings.idle,
            reports.clone(),
        );
        let config = settings.client_config(transport, worker);
        let egress = egress(settings.pace, remote);
        let name = settings.server_name.clone();
        let (handle, conn) = self
            .proto
            .connect(now, config, remote, &name)
            .map_err(ConnectError::Connect)?;

        Ok(self.insert(handle, conn, false, egress, reports, now))
    }

    fn insert(
        &mut self,
        handle: ConnectionHandle,
        conn: quinn_proto::Connection,
        was_validated: bool,
        egress: EgressQueue<Outgoing>,
        reports: Reports,
        now: Instant,
    ) -> LinkId {
        let generation = self.next_generation;
        self.next_generation = self.next_generation.wrapping_add(1);
        if self.links.len() <= handle.0 {
            self.links.resize_with(handle.0 + 1, || None);
        }
        if let Some(slot) = self.links.get_mut(handle.0) {
            let made = Link::new(conn, generation, was_validated, egress, reports, now);
            *slot = Some(Box::new(made));
        }
        self.mark_dirty(handle.0);

        LinkId {
            slot: handle.0,
            generation,
        }
    }

    /// Puts a datagram into the link's queue; `flow` groups datagrams whose order matters, `source` the member that they come from.
    ///
    /// Returns what had to be dropped for it. A link that is gone drops it silently: its owner was told.
    pub fn queue(
        &mut self,
        link: LinkId,
        datagram: Bytes,
        flow: u32,
        class: TrafficClass,
        source: u16,
        now: Instant,
    ) -> Enqueued {
        let is_scarce = self.is_scarce;
        let Some(found) = self.live(link) else {
            return Enqueued::default();
        };
        if is_scarce && found.egress.queue().bytes() >= SCARCE_QUEUE {
            return Enqueued { overflow: 1 };
        }
        let outgoing = Outgoing::new(found.alone_if_it_waits(datagram));
        let drops = found.egress.enqueue(outgoing, flow, source, class, now);
        // Before the links that only heard something: their acknowledgements can wait, a frame should not.
        if !std::mem::replace(&mut found.is_dirty, true) {
            self.dirty.push_front(link.slot);
        }

        drops
    }

    /// Queues bytes of the control stream, which go before any datagram.
    ///
    /// Returns `false` if the peer reads so little that more is waiting than may: the owner should close the link.
    pub fn send_control(&mut self, link: LinkId, bytes: Vec<u8>) -> bool {
        let accepted = self
            .live(link)
            .is_none_or(|found| found.send_control(bytes.into()));
        self.mark_dirty(link.slot);

        accepted
    }

    /// Asks the peer for a sign of life.
    pub fn ping(&mut self, link: LinkId) {
        if let Some(found) = self.live(link) {
            found.conn.ping();
            self.mark_dirty(link.slot);
        }
    }

    /// Sets how sending on a link is limited.
    pub fn set_pace(&mut self, link: LinkId, pace: Pace) {
        if let Some(found) = self.live(link) {
            found.egress.set_pace(pace);
        }
    }

    /// Takes what the link gave up by itself since the last call.
    pub fn take_losses(&mut self, link: LinkId) -> Losses {
        self.live(link)
            .map_or_else(Losses::default, |found| Losses {
                queue: found.egress.take_counts(),
                oversize: found.take_oversize(),
            })
    }

    /// Ends a link, with a code and text for the peer. No event follows.
    pub fn close(&mut self, link: LinkId, code: u32, text: &str, now: Instant) {
        if let Some(found) = self.live(link) {
            found.close(code, text, now);
            self.mark_dirty(link.slot);
        }
    }

    /// Returns what is known about a link's path, unless it is gone.
    pub fn facts(&self, link: LinkId) -> Option<LinkFacts> {
        self.links
            .get(link.slot)
            .and_then(Option::as_deref)
            .filter(|found| found.generation == link.generation && !found.is_over)
            .map(Link::facts)
    }

    /// Returns whether every link has been closed and forgotten.
    pub fn is_idle(&self) -> bool {
        self.links.iter().all(Option::is_none)
    }

    fn live(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links
            .get_mut(link.slot)
            .and_then(Option::as_deref_mut)
            .filter(|found| found.generation == link.generation && !found.is_over)
    }

    fn mark_dirty(&mut self, slot: usize) {
        if let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) {
            mark(link, slot, &mut self.dirty);
        }
    }

    /// Returns when [`Endpoint::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let handshake = match &self.side {
            Side::Member(_) => None,
            Side::Relay { handshakes, .. } => handshakes.next(),
        };

        [self.timers.next(), handshake].into_iter().flatten().min()
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((slot, deadline)) = self.timers.pop_due(now) {
            let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) else {
                continue;
            };
            if !link.alarm.ring(deadline) {
                continue;
            }
            if link.conn.poll_timeout().is_some_and(|due| due <= now) {
                link.conn.handle_timeout(now);
            }
            self.mark_dirty(slot);
        }
        self.end_late_handshakes(now);
        self.process_events(now);
    }

    /// Ends the links whose handshake takes too long. Nobody was told of them yet, and nobody is told.
    fn end_late_handshakes(&mut self, now: Instant) {
        loop {
            let Side::Relay { handshakes, .. } = &mut self.side else {
                return;
            };
            let Some(link) = handshakes.pop_due(now) else {
                return;
            };
            let is_late = self
                .live(link)
                .is_some_and(|found| !found.guest.is_connected);
            if is_late {
                self.close(link, LATE, "the handshake took too long", now);
            }
        }
    }
}

/// Puts a link on the list of those to flush, once.
fn mark(link: &mut Link, slot: usize, dirty: &mut VecDeque<usize>) {
    if !std::mem::replace(&mut link.is_dirty, true) {
        dirty.push_back(slot);
    }
}

/// Returns an empty queue towards `remote`.
fn egress(pace: Pace, remote: SocketAddr) -> EgressQueue<Outgoing> {
    let mut config = EgressConfig::new(pace);
    if !is_v4(remote) {
        config.overhead = shaper::OVERHEAD_IPV6;
    }

    EgressQueue::new(config)
}

const fn is_v4(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().is_some(),
    }
}
