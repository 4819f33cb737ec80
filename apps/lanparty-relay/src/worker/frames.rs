//! The data path: what came in goes where the switch says.

use std::time::Instant;

use bytes::Bytes;
use lanparty_net::{Endpoint, LinkId};
use lanparty_obs::{Action, DropReason, FrameEvent, Way};
use lanparty_offload::FlowClass;
use lanparty_proto::{PeerId, RoomId, overlay};
use lanparty_queue::Class;
use lanparty_switch::{Attachment, Dropped, Fit, Forward, Target, Verdict, split_datagram};

use super::Worker;
use super::conn::Conn;

/// How many datagrams a connection may send before it is a member: as many as may be malformed in all its life, by default.
const MAX_EARLY: u32 = 64;

/// What the queues in front of members' links gave up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Losses {
    /// For lack of room.
    pub(crate) full: u64,
    /// Because their flow waited too long (RFC 8289).
    pub(crate) delay: u64,
    /// Acknowledgements of TCP that a newer one made needless.
    pub(crate) superseded: u64,
    /// Because the path shrank while they waited.
    pub(crate) oversize: u64,
}

/// The room and the peer that a connection is.
type Sender = (RoomId, PeerId);

/// Everything that sending one frame needs beside the frame.
struct Sending<'a> {
    endpoint: &'a mut Endpoint,
    losses: &'a mut Losses,
    flow: u32,
    class: Class,
    now: Instant,
}

impl Worker {
    /// Returns how many there were.
    pub(super) fn handle_datagrams(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while let Some((link, datagram)) = self.endpoint.poll_datagram() {
            count += 1;
            match self.conns.get(link).and_then(Conn::place) {
                Some(place) => self.handle_datagram(link, place, &datagram, now),
                None => self.handle_early(link, now),
            }
        }
        if let Some(departure) = self.departure.as_mut().filter(|_| count > 0) {
            departure.busy_at = now;
        }

        count
    }

    /// Takes note of a datagram of somebody without a place. Who has none any more will notice; who has none yet has no business with
    /// datagrams, and loses patience with many.
    #[cold]
    fn handle_early(&mut self, link: LinkId, now: Instant) {
        let Some(conn) = self.conns.get_mut(link) else {
            return;
        };
        if conn.is_leaving() {
            return;
        }
        conn.early = conn.early.saturating_add(1);
        if conn.early == MAX_EARLY {
            self.break_off(link, "datagrams before the welcome", now);
        }
    }

    fn handle_datagram(&mut self, link: LinkId, place: Attachment, datagram: &Bytes, now: Instant) {
        // Asked before the switch is: with its last malformed datagram a member is gone.
        let logged = tracing::enabled!(target: "frames", tracing::Level::TRACE);
        let sender = logged.then(|| self.switch.whereabouts(place)).flatten();
        match self.switch.handle_datagram(place, datagram, now) {
            Verdict::Hold => {}
            Verdict::Drop(dropped) => {
                let reason = dropped.reason;
                if let Some(sender) = sender {
                    log_drop(sender, datagram, dropped);
                }
                if reason.is_malformed() {
                    self.log_malformed(link, place, reason);
                }
            }
            Verdict::Forward(forward) => {
                if let Some(sender) = sender {
                    log_forward(sender, &forward);
                }
                let flow = self.hasher.read(forward.frame);
                let class = match flow.class {
                    FlowClass::Control => Class::Control,
                    FlowClass::Acknowledgement => Class::Acknowledgement,
                    FlowClass::Normal => Class::Normal,
                };
                let mut sending = Sending {
                    endpoint: &mut self.endpoint,
                    losses: &mut self.losses,
                    flow: fold(flow.hash),
                    class,
                    now,
                };
                sending.send(&forward, datagram);
            }
        }
    }

    #[cold]
    fn log_malformed(&self, link: LinkId, place: Attachment, reason: DropReason) {
        let remote = self.conns.get(link).map(|conn| conn.remote);
        let count = self.switch.strikes(place);
        tracing::debug!(
            ?remote,
            reason = reason.as_str(),
            count,
            "malformed datagram"
        );
    }
}

