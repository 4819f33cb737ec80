//! Going on in another process: what the old one hands over, and when it ends.

use std::time::Instant;

use lanparty_ctrl::close_code;
use lanparty_ctrl::handover::{QUIET, QUIET_PATIENCE};
use lanparty_session::{EndKind, SessionEnd};
use lanparty_tunnel::DataPath;

use super::{Member, Released};
use crate::mailbox::MemberHandover;
use crate::port::Port;

/// The last moments of a process that another one follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    /// When the port was given up.
    since: Instant,
    /// When the last datagram came.
    pub(super) heard_at: Instant,
}

impl<P: Port, D: DataPath> Member<P, D> {
    /// Leaves the port's frames to another process until [`Command::TakePort`](crate::Command::TakePort) comes, and joins beside it.
    #[must_use]
    pub fn succeed(mut self) -> Self {
        self.config.session = self.config.session.succeed();
        self.port.set_reading(false);
        self
    }

    /// Has `released` told once another process is the member and the port's frames are its to read: it gets what the data path
    /// remembers. It must not block.
    #[must_use]
    pub fn on_release(mut self, released: Box<dyn FnMut(Option<String>) + Send>) -> Self {
        self.released = Some(Released(released));
        self
    }

    pub(super) fn member_handover(&mut self, now: Instant) -> Option<MemberHandover> {
        let token = self.config.session.hand_over()?;

        Some(MemberHandover {
            token,
            memory: self.path.memory(now),
        })
    }

    pub(super) fn take_port(&mut self, memory: Option<&str>, now: Instant) {
        if let Some(memory) = memory {
            self.path.restore(memory, now);
        }
        self.port.set_reading(true);
    }

    /// Gives up the port as soon as the relay sends frames to the other process.
    pub(super) fn release(&mut self, now: Instant) {
        if self.drain.is_some() || !self.config.session.is_handed_over() {
            return;
        }
        self.port.set_reading(false);
        self.drain = Some(Drain {
            since: now,
            heard_at: now,
        });
        let memory = self.path.memory(now);
        if let Some(Released(released)) = &mut self.released {
            released(memory);
        }
    }

    /// Ends the process once its queues are empty. Nobody is told: the member is still there.
    pub(super) fn end_if_quiet(&mut self, now: Instant) {
        let Some(drain) = self.drain else {
            return;
        };
        let is_over = now.saturating_duration_since(drain.heard_at) >= QUIET
            || now.saturating_duration_since(drain.since) >= QUIET_PATIENCE;
        if !is_over || self.end.is_some() {
            return;
        }
        let attempt = self.joined.take().map(|joined| joined.connection);
        if let Some(attempt) = attempt {
            let text = "another process of this computer has taken over";
            self.connections
                .close(attempt, close_code::SUPERSEDED, text, now);
        }
        self.end = Some(SessionEnd {
            sentence: String::new(),
            kind: EndKind::Left,
        });
    }

    /// Whether frames of the port are another process's to send.
    pub(super) const fn is_draining(&self) -> bool {
        self.drain.is_some()
    }
}
