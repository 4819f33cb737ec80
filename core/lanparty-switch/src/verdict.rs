//! Where a datagram goes.

use bytes::Bytes;
use lanparty_obs::DropReason;
use lanparty_proto::{PeerId, RoomId};

use crate::membership::ConnId;
use crate::split::half_len;

/// Where a datagram goes. Carry it out before the next call.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Nowhere. The switch has counted it.
    Drop(Dropped<'a>),
    /// It is a fragment, and the switch keeps it until the other one comes.
    Hold,
    /// To the targets, unchanged.
    Forward(Forward<'a>),
}

/// The member that a datagram came from, as its connection proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Its room.
    pub room: RoomId,
    /// The member.
    pub peer: PeerId,
}

/// What goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped<'a> {
    /// Why.
    pub reason: DropReason,
    /// The member that sent it; `None` if the connection is no member's any more.
    pub sender: Option<Sender>,
    /// The whole frame, joined if it came in fragments; `None` if there was none to be read.
    pub frame: Option<&'a [u8]>,
    /// How many malformed datagrams its connection has sent, if it was malformed.
    pub violations: u32,
}

/// A datagram, or two fragments, and who gets them.
#[derive(Debug)]
pub struct Forward<'a> {
    /// The member that sent it.
    pub sender: Sender,
    /// The whole frame.
    pub frame: &'a [u8],
    /// The fragment that waited for this one; send it first.
    pub held: Option<Bytes>,
    /// The sequence number for fragments that the relay makes, if a target needs them.
    pub split_sequence: u32,
    pub(crate) targets: &'a [Target],
}

/// Who gets a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// The member on this slot.
    One(usize),
    /// Everybody but the member on this slot.
    AllBut(usize),
}

/// One connection that a datagram is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The connection.
    pub conn: ConnId,
    /// The member.
    pub peer: PeerId,
    /// The largest overlay datagram that the connection carries now, in bytes.
    pub budget: usize,
    /// What to do for this target.
    pub fit: Fit,
}

/// What to do with a datagram for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Send it as it is.
    Whole,
    /// Its connection carries less than the sender's: send the two fragments that [`crate::split_datagram`] makes.
    Split,
    /// Skip this target alone; it is counted as [`DropReason::TargetBudget`].
    TooLarge,
}

impl Forward<'_> {
    /// Gives every connected target, also those that the datagram is too large for.
    pub const fn targets(&self) -> &[Target] {
        self.targets
    }
}

impl Fit {
    /// Decides about a datagram of `len` bytes for a connection that carries `budget`; `can_split`
    /// tells whether it is a whole frame in a full-frame room.
    pub(crate) const fn of(len: usize, budget: usize, can_split: bool) -> Self {
        if len <= budget {
            Self::Whole
        } else if can_split && half_len(len) <= budget {
            Self::Split
        } else {
            Self::TooLarge
        }
    }
}
