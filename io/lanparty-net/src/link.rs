//! One QUIC connection as the programs see it: datagrams, a control byte stream, path facts.

mod event;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use lanparty_queue::EgressQueue;
use quinn_proto::{
    Connection, Dir, Event, ReadError, StreamEvent, StreamId, Transmit, VarInt, WriteError,
};

use crate::accept::PendingConnection;
use crate::black_hole::{BASE, BlackHole, Finding};
use crate::outgoing::Outgoing;
use crate::question;
use crate::sensor::{Report, Reports, tell_delays};
use crate::timers::Alarm;

pub use event::{CloseCause, LinkEvent, LinkFacts, LinkId};

/// Bytes of control messages that may wait for a peer that does not read. A room of 64 with names is 8 KiB.
pub(crate) const MAX_PENDING_CONTROL: usize = 128 * 1024;

/// The most that one read of the control stream takes.
const CONTROL_CHUNK: usize = 16 * 1024;

/// From how many bytes on a datagram that waits may share memory: 4 MiB of these keep 256 MiB at the very worst, which takes a sender that
/// fills all the rest of that memory with what nobody wants.
const SHARED_FROM: usize = 1024;

/// Datagrams over this many bytes make a large packet whatever QUIC puts around them.
const LARGE: usize = 1200;

pub(crate) struct Link {
    pub(crate) conn: Connection,
    pub(crate) generation: u32,
    /// As whom the relay's gatekeeper knows it.
    pub(crate) guest: PendingConnection,
    pub(crate) egress: EgressQueue<Outgoing>,
    pub(crate) budget: usize,
    pub(crate) alarm: Alarm,
    pub(crate) is_dirty: bool,
    pub(crate) is_readable: bool,
    /// The owner was told that the link is gone, or ended it; only the library still needs it.
    pub(crate) is_over: bool,
    /// The owner ended it: what comes now is nobody's. What came before the peer ended it is still the owner's.
    pub(crate) is_abandoned: bool,
    pub(crate) last_heard: Instant,
    pub(crate) last_answered: Instant,
    black_hole: BlackHole,
    black_holes: u64,
    /// Datagrams given up because the path shrank while they waited.
    oversize: u64,
    reports: Reports,
    /// The last datagram that made a packet large, and when it was handed over.
    last_large: Vec<u8>,
    last_large_at: Option<Instant>,
    /// What the library's queue of datagrams has room for when it is empty, in bytes.
    empty_space: usize,
    /// Whether that queue has something for the train that is made next.
    has_datagrams: bool,
    stream: Option<StreamId>,
    pending: VecDeque<Bytes>,
    pending_bytes: usize,
}

impl Link {
    pub(crate) fn new(
        mut conn: Connection,
        generation: u32,
        was_validated: bool,
        egress: EgressQueue<Outgoing>,
        reports: Reports,
        now: Instant,
    ) -> Self {
        let guest = PendingConnection {
            remote: conn.remote_address(),
            was_validated,
            is_connected: false,
        };
        let empty_space = conn.datagrams().send_buffer_space();

        Self {
            conn,
            generation,
            guest,
            egress,
            budget: 0,
            alarm: Alarm::default(),
            is_dirty: false,
            is_readable: false,
            is_over: false,
            is_abandoned: false,
            last_heard: now,
            last_answered: now,
            black_hole: BlackHole::default(),
            black_holes: 0,
            oversize: 0,
            reports,
            last_large: Vec::new(),
            last_large_at: None,
            empty_space,
            has_datagrams: false,
            stream: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
        }
    }

    /// Hands what the sensor saw to the rate controller.
    pub(crate) fn digest_reports(&mut self, scratch: &mut Vec<Report>) {
        self.reports.drain_into(scratch);
        tell_delays(scratch, self.conn.rtt());
        for report in scratch.drain(..) {
            match report {
                Report::Ack {
                    now,
                    batch,
                    newest_large,
                    ..
                } => {
                    self.last_answered = now;
                    self.black_hole.handle_ack(batch.newest_sent, newest_large);
                    self.egress.handle_ack_batch(now, &batch);
                }
                Report::Loss { now, sent, bytes } => {
                    self.egress.handle_loss(now, bytes);
                    if bytes > BASE {
                        self.suspect(sent, now);
                    }
                }
            }
        }
    }

