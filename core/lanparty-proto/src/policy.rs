//! The Layer 2 safety policy: which frames may pass between strangers' machines and a LAN.

use crate::{EtherType, Frame, Kind};

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a remote client, towards the LAN or another client.
    FromRemote,
    /// From the LAN, towards a remote client.
    FromLan,
}

/// Why the policy refuses a frame.
///
/// A refusal is a value to count and not an error to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The source MAC is a group address or zero.
    InvalidSource,
    /// Longer than the MTU allows.
    Jumbo,
    /// A VLAN tag from a remote client.
    VlanTag,
}

impl Refusal {
    /// Returns the name used by logs, metrics and tests.
    ///
    /// Dashboards depend on these: add, but do not rename.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSource => "invalid_source",
            Self::Jumbo => "jumbo",
            Self::VlanTag => "vlan_tag",
        }
    }
}

/// Decides whether `frame` may go in `direction`, where `ip_mtu` bytes of payload fit.
///
/// # Errors
///
/// Returns the reason why it may not.
pub fn check(direction: Direction, frame: &Frame<'_>, ip_mtu: u16) -> Result<(), Refusal> {
    if !frame.source().is_valid_source() {
        return Err(Refusal::InvalidSource);
    }
    if frame.bytes().len() > frame.max_len(usize::from(ip_mtu)) {
        return Err(Refusal::Jumbo);
    }
    if direction == Direction::FromRemote && frame.tags() > 0 {
        return Err(Refusal::VlanTag);
    }
    match frame.kind() {
        Kind::Type(EtherType(_)) | Kind::Length(_) => Ok(()),
    }
}
