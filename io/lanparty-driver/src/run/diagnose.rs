//! What a person is told of a running member, and what a log is told that asks for it (SPEC K5, G10).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_ctrl::Role;
use lanparty_device::{FrameDevice as _, LinkState};
use lanparty_obs::{Action, DropReason, FrameEvent, StatusLine};
use lanparty_proto::overlay;
use lanparty_tunnel::DataPath;
use tracing::Level;

use super::Member;
use crate::port::{Port, shown_address};

/// How often the port is asked for its address; a change that the system tells of is looked at sooner.
const LOOK: Duration = Duration::from_secs(5);

/// How often a log at DEBUG gets a snapshot: as often as the relay gets one.
const SNAPSHOT: Duration = Duration::from_secs(10);

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    address: Option<IpAddr>,
    has_heard_broadcast: bool,
    next_look: Option<Instant>,
    next_snapshot: Option<Instant>,
    drops: BTreeMap<String, u64>,
    /// Whether a log wants every frame. Asked once: the filter of a program does not change.
    logs_frames: bool,
}

impl Diagnosis {
    /// Has the port looked at in the next check.
    pub(super) const fn look_now(&mut self) {
        self.next_look = None;
    }
}

impl<P: Port, D: DataPath> Member<P, D> {
    /// Switches frame logs on if somebody reads them.
    pub(super) fn begin_logs(&mut self) {
        self.diagnosis.logs_frames = tracing::enabled!(target: "frames", Level::TRACE);
        self.path.set_events(self.diagnosis.logs_frames);
    }

    /// Logs what became of the frames of this turn.
    pub(super) fn log_frames(&mut self) {
        if self.diagnosis.logs_frames {
            let budget = self.config.session.budget();
            while let Some(event) = self.path.poll_event() {
                log_frame(&event, budget);
            }
        }
    }

    /// Tells what is new about the party, and a log how things stand.
    pub(super) fn diagnose(&mut self, now: Instant) {
        if self.joined.is_none() {
            return;
        }
        let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        if is_due(self.diagnosis.next_look) {
            self.diagnosis.next_look = Some(now + LOOK);
            self.tell_address();
        }
        let is_player = self.config.session.role() == Role::Client;
        if is_player
            && !self.diagnosis.has_heard_broadcast
            && self.path.counters().broadcast_down > 0
        {
            self.diagnosis.has_heard_broadcast = true;
            (self.config.status)(&StatusLine::BroadcastHeard);
        }
        if is_due(self.diagnosis.next_snapshot) && tracing::enabled!(Level::DEBUG) {
            self.diagnosis.next_snapshot = Some(now + SNAPSHOT);
            self.log_snapshot(now);
        }
    }

    fn tell_address(&mut self) {
        let address = shown_address(self.port.addresses()).filter(|address| is_news(*address));
        if let Some(address) = address
            && self.diagnosis.address != Some(address)
        {
            self.diagnosis.address = Some(address);
            (self.config.status)(&StatusLine::Address(address));
        }
    }

    fn log_snapshot(&mut self, now: Instant) {
        let stats = self.stats();
        let device = self.port.device();
        let kernel_drops = device.statistics().kernel_drops;
        let is_up = device.link_state() == LinkState::Up;
        let attempt = self.joined.as_ref().map(|joined| joined.connection);
        let silence = attempt
            .and_then(|attempt| self.connections.connected(attempt))
            .and_then(|connection| connection.endpoint.facts(connection.link))
            .map(|facts| now.saturating_duration_since(facts.last_heard));
        let drops = grown(&self.diagnosis.drops, &stats.drops);
        tracing::debug!(
            relay_heard_ms_ago = silence.map(|silence| silence.as_millis()),
            gateway = self.config.session.has_gateway(),
            budget = stats.budget,
            rtt_us = stats.rtt_us,
            address = shown_address(self.port.addresses()).map(display),
            port_up = is_up,
            routes = self.port.has_routes(),
            frames_up = stats.frames_up,
            bytes_up = stats.bytes_up,
            frames_down = stats.frames_down,
            bytes_down = stats.bytes_down,
            broadcasts_down = self.path.counters().broadcast_down,
            kernel_drops,
            new_drops = drops,
            "diagnostics"
        );
        self.diagnosis.drops = stats.drops;
    }
}

/// Every interface gives itself a link-local IPv6 address; an IPv4 one says that no DHCP server answered.
const fn is_news(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

/// Says what was dropped since `old`, by reason.
fn grown(old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (reason, count) in new {
        let more = count.saturating_sub(old.get(reason).copied().unwrap_or_default());
        if more > 0 {
            let gap = if text.is_empty() { "" } else { " " };
            write!(text, "{gap}{reason}={more}").expect("a string takes everything");
        }
    }

    text
}

#[cold]
fn log_frame(event: &FrameEvent, budget: usize) {
    let header = event.header;
    // What does not fit is told with both sizes (SPEC D4).
    let sizes = (event.action == Action::Dropped(DropReason::DatagramBudget))
        .then(|| (overlay::HEADER_LEN.saturating_add(event.len), budget));
    tracing::trace!(
        target: "frames",
        direction = event.direction.as_str(),
        peer = event.peer.map(|peer| peer.0),
        source = header.map(|header| display(header.source)),
        destination = header.map(|header| display(header.destination)),
        ether_type = header.map(|header| display(header.ether_type)),
        len = event.len,
        action = event.action.as_str(),
        reason = event.action.reason(),
        encoded_len = sizes.map(|(encoded, _)| encoded),
        budget = sizes.map(|(_, budget)| budget),
        "frame"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drops_that_are_new_are_named() {
        let count = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
            let pairs = pairs.iter();
            pairs
                .map(|(reason, count)| ((*reason).to_owned(), *count))
                .collect()
        };
        let old = count(&[("jumbo", 2), ("own_frame", 7)]);
        let new = count(&[("jumbo", 5), ("own_frame", 7), ("queue_full", 1)]);

        assert_eq!(grown(&old, &new), "jumbo=3 queue_full=1");
        assert_eq!(grown(&new, &new), "");
    }

    #[test]
    fn an_address_that_every_interface_has_is_no_news() {
        assert!(is_news("192.168.77.5".parse().unwrap()));
        assert!(is_news("169.254.7.7".parse().unwrap()));
        assert!(is_news("fd77::5".parse().unwrap()));
        assert!(!is_news("fe80::5".parse().unwrap()));
    }
}
