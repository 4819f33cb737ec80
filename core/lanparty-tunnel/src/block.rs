//! What a client does about loops: it keeps still when its gateway says so, and tells its player.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lanparty_bounds::AgeingMap;
use lanparty_obs::StatusLine;
use lanparty_proto::probe::Probe;
use lanparty_proto::{MacAddr, PeerId};

/// The longest block that a gateway can ask for at a time; notices repeat every second.
const MAX_BLOCK: Duration = Duration::from_mins(10);

/// How often the player is told that the TAP is bridged.
const BRIDGED_QUIET: Duration = Duration::from_mins(10);

/// How many clients are remembered as blocked: more than a party has bridges.
const MAX_BLOCKED: usize = 64;

/// How many lines wait to be told.
const MAX_LINES: usize = 16;

/// Who is blocked, as far as a client knows.
#[derive(Debug, Default)]
pub(crate) struct Block {
    own: Option<PeerId>,
    blocked: AgeingMap<PeerId, (), MAX_BLOCKED>,
    bridged_told: Option<Instant>,
    lines: VecDeque<StatusLine>,
}

impl Block {
    /// Takes which member this is.
    pub(crate) fn set_own(&mut self, own: PeerId) {
        self.own = Some(own);
    }

    /// Returns whether this very client has to keep still.
    #[inline]
    pub(crate) fn is_on(&self, now: Instant) -> bool {
        !self.blocked.is_empty() && self.own.is_some_and(|own| self.blocked.contains(&own, now))
    }

    /// Takes a notice of the gateway; `mac` is the tunnel MAC of who it is about.
    pub(crate) fn handle_notice(&mut self, notice: &Probe, mac: Option<MacAddr>, now: Instant) {
        let lasting = Duration::from_secs(notice.number).min(MAX_BLOCK);
        let is_own = self.own == Some(notice.peer);
        let is_known = self.blocked.contains(&notice.peer, now);
        let until = now + lasting;
        if is_own {
            self.blocked.insert_evicting(notice.peer, (), until, now);
        } else if !self.blocked.insert(notice.peer, (), until, now) {
            return;
        }
        if is_known {
            return;
        }
        match mac {
            _ if is_own => self.tell(StatusLine::LoopHere { lasting }),
            Some(mac) => self.tell(StatusLine::LoopBlocked { mac, lasting }),
            None => {}
        }
    }

    /// Takes that a frame of another machine came out of the TAP.
    pub(crate) fn handle_foreign_source(&mut self, now: Instant) {
        let is_known = self
            .bridged_told
            .is_some_and(|told| now.saturating_duration_since(told) < BRIDGED_QUIET);
        if !is_known {
            self.bridged_told = Some(now);
            self.tell(StatusLine::Bridged);
        }
    }

    fn tell(&mut self, line: StatusLine) {
        if self.lines.len() < MAX_LINES {
            self.lines.push_back(line);
        }
    }

    pub(crate) fn poll_status(&mut self) -> Option<StatusLine> {
        self.lines.pop_front()
    }
}
