//! What happened to one frame, for logs that ask for it.

use lanparty_proto::{Frame, MacAddr, PeerId};

use crate::DropReason;

/// Which way a frame went through a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a TAP or LAN to the relay.
    Up,
    /// From the relay to a TAP or LAN.
    Down,
    /// Between members, at the relay.
    Across,
}

impl Way {
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
    /// It went nowhere.
    Dropped(DropReason),
}

impl Action {
    /// Returns the value of the `action` field: `forwarded`, `filtered`, `rate_limited` or `dropped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded(_) => "forwarded",
            Self::Dropped(reason) if reason.is_safety() => "filtered",
            Self::Dropped(reason) if reason.is_rate() => "rate_limited",
            Self::Dropped(_) => "dropped",
        }
    }
}

/// One frame and what was done with it.
///
/// Made only where somebody listens: it costs nothing while frame logs are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameEvent {
    /// Which way it went.
    pub way: Way,
    /// The member it came from or was for, where that is known.
    pub peer: Option<PeerId>,
    /// Source MAC, destination MAC, and EtherType or length, if the frame could be read.
    pub header: Option<(MacAddr, MacAddr, u16)>,
    /// Bytes without FCS.
    pub len: usize,
    /// What was done with it.
    pub action: Action,
}

impl FrameEvent {
    /// Describes `bytes`, which may be no frame at all.
    pub fn new(way: Way, peer: Option<PeerId>, bytes: &[u8], action: Action) -> Self {
        let header = Frame::parse(bytes)
            .ok()
            .map(|frame| (frame.source(), frame.destination(), frame.type_or_length()));

        Self {
            way,
            peer,
            header,
            len: bytes.len(),
            action,
        }
    }
}
