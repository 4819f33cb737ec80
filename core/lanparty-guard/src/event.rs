//! What the guard has to tell the operator.

use std::fmt;
use std::net::IpAddr;

use lanparty_proto::MacAddr;

/// What an address is protected for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The gateway box has it.
    Gateway,
    /// Named by the operator.
    Operator,
    /// A router.
    Router,
    /// A DHCP server.
    DhcpServer,
    /// A resolver.
    Resolver,
}

impl Role {
    /// Returns the name used by logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Operator => "operator",
            Self::Router => "router",
            Self::DhcpServer => "dhcp_server",
            Self::Resolver => "resolver",
        }
    }
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The LAN's infrastructure.
    Protected(Role),
    /// A station on the LAN.
    Lan(MacAddr),
    /// Another member.
    Member(MacAddr),
}

/// Why the guard refuses a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// The frame claims or uses an address that is not the member's.
    AddressClaim,
    /// The frame announces an address about which the LAN is being asked, or cannot be asked yet because of too many
    /// others; the member will say it again.
    Unproven,
    /// Over the rate of DHCP messages.
    RateDhcp,
    /// A DHCP message about another station.
    DhcpSender,
    /// The member is not known, or there are too many.
    UnknownMember,
}

impl Denial {
    /// Every denial.
    pub const ALL: [Self; 5] = [
        Self::AddressClaim,
        Self::Unproven,
        Self::RateDhcp,
        Self::DhcpSender,
        Self::UnknownMember,
    ];

    /// Returns the name used by logs, metrics and tests.
    ///
    /// Dashboards depend on these: add, but do not rename.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressClaim => "address_claim",
            Self::Unproven => "unproven_address",
            Self::RateDhcp => "rate_dhcp",
            Self::DhcpSender => "dhcp_sender",
            Self::UnknownMember => "unknown_member",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a member came to its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The LAN's DHCP server acknowledged it.
    Dhcp,
    /// The member was the first to use it (RFC 6620).
    FirstCome,
}

/// Something for the operator's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A member claimed an address that is somebody else's; its frame was refused.
    Claim {
        /// Who claimed it.
        member: MacAddr,
        /// What was claimed.
        address: IpAddr,
        /// Whose it is.
        owner: Owner,
    },
    /// A member has an address now.
    Bound {
        /// Whose it is.
        member: MacAddr,
        /// The address.
        address: IpAddr,
        /// How it came to it.
        origin: Origin,
    },
    /// The LAN was asked about a member's address, and nobody answered: the member may announce it.
    Proven {
        /// Whose it is.
        member: MacAddr,
        /// The address.
        address: IpAddr,
    },
    /// A member lost an address to a station on the LAN or to another member's lease.
    Lost {
        /// Whose it was.
        member: MacAddr,
        /// The address.
        address: IpAddr,
        /// Whose it is now.
        owner: Owner,
        /// Whether the member was allowed to announce it: neighbours may still believe it.
        was_proven: bool,
    },
}
