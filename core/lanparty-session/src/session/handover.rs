//! Handover: going on without losing a frame when the relay, or this member's own program, is
//! followed by another process (`docs/protocol.md`, 4.10 and 4.12).
//!
//! - [`relay`]: the relay has a successor. The member moves there, make before break.
//! - [`process`]: this program has a successor, or is one. Two processes are one member for a while.
//!
//! Both end the same way: the side that is followed sends nothing more, and is listened to until
//! nothing can be on its way. The timings are those of [`lanparty_ctrl::handover`].

mod process;
mod relay;

use std::time::Instant;

use super::connection::{Connection, ConnectionId};

/// Where this member stands in a handover.
#[derive(Debug, Default)]
pub(super) struct Handover {
    relay: RelayHandover,
    process: ProcessHandover,
    /// The connection to a relay that was left for its successor.
    pub(super) old_path: Option<OldPath>,
}

/// How far the move to a relay's successor is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum RelayHandover {
    /// The relay has no successor.
    #[default]
    None,
    /// The relay says when its members are to come to the successor.
    Announced {
        /// When.
        at: Instant,
        order: Order,
    },
    /// The member connects to the successor because the relay asked for that, and not because of
    /// silence.
    Moving {
        /// When to try at the latest if the relay has asked again.
        again_at: Option<Instant>,
        order: Order,
    },
}

/// Where this process stands in a handover of its program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ProcessHandover {
    /// There is no other process.
    #[default]
    None,
    /// The new process, which does not know yet who is in the room.
    Joining,
    /// The new process, which knows, and looks for the path's MTU until then.
    Exploring(Instant),
    /// The old process, whose successor is on its way.
    Offered,
    /// The old process, which sends nothing more.
    HandedOver,
}

/// What a member does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// It goes on by the old path until everybody is prepared: the old relay serves until then.
    MakeBeforeBreak,
    /// It uses the new connection as soon as that has the membership.
    BreakFirst,
}

/// A connection that nothing is sent by any more, and that is listened to.
#[derive(Debug)]
pub(super) struct OldPath {
    connection: Connection,
    /// How long it is listened to.
    pub(super) until: Instant,
}

impl Handover {
    /// Takes that the relay asks its members to come to its successor.
    fn announce(&mut self, at: Instant, order: Order) {
        self.relay = match self.relay {
            RelayHandover::None | RelayHandover::Announced { .. } => {
                RelayHandover::Announced { at, order }
            }
            RelayHandover::Moving { .. } => RelayHandover::Moving {
                again_at: Some(at),
                order,
            },
        };
    }

    /// Takes that the time to move has come.
    fn begin_move(&mut self) {
        if let RelayHandover::Announced { order, .. } | RelayHandover::Moving { order, .. } =
            self.relay
        {
            self.relay = RelayHandover::Moving {
                again_at: None,
                order,
            };
        }
    }

    /// Takes that the old path is not kept until everybody is prepared.
    pub(super) fn break_first(&mut self) {
        match &mut self.relay {
            RelayHandover::None => {}
            RelayHandover::Announced { order, .. } | RelayHandover::Moving { order, .. } => {
                *order = Order::BreakFirst;
            }
        }
    }

    /// Takes that the member has moved, or has nothing to move.
    pub(super) fn end_relay(&mut self) {
        self.relay = RelayHandover::None;
    }

    /// Returns when to move because the relay has a successor.
    pub(super) const fn move_at(&self) -> Option<Instant> {
        match self.relay {
            RelayHandover::None => None,
            RelayHandover::Announced { at, .. } => Some(at),
            RelayHandover::Moving { again_at, .. } => again_at,
        }
    }

    /// Returns whether the candidate is there because the relay asked for it.
    pub(super) const fn is_moving(&self) -> bool {
        matches!(self.relay, RelayHandover::Moving { .. })
    }

    /// Returns whether the old path is kept until everybody is prepared.
    pub(super) const fn is_make_before_break(&self) -> bool {
        match self.relay {
            RelayHandover::None => false,
            RelayHandover::Announced { order, .. } | RelayHandover::Moving { order, .. } => {
                matches!(order, Order::MakeBeforeBreak)
            }
        }
    }

    /// Returns whether a connection is the old path.
    pub(super) fn is_old_path(&self, id: ConnectionId) -> bool {
        (self.old_path.as_ref()).is_some_and(|old| old.connection.id == id)
    }
}
