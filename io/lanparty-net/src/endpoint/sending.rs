//! Packets out: trains in turn, and what is left to do once a link has nothing more to say.

use std::time::Instant;

use lanparty_offload::train::Heading;
use quinn_proto::{ConnectionHandle, Transmit};

use super::{Endpoint, Side, mark};

/// A train of more bytes takes so long to seal that those before it do not wait for it: three packets.
const LONG: usize = 4 * 1024;

impl Endpoint {
    /// Sends what every link has to say, train by train in turn, and sets the timers.
    ///
    /// While the socket is full the links wait as they are, for the call after it became writable; their timers go on.
    pub fn flush(&mut self, now: Instant) {
        self.io.send();
        while !self.io.is_full()
            && let Some(slot) = self.dirty.pop_front()
        {
            if self.write_train(slot, now) {
                self.dirty.push_back(slot);
            } else {
                self.settle(slot, now);
            }
        }
        for index in 0..self.dirty.len() {
            if let Some(slot) = self.dirty.get(index).copied() {
                self.tidy(slot, now);
            }
        }
        self.io.send();
        self.timers.settle(&mut self.links, |link| {
            link.as_deref_mut().map(|link| &mut link.alarm)
        });
    }

    /// Writes a link's next train, after which the next link has its turn. Returns whether there may be more.
    pub(super) fn write_train(&mut self, slot: usize, now: Instant) -> bool {
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) else {
            return false;
        };
        let segments = self.io.max_segments(link.conn.current_mtu());
        if link.fill(segments, now) > LONG {
            self.io.send();
        }
        let Some(buffer) = self.io.buffer() else {
            return true;
        };
        let Some(transmit) = link.conn.poll_transmit(now, segments, buffer) else {
            return false;
        };
        link.handle_sent(now, &transmit);
        self.io.push(heading(&transmit));

        true
    }

    /// Does what is left once a link has nothing more to send.
    pub(super) fn settle(&mut self, slot: usize, now: Instant) {
        if let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) {
            link.is_dirty = false;
        }
        self.tidy(slot, now);
    }

    /// Does all for a link but sending: endpoint events, timers, the end.
    fn tidy(&mut self, slot: usize, now: Instant) {
        let handle = ConnectionHandle(slot);
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) else {
            return;
        };
        while let Some(event) = link.conn.poll_endpoint_events() {
            if let Some(event) = self.proto.handle_event(handle, event) {
                link.conn.handle_event(event);
                mark(link, slot, &mut self.dirty);
            }
        }
        if link.conn.is_drained() {
            let guest = link.guest;
            if let Some(slot) = self.links.get_mut(slot) {
                *slot = None;
            }
            if let Side::Relay { gatekeeper, .. } = &mut self.side {
                gatekeeper.handle_gone(guest, now);
            }
            return;
        }
        link.egress.release_if_idle(now);
        // The queue of a link that waits for the socket has nothing to wait for besides.
        let may_send = (!link.is_dirty).then(|| link.egress.poll_timeout(now));
        let deadline = [link.conn.poll_timeout(), may_send.flatten()]
            .into_iter()
            .flatten()
            .min();
        self.timers.arm(slot, deadline, &mut link.alarm);
        self.digest_link(slot, now);
    }
}

/// Says where a train goes in the socket's words.
pub(super) fn heading(transmit: &Transmit) -> Heading {
    Heading {
        destination: transmit.destination,
        source: transmit.src_ip,
        ecn: transmit.ecn.map_or(0, |codepoint| codepoint as u8),
        segment: transmit.segment_size,
    }
}
