//! A program that goes on in another process, as the same member (`docs/protocol.md`, 4.12).
//!
//! 1. The new process joins as the same member, with the capability `beside`, and learns who is in
//!    the room.
//! 2. Once its path is explored it says `arrived`. The relay sends frames to it from then on, and
//!    tells the old process to `move`.
//! 3. The old process gives up its port, and the new one takes it.

use std::time::Instant;

use lanparty_ctrl::handover::PATH_DISCOVERY;
use lanparty_ctrl::{Message, encode};

use super::super::Session;
use super::super::connection::Phase;
use super::super::output::Output;
use super::ProcessHandover;

impl Session {
    /// Makes this the session of a process that takes over from another process, which goes on until
    /// this one has arrived.
    #[must_use]
    pub fn succeed(mut self) -> Self {
        self.handover.process = ProcessHandover::Joining;
        self
    }

    /// Gives the token that a new process needs to join as the same member, if there is a membership
    /// and nothing is happening to it.
    pub fn hand_over(&mut self) -> Option<String> {
        let is_calm =
            self.current.is_some() && self.candidate.is_none() && !self.handover.is_moving();
        if !is_calm || self.handover.process != ProcessHandover::None {
            return None;
        }
        let token = self.resume.clone()?;
        self.handover.process = ProcessHandover::Offered;

        Some(token)
    }

    /// Takes that the new process did not come about.
    pub fn cancel_handover(&mut self) {
        if self.handover.process == ProcessHandover::Offered {
            self.handover.process = ProcessHandover::None;
        }
    }

    /// Returns whether the new process is the member now, and this process only empties its queues.
    pub fn is_handed_over(&self) -> bool {
        self.handover.process == ProcessHandover::HandedOver
    }

    /// Whether this is a new process that is not the member yet.
    pub(in crate::session) fn is_successor(&self) -> bool {
        matches!(
            self.handover.process,
            ProcessHandover::Joining | ProcessHandover::Exploring(_)
        )
    }

    /// The relay says that frames go to the new process. Returns whether this is the old one.
    pub(in crate::session) fn handed_over(&mut self) -> bool {
        let is_old = matches!(
            self.handover.process,
            ProcessHandover::Offered | ProcessHandover::HandedOver
        );
        if is_old {
            self.handover.process = ProcessHandover::HandedOver;
        }

        is_old
    }

    /// Everybody in the room was named.
    pub(in crate::session) fn begin_discovery(&mut self, now: Instant) {
        if self.handover.process == ProcessHandover::Joining {
            self.handover.process = ProcessHandover::Exploring(now + PATH_DISCOVERY);
        }
        self.end_discovery(now);
    }

    pub(in crate::session) const fn discovery_timeout(&self) -> Option<Instant> {
        match self.handover.process {
            ProcessHandover::Exploring(until) => Some(until),
            ProcessHandover::None
            | ProcessHandover::Joining
            | ProcessHandover::Offered
            | ProcessHandover::HandedOver => None,
        }
    }

    /// Says that this process can take frames, once its connection carries what was agreed on, or has
    /// had its time.
    pub(in crate::session) fn end_discovery(&mut self, now: Instant) {
        let ProcessHandover::Exploring(until) = self.handover.process else {
            return;
        };
        let Some(connection) =
            (self.current.as_ref()).filter(|connection| connection.phase == Phase::Joined)
        else {
            return;
        };
        if connection.budget < connection.agreed && now < until {
            return;
        }
        self.handover.process = ProcessHandover::None;
        self.outputs.push_back(Output::Send {
            id: connection.id,
            bytes: encode(&Message::Arrived),
        });
    }
}
