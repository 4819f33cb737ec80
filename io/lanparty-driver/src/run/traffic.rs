//! What passes between network and port.

use std::time::Instant;

use lanparty_device::FrameDevice as _;
use lanparty_net::LinkEvent;
use lanparty_obs::DropReason;
use lanparty_tunnel::DataPath;

use super::outputs::cause_of;
use super::{BATCHES_PER_TURN, Member};
use crate::port::{Port, PortError};

impl<P: Port, D: DataPath> Member<P, D> {
    /// Drains every socket; events go before datagrams, so that a member is known before its first frame.
    pub(super) fn read_network(&mut self, now: Instant) -> Result<(), PortError> {
        for index in 0..self.connections.open.len() {
            for _ in 0..BATCHES_PER_TURN {
                let Some(connection) = self.connections.open.get_mut(index) else {
                    break;
                };
                let has_more = connection.endpoint.receive(now);
                // What came before the end of a connection that was listened to is ours, also if both are read together.
                let was_heard = self.config.session.hears(connection.attempt);
                self.read_events(index, now);
                self.process_outputs(now)?;
                self.read_datagrams(index, was_heard, now);
                self.deliver();
                if !has_more {
                    break;
                }
            }
        }

        Ok(())
    }

    /// Takes what happened on every connection. Timers, and sending, make events without a packet: a
    /// connection that times out in silence never makes its socket readable.
    pub(super) fn read_all_events(&mut self, now: Instant) {
        for index in 0..self.connections.open.len() {
            self.read_events(index, now);
        }
    }

    fn read_events(&mut self, index: usize, now: Instant) {
        while let Some(connection) = self.connections.open.get_mut(index) {
            let (id, attempt) = (connection.id, connection.attempt);
            match connection.endpoint.poll_event() {
                None => return,
                Some(LinkEvent::Connected { link }) => {
                    let facts = connection.endpoint.facts(link);
                    if let (Some(attempt), Some(facts)) =
                        (self.connections.handle_connected(id, now), facts)
                    {
                        self.config
                            .session
                            .handle_connected(attempt, facts.budget, facts.rtt, now);
                    }
                }
                Some(LinkEvent::Control { bytes, .. }) => {
                    self.config.session.handle_control(attempt, &bytes, now);
                }
                Some(LinkEvent::Budget { budget, .. }) => {
                    self.config.session.handle_budget(attempt, budget, now);
                }
                Some(LinkEvent::Closed { cause, .. }) => {
                    if let Some((attempt, cause)) = self.connections.handle_closed(id, cause, now) {
                        self.config
                            .session
                            .handle_closed(attempt, cause_of(cause), now);
                    }
                }
            }
        }
    }

    pub(super) fn read_datagrams(&mut self, index: usize, was_heard: bool, now: Instant) {
        let Some(connection) = self.connections.open.get_mut(index) else {
            return;
        };
        let is_heard = was_heard || self.config.session.hears(connection.attempt);
        let is_ours = self.joined.is_some() && is_heard;
        while let Some((_, datagram)) = connection.endpoint.poll_datagram() {
            if let Some(drain) = &mut self.drain {
                drain.heard_at = now;
            }
            if is_ours {
                self.path.handle_datagram(&datagram, now, &mut self.outbox);
            }
        }
    }

    /// Hands what is for this machine to the port, consecutive segments of a flow as one super-frame.
    pub(super) fn deliver(&mut self) {
        if self.outbox.local.is_empty() {
            return;
        }
        for frame in self.outbox.local.drain(..) {
            self.coalescer.push(frame);
        }
        let device = self.port.device();
        // What the system does not take is in the device's counters.
        self.coalescer.flush(|out| {
            let _state = device.send(&out.vnet, out.pieces);
        });
        let _state = device.flush();
    }

    /// Drains the port, at most a few batches; each leaves before the next is read.
    pub(super) fn read_port(&mut self, now: Instant) -> Result<(), PortError> {
        for _ in 0..BATCHES_PER_TURN {
            let received = self.port.device().receive();
            let count = received.map_err(|error| PortError::new(P::GONE, error))?;
            if count == 0 {
                break;
            }
            let budget = self.config.session.budget();
            for index in 0..count {
                if let Some((vnet, frame)) = self.port.device().received_mut(index) {
                    self.path
                        .handle_local(vnet, frame, budget, now, &mut self.outbox);
                }
            }
            self.forward(now);
            self.deliver();
        }

        Ok(())
    }

    /// Puts what is for the relay into the link's queue, and sends what may go.
    pub(super) fn forward(&mut self, now: Instant) {
        if self.outbox.up.is_empty() {
            return;
        }
        let attempt = self.joined.as_ref().map(|joined| joined.connection);
        let Some(connection) = attempt.and_then(|attempt| self.connections.connected(attempt))
        else {
            let count = u64::try_from(self.outbox.up.len()).unwrap_or(u64::MAX);
            self.drops.up.add_many(DropReason::NotJoined, count);
            self.outbox.up.clear();
            return;
        };
        let mut overflow = 0_u64;
        for (datagram, flow) in self.outbox.up.drain(..) {
            let queued =
                connection
                    .endpoint
                    .queue(connection.link, datagram, flow.id, flow.class, 0, now);
            overflow += u64::from(queued.overflow);
        }
        connection.endpoint.flush(now);
        self.drops.up.add_many(DropReason::QueueFull, overflow);
    }
}