    /// Takes when the newest of some lost packets was sent, and does what follows from it for the size of packets.
    fn suspect(&mut self, sent: Instant, now: Instant) {
        match self.black_hole.handle_loss(sent) {
            Finding::Nothing | Finding::Suspicion => {}
            // What was lost may have been no datagram of ours, but a probe of a search that was given up.
            Finding::Question if self.last_large_at == Some(sent) => {
                let question = Bytes::from(question::of(&self.last_large));
                // A question that does not fit any more needs no answer.
                let _fits = self.conn.datagrams().send(question, false);
            }
            Finding::Question => {}
            Finding::BlackHole => {
                self.black_holes = self.black_holes.wrapping_add(1);
                // Back to what every path carries, and at once in search of what this one does. With the path the library forgets
                // its round trip: an answer to something small teaches it a new one before a probe of the search is missed.
                self.conn.path_changed(now);
                self.conn.ping();
            }
        }
    }

    /// Takes note of a train that leaves now.
    ///
    /// Only trains with datagrams count as in flight. One of acknowledgements alone is never acknowledged: counted, it would look like
    /// a peer that went silent, and hold back what is meant for a peer that only talks.
    pub(crate) fn handle_sent(&mut self, now: Instant, transmit: &Transmit) {
        let len = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let longest = transmit.segment_size.unwrap_or(transmit.size);
        self.black_hole.handle_sent(now, len(longest));
        if std::mem::take(&mut self.has_datagrams) {
            let packets = transmit.size.div_ceil(longest.max(1));
            let is_all = self.conn.datagrams().send_buffer_space() >= self.empty_space;
            self.egress
                .handle_sent(now, len(transmit.size), len(packets), is_all);
        }
    }

    /// Carries out what the library reports, and tells `events` what the owner must know.
    pub(crate) fn digest_events(&mut self, id: LinkId, events: &mut VecDeque<LinkEvent>) {
        while let Some(event) = self.conn.poll() {
            match event {
                Event::Connected => self.connected(id, events),
                Event::ConnectionLost { reason } => self.over(id, CloseCause::of(reason), events),
                Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) if self.stream.is_none() => {
                    self.stream = self.conn.streams().accept(Dir::Bi);
                    self.write_control();
                    self.read_control(id, events);
                }
                Event::Stream(StreamEvent::Readable { id: stream })
                    if Some(stream) == self.stream =>
                {
                    self.read_control(id, events);
                }
                Event::Stream(StreamEvent::Writable { id: stream })
                    if Some(stream) == self.stream =>
                {
                    self.write_control();
                }
                Event::Stream(StreamEvent::Finished { .. } | StreamEvent::Stopped { .. }) => {
                    self.over(id, CloseCause::Control, events);
                }
                Event::DatagramReceived => self.is_readable = true,
                Event::HandshakeDataReady | Event::DatagramsUnblocked | Event::Stream(_) => {}
            }
        }