impl Sending<'_> {
    fn send(&mut self, forward: &Forward<'_>, datagram: &Bytes) {
        let lane = sender(datagram);
        let mut halves = None;
        for target in forward.targets() {
            match target.fit {
                Fit::Whole => {
                    if let Some(held) = &forward.held {
                        self.queue(target, held.clone(), lane);
                    }
                    self.queue(target, datagram.clone(), lane);
                }
                Fit::Split => {
                    let halves = halves
                        .get_or_insert_with(|| split_datagram(datagram, forward.split_sequence));
                    for half in halves.iter().flatten() {
                        self.queue(target, half.clone(), lane);
                    }
                }
                Fit::TooLarge => log_skipped(target, lane, datagram.len()),
            }
        }
    }

    fn queue(&mut self, target: Target, datagram: Bytes, lane: PeerId) {
        let link = LinkId::from_bits(target.conn.0);
        let dropped = self
            .endpoint
            .queue(link, datagram, self.flow, self.class, lane.0, self.now);
        self.losses.full = self.losses.full.wrapping_add(dropped.overflow.into());
    }
}

#[cold]
fn log_skipped(target: Target, ingress: PeerId, len: usize) {
    tracing::debug!(
        ingress = ingress.0,
        target = target.peer.0,
        encoded_len = len,
        budget = target.budget,
        reason = DropReason::TargetBudget.as_str(),
        "frame skipped for one target"
    );
}

/// Returns the sender that a checked datagram names.
fn sender(datagram: &[u8]) -> PeerId {
    const AT: usize = 8;
    let number = datagram.get(AT..).and_then(|rest| rest.first_chunk());

    PeerId(number.copied().map_or(0, u16::from_be_bytes))
}

/// Makes 32 bits of 64 without losing what they tell apart.
fn fold(hash: u64) -> u32 {
    let mixed = hash ^ hash >> 32;

    u32::try_from(mixed & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Logs what went nowhere; a datagram without a frame that could be read is told by its length alone.
#[cold]
fn log_drop(sender: Sender, datagram: &[u8], dropped: Dropped<'_>) {
    let frame = dropped.frame.unwrap_or_default();
    let mut event = event(sender, frame, Action::Dropped(dropped.reason));
    if dropped.frame.is_none() {
        event.len = datagram.len().saturating_sub(overlay::HEADER_LEN);
    }
    log_frame(sender, &event);
}

/// Logs a frame that went somewhere, or was too large for everybody it was for.
#[cold]
fn log_forward(sender: Sender, forward: &Forward<'_>) {
    let fitting = forward
        .targets()
        .filter(|target| target.fit != Fit::TooLarge);
    let action = match fitting.count() {
        0 if forward.targets().next().is_some() => Action::Dropped(DropReason::TargetBudget),
        count => Action::Forwarded(count),
    };
    log_frame(sender, &event(sender, forward.frame, action));
}

fn event((_, peer): Sender, frame: &[u8], action: Action) -> FrameEvent {
    FrameEvent::new(Way::Across, Some(peer), frame, action)
}

/// Writes the line (SPEC R16). Room and peer are those of the connection, not what the datagram says (SPEC D3).
fn log_frame((room, peer): Sender, event: &FrameEvent) {
    let targets = match event.action {
        Action::Forwarded(targets) => targets,
        Action::Sent(_) | Action::Dropped(_) => 0,
    };
    let header = event.header;
    tracing::trace!(
        target: "frames",
        direction = event.way.as_str(),
        room = room.0,
        peer = peer.0,
        source = header.map(|header| display(header.source)),
        destination = header.map(|header| display(header.destination)),
        ether_type = header.map(|header| display(header.ether_type)),
        len = event.len,
        action = event.action.as_str(),
        reason = event.action.reason(),
        targets,
        "frame"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_sender_where_the_overlay_has_it() {
        let header = overlay::header(RoomId(7), PeerId(0x0102), false, 0);

        assert_eq!(sender(&header), PeerId(0x0102));
    }
}
