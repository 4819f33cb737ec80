//! Packets in: from the socket to links, first packets of unvalidated peers, events and datagrams to the owner.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{DatagramEvent, EcnCodepoint, Transmit};

use super::sending::heading;
use super::{Endpoint, Side, egress, is_v4, mark};
use crate::accept::{Decision, PendingConnection};
use crate::link::{LinkEvent, LinkId};
use crate::sensor::Reports;
use crate::trains::TrainSocket;
use crate::transport::{self, End, IDLE_TIMEOUT};

/// What came from somebody without a link.
enum FirstPacket {
    New(quinn_proto::Incoming),
    Answer(Transmit, Vec<u8>),
}

impl Endpoint {
    /// Reads one batch of packets off the socket. Returns whether there may be more.
    pub fn receive(&mut self, now: Instant) -> bool {
        let Self {
            io,
            pool,
            proto,
            links,
            dirty,
            contents,
            ..
        } = self;
        let mut first_packets = Vec::new();
        let more = io.receive(|arrival, message| {
            let ecn = EcnCodepoint::from_bits(arrival.ecn);
            pool.packets(arrival, message, |packet| {
                contents.clear();
                let event = proto.handle(now, arrival.from, arrival.to, ecn, packet, contents);
                let (handle, event) = match event {
                    Some(DatagramEvent::ConnectionEvent(handle, event)) => (handle, event),
                    Some(DatagramEvent::NewConnection(incoming)) => {
                        return first_packets.push(FirstPacket::New(incoming));
                    }
                    Some(DatagramEvent::Response(transmit)) => {
                        return first_packets.push(FirstPacket::Answer(transmit, contents.clone()));
                    }
                    None => return,
                };
                if let Some(link) = links.get_mut(handle.0).and_then(Option::as_deref_mut) {
                    link.last_heard = now;
                    link.conn.handle_event(event);
                    mark(link, handle.0, dirty);
                }
            });
        });
        for packet in first_packets {
            match packet {
                FirstPacket::Answer(transmit, contents) => {
                    answer(&mut self.io, &transmit, &contents);
                }
                FirstPacket::New(incoming) => self.admit(incoming, now),
            }
        }
        self.process_events(now);

        more
    }

    /// Lets a new connection in, or not.
    pub(super) fn admit(&mut self, incoming: quinn_proto::Incoming, now: Instant) {
        let Side::Relay {
            server, gatekeeper, ..
        } = &mut self.side
        else {
            self.proto.ignore(incoming);
            return;
        };
        let remote = incoming.remote_address();
        let validated = incoming.remote_address_validated();
        self.contents.clear();
        match gatekeeper.decide(remote, validated, incoming.may_retry(), now) {
            Decision::Accept { pace } => {
                let reports = Reports::default();
                let transport =
                    transport::config(End::Relay, !is_v4(remote), IDLE_TIMEOUT, reports.clone());
                let mut config = server.clone();
                config.transport_config(Arc::new(transport));
                match self
                    .proto
                    .accept(incoming, now, &mut self.contents, Some(Arc::new(config)))
                {
                    Ok((handle, conn)) => {
                        let egress = egress(pace, remote);
                        let link = self.insert(handle, conn, validated, egress, reports, now);
                        if let Side::Relay { handshakes, .. } = &mut self.side {
                            handshakes.begin(link, now);
                        }
                    }
                    Err(error) => {
                        let guest = PendingConnection {
                            remote,
                            was_validated: validated,
                            is_connected: false,
                        };
                        gatekeeper.handle_gone(guest, now);
                        if let Some(transmit) = error.response {
                            answer(&mut self.io, &transmit, &self.contents);
                        }
                    }
                }
            }
            Decision::Retry => {
                if let Ok(transmit) = self.proto.retry(incoming, &mut self.contents) {
                    answer(&mut self.io, &transmit, &self.contents);
                }
            }
            Decision::Refuse => {
                let transmit = self.proto.refuse(incoming, &mut self.contents);
                answer(&mut self.io, &transmit, &self.contents);
            }
            Decision::Ignore => self.proto.ignore(incoming),
        }
    }

    /// Lets every dirty link say what happened to it. Links stay dirty until they are flushed.
    pub(super) fn process_events(&mut self, now: Instant) {
        for index in 0..self.dirty.len() {
            if let Some(slot) = self.dirty.get(index).copied() {
                self.digest_link(slot, now);
            }
        }
    }

    pub(super) fn digest_link(&mut self, slot: usize, now: Instant) {
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) else {
            return;
        };
        link.digest_reports(&mut self.reports);
        let id = LinkId {
            slot,
            generation: link.generation,
        };
        let was_connected = link.guest.is_connected;
        link.digest_events(id, &mut self.events);
        if link.guest.is_connected != was_connected
            && let Side::Relay { gatekeeper, .. } = &mut self.side
        {
            gatekeeper.handle_connected(link.guest, now);
        }
        if std::mem::take(&mut link.is_readable) {
            self.readable.push_back(slot);
        }
    }

    /// Gives what happened next.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// Gives the next datagram that arrived, link by link.
    pub fn poll_datagram(&mut self) -> Option<(LinkId, Bytes)> {
        while let Some(slot) = self.readable.front().copied() {
            let next = self
                .links
                .get_mut(slot)
                .and_then(Option::as_deref_mut)
                .and_then(|link| {
                    let datagram = link.conn.datagrams().recv()?;
                    let id = LinkId {
                        slot,
                        generation: link.generation,
                    };
                    (!link.is_abandoned).then_some((id, datagram))
                });
            if next.is_some() {
                return next;
            }
            self.readable.pop_front();
        }

        None
    }
}

/// Answers an unvalidated peer. The peer asks again for an answer that is lost.
fn answer(io: &mut TrainSocket, transmit: &Transmit, contents: &[u8]) {
    if let Some(buffer) = io.buffer() {
        buffer.extend_from_slice(contents);
        io.push(heading(transmit));
    }
}