        let budget = self.conn.datagrams().max_size().unwrap_or(0);
        if budget != self.budget && !self.conn.is_handshaking() && !self.is_over {
            self.budget = budget;
            self.egress.handle_mtu(self.conn.current_mtu());
            events.push_back(LinkEvent::Budget { link: id, budget });
        }
    }

    fn connected(&mut self, id: LinkId, events: &mut VecDeque<LinkEvent>) {
        self.guest.is_connected = true;
        if self.conn.side().is_client() {
            self.stream = self.conn.streams().open(Dir::Bi);
        }
        self.budget = self.conn.datagrams().max_size().unwrap_or(0);
        self.egress.handle_mtu(self.conn.current_mtu());
        events.push_back(LinkEvent::Connected { link: id });
    }

    fn over(&mut self, id: LinkId, cause: CloseCause, events: &mut VecDeque<LinkEvent>) {
        if !std::mem::replace(&mut self.is_over, true) {
            events.push_back(LinkEvent::Closed { link: id, cause });
        }
    }

    fn read_control(&mut self, id: LinkId, events: &mut VecDeque<LinkEvent>) {
        let Some(stream) = self.stream.filter(|_| !self.is_over) else {
            return;
        };
        let mut has_ended = false;
        let mut stream = self.conn.recv_stream(stream);
        if let Ok(mut chunks) = stream.read(true) {
            loop {
                match chunks.next(CONTROL_CHUNK) {
                    Ok(Some(chunk)) => events.push_back(LinkEvent::Control {
                        link: id,
                        bytes: chunk.bytes,
                    }),
                    Ok(None) | Err(ReadError::Reset(_)) => {
                        has_ended = true;
                        break;
                    }
                    Err(ReadError::Blocked) => break,
                }
            }
            // Whether this frees flow control credit to announce: the link is polled for transmission in any case.
            let _should_transmit = chunks.finalize();
        }
        if has_ended {
            self.over(id, CloseCause::Control, events);
        }
    }

    /// Queues bytes of the control stream. Returns `false` if more is waiting than may.
    pub(crate) fn send_control(&mut self, bytes: Bytes) -> bool {
        if self.pending_bytes.saturating_add(bytes.len()) > MAX_PENDING_CONTROL {
            return false;
        }
        self.pending_bytes = self.pending_bytes.saturating_add(bytes.len());
        self.pending.push_back(bytes);
        self.write_control();

        true
    }

    fn write_control(&mut self) {
        let Some(stream) = self.stream else {
            return;
        };
        while let Some(first) = self.pending.front_mut() {
            match self.conn.send_stream(stream).write(first) {
                Ok(written) => {
                    self.pending_bytes = self.pending_bytes.saturating_sub(written);
                    drop(first.split_to(written.min(first.len())));
                    if first.is_empty() {
                        self.pending.pop_front();
                    }
                }
                Err(WriteError::Blocked | WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    return;
                }
            }
        }
    }

    /// Gives a small datagram memory of its own if it has to wait.
    ///
    /// A received datagram shares 64 KiB with its neighbours. Thousands of small ones in a slow member's queue would otherwise keep far
    /// more memory than the queue's bound counts.
    pub(crate) fn alone_if_it_waits(&self, datagram: Bytes) -> Bytes {
        if datagram.len() >= SHARED_FROM || self.egress.queue().is_empty() {
            return datagram;
        }

        Bytes::copy_from_slice(&datagram)
    }

    /// Moves what may go now from our queue into the library's, at most one train of `segments` packets. Returns how many bytes.
    pub(crate) fn fill(&mut self, segments: usize, now: Instant) -> usize {
        let filled = self.refill(segments, now);
        self.has_datagrams = self.conn.datagrams().send_buffer_space() < self.empty_space;

        filled
    }

    fn refill(&mut self, segments: usize, now: Instant) -> usize {
        let train = self
            .budget
            .saturating_mul(segments.min(self.egress.max_train(self.budget)));
        let mut filled = 0_usize;
        let mut large = None;
        while filled < train && self.conn.datagrams().send_buffer_space() > self.budget {
            let Some(next) = self.egress.poll_transmit(now) else {
                break;
            };
            filled = filled.saturating_add(next.len());
            let datagram = next.into_bytes();
            if datagram.len() > LARGE {
                large = Some(datagram.clone());
            }
            if self.conn.datagrams().send(datagram, false).is_err() {
                self.oversize = self.oversize.wrapping_add(1);
            }
        }
        // A copy: the datagram shares memory with its neighbours, which must not live as long as the link.
        if let Some(large) = large {
            self.last_large.clear();
            self.last_large.extend_from_slice(&large);
            self.last_large_at = Some(now);
        }

        filled
    }

    /// Takes how many datagrams were given up since the last call because the path shrank while they waited.
    pub(crate) const fn take_oversize(&mut self) -> u64 {
        std::mem::replace(&mut self.oversize, 0)
    }

    /// Ends the connection; the owner hears nothing more of it.
    pub(crate) fn close(&mut self, code: u32, text: &str, now: Instant) {
        self.is_over = true;
        self.is_abandoned = true;
        self.write_control();
        self.conn.close(
            now,
            VarInt::from_u32(code),
            Bytes::copy_from_slice(text.as_bytes()),
        );
    }

    pub(crate) fn facts(&self) -> LinkFacts {
        let stats = self.conn.stats();

        LinkFacts {
            remote: self.conn.remote_address(),
            budget: self.budget,
            rtt: self.conn.rtt(),
            path_mtu: stats.path.current_mtu,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            black_holes: stats
                .path
                .black_holes_detected
                .wrapping_add(self.black_holes),
            last_heard: self.last_heard,
            last_answered: self.last_answered,
        }
    }
}
