//! Short lines that a player or operator understands.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lanparty_proto::MacAddr;

/// Something worth telling the person in front of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusLine {
    /// The first connection is being made.
    Connecting {
        /// Where to, as the person wrote it.
        relay: String,
    },
    /// A client is in the room.
    Joined {
        /// The room code.
        room: String,
        /// The room's IP MTU.
        mtu: u16,
        /// Whether a gateway is there.
        gateway: bool,
        /// The round trip to the relay.
        rtt: Duration,
    },
    /// A gateway bridges the room.
    GatewayReady {
        /// The room code.
        room: String,
        /// The LAN interface.
        interface: String,
        /// The room's IP MTU.
        mtu: u16,
    },
    /// The gateway came.
    GatewayJoined,
    /// The gateway left.
    GatewayLeft {
        /// Why, in a word.
        reason: &'static str,
    },
    /// A client came.
    ClientJoined(MacAddr),
    /// A client left.
    ClientLeft {
        /// Its tunnel MAC.
        mac: MacAddr,
        /// Why, in a word.
        reason: &'static str,
    },
    /// The system has an address on the party's LAN.
    Address(IpAddr),
    /// The connection broke.
    ConnectionLost,
    /// The connection is back.
    Back {
        /// How long it was away.
        after: Duration,
    },
    /// An attempt failed; the next follows.
    Retrying {
        /// Why the last attempt failed.
        cause: String,
        /// When the next follows.
        after: Duration,
    },
    /// Frames are being dropped that a person should know of.
    TooLarge {
        /// The largest IP packet that passes.
        mtu: u16,
    },
    /// A clean end.
    Left,
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting { relay } => write!(f, "connecting to {relay}…"),
            Self::Joined {
                room,
                mtu,
                gateway,
                rtt,
            } => {
                let lan = if *gateway {
                    "the LAN gateway is here"
                } else {
                    "no LAN gateway yet, waiting for it"
                };
                write!(
                    f,
                    "joined room {room}: {lan} (MTU {mtu}, {} to the relay)",
                    Milliseconds(*rtt)
                )
            }
            Self::GatewayReady {
                room,
                interface,
                mtu,
            } => {
                write!(
                    f,
                    "gateway ready: room {room} is on {interface} (MTU {mtu})"
                )
            }
            Self::GatewayJoined => f.write_str("the LAN gateway is here"),
            Self::GatewayLeft { reason } => {
                write!(f, "the LAN gateway left ({reason}); waiting for it")
            }
            Self::ClientJoined(mac) => write!(f, "client {mac} joined"),
            Self::ClientLeft { mac, reason } => write!(f, "client {mac} left ({reason})"),
            Self::Address(address) => write!(f, "this PC is {address} on the party's LAN"),
            Self::ConnectionLost => f.write_str("connection lost, trying again…"),
            Self::Back { after } => write!(f, "back after {:.1} s", after.as_secs_f64()),
            Self::Retrying { cause, after } => {
                write!(f, "{cause}; trying again in {:.1} s", after.as_secs_f64())
            }
            Self::TooLarge { mtu } => write!(
                f,
                "packets over {mtu} bytes cannot pass this room and are being dropped"
            ),
            Self::Left => f.write_str("left the room"),
        }
    }
}

/// A duration as milliseconds with one digit.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}
