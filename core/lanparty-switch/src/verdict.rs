//! Where a datagram goes.

use bytes::Bytes;
use lanparty_obs::DropReason;
use lanparty_proto::PeerId;

use crate::member::{ConnId, Member};
use crate::narrow;
use crate::roster::Roster;

/// Where a datagram goes. Carry it out before the next call.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Nowhere. The switch has counted it.
    Drop(Dropped<'a>),
    /// It is half a frame, and the switch keeps it until the other half comes.
    Hold,
    /// To the targets, unchanged.
    Forward(Forward<'a>),
}

/// What goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped<'a> {
    /// Why.
    pub reason: DropReason,
    /// The whole frame, joined if it came in halves; `None` if there was none to be read.
    pub frame: Option<&'a [u8]>,
}

impl Dropped<'_> {
    /// Something without a frame.
    pub(crate) const fn unread(reason: DropReason) -> Self {
        Self {
            reason,
            frame: None,
        }
    }
}

/// A datagram, or two halves, and who gets them.
#[derive(Debug)]
pub struct Forward<'a> {
    /// The whole frame.
    pub frame: &'a [u8],
    /// The half that waited for this one; send it first.
    pub held: Option<Bytes>,
    /// The sequence number for halves that the relay makes, if a target needs them.
    pub split_sequence: u32,
    pub(crate) roster: &'a Roster,
    pub(crate) to: To,
    pub(crate) len: usize,
    pub(crate) can_split: bool,
}

/// Who gets a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// The member on this seat.
    One(usize),
    /// Everybody but the member on this seat.
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
    /// Its connection carries less than the sender's: send the two halves that [`crate::split_datagram`] makes.
    Split,
    /// Skip this target alone; it is counted as [`DropReason::TargetBudget`].
    TooLarge,
}

impl Forward<'_> {
    /// Gives every connected target, also those that the datagram is too large for.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        let one = match self.to {
            To::One(seat) => Some(seat),
            To::AllBut(_) => None,
        };
        let one = one.and_then(|seat| self.roster.get(seat));
        let all = match self.to {
            To::One(_) => None,
            To::AllBut(seat) => Some(self.roster.iter().filter(move |(other, _)| *other != seat)),
        };
        let all = all.into_iter().flatten().map(|(_, member)| member);

        one.into_iter().chain(all).filter_map(|member| {
            Some(Target {
                conn: member.carrier()?,
                peer: member.identity.peer(),
                budget: member.budget,
                fit: fit(member, self.len, self.can_split),
            })
        })
    }
}

/// Decides what to do with a datagram of `len` bytes for `member`; `can_split` tells whether it is a whole frame in a full-frame room.
pub(crate) const fn fit(member: &Member, len: usize, can_split: bool) -> Fit {
    if len <= member.budget {
        Fit::Whole
    } else if can_split && narrow::half_len(len) <= member.budget {
        Fit::Split
    } else {
        Fit::TooLarge
    }
}
