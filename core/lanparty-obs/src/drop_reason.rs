//! Why a frame or datagram goes nowhere.

use std::fmt;

use lanparty_proto::{FrameError, OverlayError, Refusal};

/// Why a frame or datagram goes nowhere.
///
/// Dropping is part of bridging, so this is a value to count and not an error to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The safety policy refuses it.
    Policy(Refusal),
    /// Bytes that are no overlay datagram.
    MalformedDatagram,
    /// Bytes that are no Ethernet frame.
    MalformedFrame,
    /// A fragment of a frame that contradicts itself.
    MalformedFragment,
    /// The other fragment never came.
    FragmentLost,
    /// More senders of fragments than the table holds.
    FragmentTable,
    /// The datagram names a room that is not the sender's.
    ForeignRoom,
    /// The datagram names a member that did not send it.
    ForeignSource,
    /// The datagram comes from nobody that is in the room.
    UnknownPeer,
    /// A member's own frame came back to it.
    OwnFrame,
    /// A client's frame without its own MAC as source.
    SpoofedSource,
    /// A LAN frame with a remote client's MAC as source.
    RemoteMacOnLan,
    /// Larger than a datagram may be.
    DatagramBudget,
    /// Larger than the target's own budget.
    TargetBudget,
    /// For a station that nobody in the room has.
    UnknownDestination,
    /// Unicast from the LAN for no remote client.
    NotRemote,
    /// Unicast for another station.
    NotForUs,
    /// For the gateway while there is none.
    NoGateway,
    /// For a member whose connection broke and whose membership is kept.
    TargetDetached,
    /// Over the rate of broadcast and multicast frames.
    RateBroadcast,
    /// Over the rate of unknown unicast frames.
    RateUnknown,
    /// Over the rate of ARP and neighbour discovery.
    RateArp,
    /// Over the byte rate.
    RateBytes,
    /// The queue in front of the link is full.
    QueueFull,
    /// The queue's delay is over its target (RFC 8289).
    QueueDelay,
    /// A pure acknowledgement of TCP that a newer one in the same queue made needless.
    AckSuperseded,
    /// No room was joined.
    NotJoined,
    /// The TAP or packet socket had no room for it.
    PortBusy,
    /// The TAP or network card was down.
    PortDown,
    /// The TAP or network card cannot express it.
    PortRefused,
    /// It came faster than we read the TAP or packet socket, or was longer than any frame.
    PortMissed,
    /// A super-frame that cannot be segmented.
    Segmentation,
    /// An address that belongs to somebody else.
    AddressClaim,
    /// The member is blocked because of a loop.
    LoopBlocked,
}

impl DropReason {
    /// Returns the value of the `reason` label in logs and metrics.
    ///
    /// Dashboards depend on these: add, but do not rename.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy(refusal) => refusal.as_str(),
            Self::MalformedDatagram => "malformed_datagram",
            Self::MalformedFrame => "malformed_frame",
            Self::MalformedFragment => "malformed_fragment",
            Self::FragmentLost => "fragment_lost",
            Self::FragmentTable => "fragment_table",
            Self::ForeignRoom => "foreign_room",
            Self::ForeignSource => "foreign_source",
            Self::UnknownPeer => "unknown_peer",
            Self::OwnFrame => "own_frame",
            Self::SpoofedSource => "spoofed_source",
            Self::RemoteMacOnLan => "remote_mac_on_lan",
            Self::DatagramBudget => "datagram_budget",
            Self::TargetBudget => "target_budget",
            Self::UnknownDestination => "unknown_destination",
            Self::NotRemote => "not_remote",
            Self::NotForUs => "not_for_us",
            Self::NoGateway => "no_gateway",
            Self::TargetDetached => "target_detached",
            Self::RateBroadcast => "rate_broadcast",
            Self::RateUnknown => "rate_unknown",
            Self::RateArp => "rate_arp",
            Self::RateBytes => "rate_bytes",
            Self::QueueFull => "queue_full",
            Self::QueueDelay => "queue_delay",
            Self::AckSuperseded => "ack_superseded",
            Self::NotJoined => "not_joined",
            Self::PortBusy => "port_busy",
            Self::PortDown => "port_down",
            Self::PortRefused => "port_refused",
            Self::PortMissed => "port_missed",
            Self::Segmentation => "segmentation",
            Self::AddressClaim => "address_claim",
            Self::LoopBlocked => "loop_blocked",
        }
    }

    /// Returns whether the drop says that the sender does not keep to the protocol.
    ///
    /// The relay counts these and disconnects a member that goes on.
    pub const fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::MalformedDatagram
                | Self::MalformedFrame
                | Self::MalformedFragment
                | Self::ForeignRoom
                | Self::ForeignSource
        )
    }

    /// Returns whether the frame was refused for safety's sake, which logs call `filtered`.
    pub const fn is_safety(self) -> bool {
        matches!(
            self,
            Self::Policy(_) | Self::AddressClaim | Self::LoopBlocked | Self::SpoofedSource
        )
    }

    /// Returns whether a rate was exceeded, which logs call `rate_limited`.
    pub const fn is_rate(self) -> bool {
        matches!(
            self,
            Self::RateBroadcast | Self::RateUnknown | Self::RateArp | Self::RateBytes
        )
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Refusal> for DropReason {
    fn from(refusal: Refusal) -> Self {
        Self::Policy(refusal)
    }
}

impl From<OverlayError> for DropReason {
    fn from(_: OverlayError) -> Self {
        Self::MalformedDatagram
    }
}

impl From<FrameError> for DropReason {
    fn from(_: FrameError) -> Self {
        Self::MalformedFrame
    }
}
