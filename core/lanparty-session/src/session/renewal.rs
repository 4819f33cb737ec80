//! A program that goes on in another process, as the same member (`docs/protocol.md`, 4.12).
//!
//! The new process joins beside the old one, learns who is in the room, and says `arrived`; the relay sends frames to it from then on,
//! and tells the old one to `move`. Then the old one gives up its port, and the new one takes it.

use std::time::Instant;

use lanparty_ctrl::handover::PATH_DISCOVERY;
use lanparty_ctrl::{Message, encode};

use super::{Output, Phase, Session};

/// Where this process stands in a renewal of its program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Renewal {
    /// There is none.
    #[default]
    None,
    /// The new process, which does not know yet who is in the room.
    Joining,
    /// The new process, which knows, and looks for the path's MTU until then.
    Exploring(Instant),
    /// The old process, whose successor is on its way.
    Leaving,
    /// The old process, which sends nothing more.
    Left,
}

impl Session {
    /// Makes this the session of a process that takes over from another one, which goes on until this one has arrived.
    #[must_use]
    pub const fn succeed(mut self) -> Self {
        self.renewal = Renewal::Joining;
        self
    }

    /// Gives what a new process needs to take this one's place beside it, if there is a place that nothing is happening to.
    pub fn hand_over(&mut self) -> Option<String> {
        let is_calm = self.current.is_some() && self.candidate.is_none() && !self.is_moving;
        if !is_calm || self.renewal != Renewal::None {
            return None;
        }
        let token = self.resume.clone()?;
        self.renewal = Renewal::Leaving;

        Some(token)
    }

    /// Takes that the new process did not come about.
    pub fn keep_on(&mut self) {
        if self.renewal == Renewal::Leaving {
            self.renewal = Renewal::None;
        }
    }

    /// Returns whether the new process is the member now, and this one only empties its queues.
    pub fn is_handed_over(&self) -> bool {
        self.renewal == Renewal::Left
    }

    /// Whether this is a new process that has no place yet.
    pub(super) fn is_succeeding(&self) -> bool {
        matches!(self.renewal, Renewal::Joining | Renewal::Exploring(_))
    }

    /// The relay says that frames go to the new process. Returns whether this is the old one.
    pub(super) fn handed_over(&mut self) -> bool {
        let is_old = matches!(self.renewal, Renewal::Leaving | Renewal::Left);
        if is_old {
            self.renewal = Renewal::Left;
        }

        is_old
    }

    /// Everybody in the room was named.
    pub(super) fn named(&mut self, now: Instant) {
        if self.renewal == Renewal::Joining {
            self.renewal = Renewal::Exploring(now + PATH_DISCOVERY);
        }
        self.explored(now);
    }

    pub(super) const fn renewal_timeout(&self) -> Option<Instant> {
        match self.renewal {
            Renewal::Exploring(until) => Some(until),
            Renewal::None | Renewal::Joining | Renewal::Leaving | Renewal::Left => None,
        }
    }

    /// Says that this process can take frames, once its connection carries what was agreed on, or has had its time.
    pub(super) fn explored(&mut self, now: Instant) {
        let Renewal::Exploring(until) = self.renewal else {
            return;
        };
        let Some(line) = (self.current.as_ref()).filter(|line| line.phase == Phase::Joined) else {
            return;
        };
        if line.budget < line.agreed && now < until {
            return;
        }
        self.renewal = Renewal::None;
        self.outputs.push_back(Output::Send {
            attempt: line.attempt,
            bytes: encode(&Message::Arrived),
        });
    }
}
