//! What happened to one frame, for logs that ask for it.

use std::fmt;

use lanparty_proto::{Frame, MacAddr, PeerId};

use crate::DropReason;

/// Which way a frame went through a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a TAP or LAN to the relay.
    Up,
    /// From the relay to a TAP or LAN.
    Down,
    /// Between members, at the relay.
    Across,
}

impl Direction {
    /// Returns the value of the `direction` field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Across => "across",
        }
    }
}

/// What was done with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It went to so many targets.
    Forwarded(usize),
    /// It is a frame of our own, sent on this occasion.
    Sent(&'static str),
    /// It went nowhere.
    Dropped(DropReason),
}

impl Action {
    /// Returns the value of the `action` field: `forwarded`, `sent`, `filtered`, `rate_limited` or `dropped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded(_) => "forwarded",
            Self::Sent(_) => "sent",
            Self::Dropped(reason) if reason.is_safety() => "filtered",
            Self::Dropped(reason) if reason.is_rate() => "rate_limited",
            Self::Dropped(_) => "dropped",
        }
    }

    /// Returns the value of the `reason` field: why it was dropped, or on which occasion a frame of our own was sent.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Forwarded(_) => "",
            Self::Sent(occasion) => occasion,
            Self::Dropped(reason) => reason.as_str(),
        }
    }
}

/// What a log says of a frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFields {
    /// The source MAC.
    pub source: MacAddr,
    /// The destination MAC.
    pub destination: MacAddr,
    /// EtherType, or the length of an 802.3 frame.
    pub ether_type: TypeOrLength,
}

/// An EtherType, or the length of an 802.3 frame (IEEE 802.3, 3.2.6), as logs write it: `0x0800`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeOrLength(pub u16);

impl fmt::Display for TypeOrLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

/// One frame and what was done with it.
///
/// Made only where somebody listens: it costs nothing while frame logs are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameEvent {
    /// Which way it went.
    pub direction: Direction,
    /// The member it came from or was for, where that is known.
    pub peer: Option<PeerId>,
    /// Its header, if it could be read.
    pub header: Option<HeaderFields>,
    /// Bytes without FCS.
    pub len: usize,
    /// What was done with it.
    pub action: Action,
}

impl FrameEvent {
    /// Describes `bytes`, which may be no frame at all.
    pub fn new(direction: Direction, peer: Option<PeerId>, bytes: &[u8], action: Action) -> Self {
        let header = Frame::parse(bytes).ok().map(|frame| HeaderFields {
            source: frame.source(),
            destination: frame.destination(),
            ether_type: TypeOrLength(frame.type_or_length()),
        });

        Self {
            direction,
            peer,
            header,
            len: bytes.len(),
            action,
        }
    }
}
