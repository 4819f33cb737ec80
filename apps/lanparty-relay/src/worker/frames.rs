//! The data path: what came in goes where the switch says.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use lanparty_net::{Endpoint, LinkId};
use lanparty_obs::{Action, Direction, DropReason, FrameEvent};
use lanparty_proto::{PeerId, overlay};
use lanparty_relay_core::{Flow, Verdict};
use lanparty_switch::{Dropped, Fit, Forward, Sender, Target, split_datagram};

use super::Worker;
use super::outputs::conn;

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

/// Everything that sending one frame needs beside the frame.
struct Sending<'a> {
    endpoint: &'a mut Endpoint,
    losses: &'a mut Losses,
    flow: Flow,
    now: Instant,
}

impl Worker {
    /// Returns how many there were.
    pub(super) fn handle_datagrams(&mut self, now: Instant) -> usize {
        let mut count = 0;
        let is_logged = tracing::enabled!(target: "frames", tracing::Level::TRACE);
        while let Some((link, datagram)) = self.endpoint.poll_datagram() {
            count += 1;
            self.handle_datagram(link, &datagram, is_logged, now);
        }

        count
    }

    fn handle_datagram(&mut self, link: LinkId, datagram: &Bytes, is_logged: bool, now: Instant) {
        match self.core.handle_datagram(conn(link), datagram, now) {
            Verdict::Early | Verdict::Hold => {}
            Verdict::Drop(dropped) => {
                if is_logged {
                    log_drop(datagram, dropped);
                }
                if dropped.reason.is_malformed() {
                    let facts = self.endpoint.facts(link);
                    log_malformed(facts.map(|facts| facts.remote), dropped);
                }
            }
            Verdict::Forward(forward, flow) => {
                if is_logged {
                    log_forward(&forward);
                }
                let mut sending = Sending {
                    endpoint: &mut self.endpoint,
                    losses: &mut self.losses,
                    flow,
                    now,
                };
                sending.send(&forward, datagram);
            }
        }
    }
}

impl Sending<'_> {
    fn send(&mut self, forward: &Forward<'_>, datagram: &Bytes) {
        let source = forward.sender.peer;
        let mut fragments = None;
        for target in forward.targets() {
            match target.fit {
                Fit::Whole => {
                    if let Some(held) = &forward.held {
                        self.queue(target, held.clone(), source);
                    }
                    self.queue(target, datagram.clone(), source);
                }
                Fit::Split => {
                    let fragments = fragments
                        .get_or_insert_with(|| split_datagram(datagram, forward.split_sequence));
                    for fragment in fragments.iter().flatten() {
                        self.queue(target, fragment.clone(), source);
                    }
                }
                Fit::TooLarge => log_skipped(target, source, datagram.len()),
            }
        }
    }

    fn queue(&mut self, target: &Target, datagram: Bytes, source: PeerId) {
        let link = LinkId::from_bits(target.conn.0);
        let dropped = self.endpoint.queue(
            link,
            datagram,
            self.flow.id,
            self.flow.class,
            source.0,
            self.now,
        );
        self.losses.full = self.losses.full.wrapping_add(dropped.overflow.into());
    }
}

#[cold]
fn log_skipped(target: &Target, ingress: PeerId, len: usize) {
    tracing::debug!(
        ingress = ingress.0,
        target = target.peer.0,
        encoded_len = len,
        budget = target.budget,
        reason = DropReason::TargetBudget.as_str(),
        "frame skipped for one target"
    );
}

#[cold]
fn log_malformed(remote: Option<SocketAddr>, dropped: Dropped<'_>) {
    tracing::debug!(
        ?remote,
        reason = dropped.reason.as_str(),
        count = dropped.violations,
        "malformed datagram"
    );
}

/// Logs what went nowhere; a datagram without a frame that could be read is told by its length alone.
#[cold]
fn log_drop(datagram: &[u8], dropped: Dropped<'_>) {
    let Some(sender) = dropped.sender else {
        return;
    };
    let frame = dropped.frame.unwrap_or_default();
    let mut event = event(sender, frame, Action::Dropped(dropped.reason));
    if dropped.frame.is_none() {
        event.len = datagram.len().saturating_sub(overlay::HEADER_LEN);
    }
    log_frame(sender, &event);
}

/// Logs a frame that went somewhere, or was too large for everybody it was for.
#[cold]
fn log_forward(forward: &Forward<'_>) {
    let sender = forward.sender;
    let targets = forward.targets();
    let fitting = targets.iter().filter(|target| target.fit != Fit::TooLarge);
    let action = match fitting.count() {
        0 if !targets.is_empty() => Action::Dropped(DropReason::TargetBudget),
        count => Action::Forwarded(count),
    };
    log_frame(sender, &event(sender, forward.frame, action));
}

fn event(sender: Sender, frame: &[u8], action: Action) -> FrameEvent {
    FrameEvent::new(Direction::Across, Some(sender.peer), frame, action)
}

/// Writes the line (SPEC R16). Room and peer are those of the connection, not what the datagram says (SPEC D3).
fn log_frame(sender: Sender, event: &FrameEvent) {
    let targets = match event.action {
        Action::Forwarded(targets) => targets,
        Action::Sent(_) | Action::Dropped(_) => 0,
    };
    let header = event.header;
    tracing::trace!(
        target: "frames",
        direction = event.direction.as_str(),
        room = sender.room.0,
        peer = sender.peer.0,
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
