//! Packets out: trains in turn, and what is left to do once a link has nothing more to say.

use std::time::Instant;

use quinn_proto::ConnectionHandle;

use super::{Endpoint, Side, Stuck, mark};

impl Endpoint {
    /// Sends what every link has to say, train by train in turn, and sets the timers.
    pub fn flush(&mut self, now: Instant) {
        self.unstick();
        while let Some(slot) = self.dirty.pop_front() {
            let has_more = self.stuck.is_none() && self.send_train(slot, now);
            if has_more {
                self.dirty.push_back(slot);
                continue;
            }
            self.settle(slot, now);
        }
        self.timers.settle(&mut self.links, |link| {
            link.as_deref_mut().map(|link| &mut link.alarm)
        });
    }

    /// Sends the train that was stuck.
    pub(super) fn unstick(&mut self) {
        self.stuck = self
            .stuck
            .take()
            .filter(|stuck| !self.io.send(&stuck.transmit, &stuck.contents));
    }

    /// Sends a link's next train, after which the next link has its turn. Returns whether there may be more.
    pub(super) fn send_train(&mut self, slot: usize, now: Instant) -> bool {
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) else {
            return false;
        };
        let segments = self.io.max_segments(link.conn.current_mtu());
        link.fill(segments, now);
        self.contents.clear();
        let Some(transmit) = link.conn.poll_transmit(now, segments, &mut self.contents) else {
            return false;
        };
        link.handle_sent(now, &transmit);
        if self.io.send(&transmit, &self.contents) {
            return true;
        }
        self.stuck = Some(Stuck {
            transmit,
            contents: std::mem::take(&mut self.contents),
        });

        false
    }

    /// Does what is left once a link has nothing more to send: endpoint events, timers, the end.
    pub(super) fn settle(&mut self, slot: usize, now: Instant) {
        let handle = ConnectionHandle(slot);
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_deref_mut) else {
            return;
        };
        link.is_dirty = false;
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
        link.outlet.release_if_idle(now);
        let deadline = [link.conn.poll_timeout(), link.outlet.poll_timeout(now)]
            .into_iter()
            .flatten()
            .min();
        self.timers.arm(slot, deadline, &mut link.alarm);
        self.digest_link(slot, now);
    }
}
