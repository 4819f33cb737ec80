//! Loops: finding who closes one, and keeping them out for a while.
//!
//! Every second a client gets a probe through the tunnel and sends it out of its TAP. A bridge between that TAP and this LAN, over
//! whatever else joins them, brings the probe back to the LAN port, and the probe says through whom. Signs of presence go out of
//! the LAN port as often, and tell gateways of each other.

use std::time::{Duration, Instant};

use lanparty_proto::probe::{Probe, ProbeKind};
use lanparty_proto::{Frame, MacAddr, PeerId};

use super::blocks::Blocks;
use super::probe_keys::{Presence, ProbeKeys};

/// How often probes go out: a loop is found within this and one round trip.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The least time between probes when a storm asks for one at once: about the longest round trip to a player.
const MIN_PROBE_GAP: Duration = Duration::from_millis(50);

/// How many probes back one may still be believed: a frame is in no queue for longer.
const FRESH: u64 = 16;

/// How often the operator is told the same about the LAN.
const QUIET: Duration = Duration::from_mins(10);

/// What a probe on the LAN says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A probe came back that went out through this client.
    Returned(PeerId),
    /// A gateway is here, and nobody was told yet.
    Presence(Presence),
    /// Nothing that matters.
    Nothing,
}

/// Probes and blocks.
#[derive(Debug)]
pub(crate) struct Loops {
    keys: ProbeKeys,
    number: u64,
    due: Option<Instant>,
    last: Option<Instant>,
    /// Who is kept out.
    pub(crate) blocks: Blocks,
    told: [Option<Instant>; 3],
}

impl Loops {
    pub(crate) fn new(keys: ProbeKeys) -> Self {
        Self {
            keys,
            number: 0,
            due: None,
            last: None,
            blocks: Blocks::default(),
            told: [None; 3],
        }
    }

    pub(crate) const fn keys(&self) -> &ProbeKeys {
        &self.keys
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Takes whether the gateway has joined the room.
    pub(crate) fn set_active(&mut self, active: bool, now: Instant) {
        self.due = active.then(|| self.due.unwrap_or(now));
    }

    /// Asks for probes at once, because there is a storm.
    pub(crate) fn probe_now(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| last + MIN_PROBE_GAP);
        self.due = self.due.map(|due| due.min(soonest));
    }

    /// Returns whether probes are due, and begins the next round.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.number += 1;
            self.last = Some(now);
            self.due = Some(now + PROBE_INTERVAL);
        }

        is_due
    }

    /// Returns the probe of this round for a client, or the sign of presence for the LAN.
    pub(crate) fn probe(&self, kind: ProbeKind, peer: PeerId) -> Probe {
        let probe = Probe {
            kind,
            peer,
            instance: self.keys.instance,
            number: self.number,
            tag: 0,
        };

        Probe {
            tag: self.keys.tag(&probe),
            ..probe
        }
    }

    /// Returns the notice that a client is blocked, if it is.
    pub(crate) fn notice(&self, peer: PeerId, mac: MacAddr, now: Instant) -> Option<Probe> {
        let until = self.blocks.blocked_until(mac, now)?;
        let left = until.saturating_duration_since(now);

        Some(Probe {
            kind: ProbeKind::Blocked,
            peer,
            instance: self.keys.instance,
            number: left.as_secs().saturating_add(1),
            tag: 0,
        })
    }

    /// Takes a frame of the LAN port.
    pub(crate) fn handle_lan(&mut self, frame: &Frame<'_>, now: Instant) -> Heard {
        let Some(probe) = Probe::parse(frame) else {
            return Heard::Nothing;
        };
        match probe.kind {
            ProbeKind::Tunnel => {
                let is_ours = probe.instance == self.keys.instance
                    && probe.tag == self.keys.tag(&probe)
                    && self.number.saturating_sub(probe.number) < FRESH;
                if is_ours {
                    return Heard::Returned(probe.peer);
                }
                Heard::Nothing
            }
            ProbeKind::Presence => match self.keys.presence_of(frame) {
                Some(presence) if self.is_news(presence, now) => Heard::Presence(presence),
                _ => Heard::Nothing,
            },
            ProbeKind::Blocked | ProbeKind::Leaving => Heard::Nothing,
        }
    }

    fn is_news(&mut self, presence: Presence, now: Instant) -> bool {
        let [ourselves, same, other] = &mut self.told;
        let told = match presence {
            Presence::Ourselves => ourselves,
            Presence::SameRoom => same,
            Presence::OtherRoom => other,
        };
        let is_news = told.is_none_or(|told| now.saturating_duration_since(told) >= QUIET);
        if is_news {
            *told = Some(now);
        }

        is_news
    }
}
