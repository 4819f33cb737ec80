//! A gateway whose room has one already: it waits, and becomes the gateway once the room has
//! none.
//!
//! The relay decides who is the gateway. What is heard on the LAN only tells when to ask again: at once when the active gateway
//! says that it leaves or is silent there, now and then as long as it is heard.

use std::time::{Duration, Instant};

use lanparty_ctrl::close_code;
use lanparty_obs::StatusLine;
use lanparty_proto::MacAddr;

use super::Session;
use super::config::Standby;
use super::output::{EndKind, Output};

/// A sign on the LAN of another gateway of the same room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbor {
    /// What it calls itself: the source of its frames.
    pub source: MacAddr,
    /// Whether it says that it leaves.
    pub is_leaving: bool,
}

/// How long the active gateway may be silent on the LAN before the relay is asked: it is heard every second, and
/// one sign may be lost.
pub const NEIGHBOR_SILENCE: Duration = Duration::from_millis(2200);

/// How long a newcomer listens for the active gateway before it says that none is on this LAN: three signs.
pub const LISTEN: Duration = Duration::from_secs(3);

/// How often the relay is asked while the active gateway is heard: that may have lost the relay and
/// not noticed yet. A question is one handshake.
const POLL: Duration = Duration::from_secs(4);

/// How often the relay is asked while nobody is heard. It takes another gateway once the active one
/// was silent for two seconds.
const HASTE: Duration = Duration::from_millis(400);

/// How long that goes on.
const HASTY: Duration = Duration::from_secs(15);

/// By how much asking is put off at random after the active gateway went, so that several do not come at once.
const SPREAD_MS: u64 = 200;

/// A gateway that stands by until the membership is free.
#[derive(Debug)]
pub(super) struct Candidacy {
    since: Instant,
    /// When asking began to be urgent.
    hasty_since: Instant,
    /// When the active gateway has been silent for too long.
    silent_at: Option<Instant>,
    /// When listening for the active gateway is over.
    listen_until: Option<Instant>,
    is_told: bool,
}

impl Session {
    /// Takes a sign of another gateway of the room on the LAN.
    pub fn handle_neighbor(&mut self, neighbor: Neighbor, now: Instant) {
        self.neighbor = (!neighbor.is_leaving).then_some((neighbor.source, now));
        let spread = Duration::from_millis(self.backoff.next_random() % SPREAD_MS);
        let Some(candidacy) = &mut self.candidacy else {
            return;
        };
        let silence = if neighbor.is_leaving {
            Duration::ZERO
        } else {
            NEIGHBOR_SILENCE
        };
        candidacy.silent_at = Some(now + silence + spread);
        candidacy.listen_until = None;
        if !neighbor.is_leaving {
            self.tell_standby(now);
        }
    }

    /// The room has another gateway: waits until it has none.
    pub(super) fn stand_by(&mut self, sentence: &str, now: Instant) {
        self.close_candidate(close_code::LEFT, "standby");
        if let Some(connection) = self.current.take() {
            // Ours once, and somebody else's by now.
            self.close(&connection, close_code::LEFT, "standby");
            self.outputs.push_back(Output::Detached);
        }
        self.close_old_path();
        self.resume = None;
        self.membership = None;
        self.lost_at = None;
        self.handover.end_relay();
        self.first_deadline = None;
        self.last_failure = None;
        self.backoff.reset();
        sentence.clone_into(&mut self.taken);

        let heard = self.neighbor_heard(now);
        let candidacy = self.candidacy.get_or_insert_with(|| Candidacy {
            since: now,
            hasty_since: now,
            silent_at: heard.map(|at| at + NEIGHBOR_SILENCE),
            listen_until: Some(now + LISTEN),
            is_told: false,
        });
        let is_urgent =
            heard.is_none() && now.saturating_duration_since(candidacy.hasty_since) < HASTY;
        let wait = if is_urgent { HASTE } else { POLL };
        self.retry_at = Some(now + self.backoff.jitter(wait));
        if heard.is_some() {
            self.tell_standby(now);
        }
    }

    /// Returns when the active gateway was last heard on this LAN, unless that is too long ago.
    fn neighbor_heard(&self, now: Instant) -> Option<Instant> {
        let (_, at) = self.neighbor?;

        (now.saturating_duration_since(at) < NEIGHBOR_SILENCE).then_some(at)
    }

    /// Tells once that this gateway waits, and for whom.
    fn tell_standby(&mut self, now: Instant) {
        let neighbor = self
            .neighbor_heard(now)
            .and(self.neighbor)
            .map(|(source, _)| source);
        let room = self.config.room.to_string();
        let Some(candidacy) = self
            .candidacy
            .as_mut()
            .filter(|candidacy| !candidacy.is_told)
        else {
            return;
        };
        candidacy.is_told = true;
        candidacy.listen_until = None;
        self.outputs
            .push_back(Output::Status(StatusLine::Standby { room, neighbor }));
    }

    pub(super) fn standby_timeout(&self) -> Option<Instant> {
        let candidacy = self.candidacy.as_ref()?;

        [candidacy.silent_at, candidacy.listen_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Asks the relay once the active gateway went silent, and ends if there never was one on this LAN.
    pub(super) fn standby_due(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let Some(candidacy) = &mut self.candidacy else {
            return;
        };
        if is_due(candidacy.silent_at) {
            candidacy.silent_at = None;
            candidacy.hasty_since = now;
            if !self.is_trying() {
                self.open(now);
            }
            return;
        }
        if !is_due(candidacy.listen_until) {
            return;
        }
        candidacy.listen_until = None;
        match self.config.standby {
            Standby::Anywhere => self.tell_standby(now),
            Standby::SameLan | Standby::Never => {
                let sentence = format!(
                    "{}; it is not heard on this LAN, and a room is one LAN (with --standby any this gateway would wait, and move the room here once the other one is gone)",
                    self.taken
                );
                self.end(EndKind::Refused, &sentence);
            }
        }
    }

    /// This is the gateway now. Returns the line for the person if this gateway has waited.
    pub(super) fn took_over(&mut self, mtu: u16, now: Instant) -> Option<StatusLine> {
        let candidacy = self.candidacy.take()?;
        let (room, interface) = (self.config.room.to_string(), self.config.interface.clone());
        if !candidacy.is_told {
            return Some(StatusLine::GatewayReady {
                room,
                interface,
                mtu,
            });
        }

        Some(StatusLine::TookOver {
            room,
            interface,
            mtu,
            waited: now.saturating_duration_since(candidacy.since),
        })
    }
}
