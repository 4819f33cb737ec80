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
    /// The room has a gateway already; this one stands by.
    Standby {
        /// The room code.
        room: String,
        /// What the active gateway calls itself, if it is on this LAN.
        neighbor: Option<MacAddr>,
    },
    /// A gateway that stood by has taken over and bridges the room.
    TookOver {
        /// The room code.
        room: String,
        /// The LAN interface.
        interface: String,
        /// The room's IP MTU.
        mtu: u16,
        /// How long it waited.
        waited: Duration,
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
    /// The first broadcast of the party has arrived.
    BroadcastHeard,
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
    /// Frames are being dropped that a person should know of. Their number by reason is in the counters.
    TooLarge {
        /// The largest IP packet that passes.
        mtu: u16,
    },
    /// Frames are lost between this program and the system, more than a game would not notice.
    PortLoss {
        /// The TAP, or the LAN interface.
        interface: String,
        /// How.
        loss: PortLoss,
        /// How many, within the last minute or since the last such line.
        count: u64,
    },
    /// A client closed a loop through the tunnel and is blocked.
    LoopBlocked {
        /// Its tunnel MAC.
        mac: MacAddr,
        /// For how long.
        lasting: Duration,
    },
    /// This very client closed a loop and is blocked.
    LoopHere {
        /// For how long.
        lasting: Duration,
    },
    /// A client that was blocked is let in again.
    LoopOver(MacAddr),
    /// The LAN gives the gateway's own frames back.
    LanLoop,
    /// Frames of other machines come out of the TAP.
    Bridged,
    /// Another gateway is on this LAN.
    OtherGateway {
        /// Whether it bridges the same room.
        same_room: bool,
    },
    /// A remote client claimed an address that is not its own.
    Claim {
        /// Its tunnel MAC.
        mac: MacAddr,
        /// The address.
        address: IpAddr,
        /// Whose it is, in words.
        owner: String,
    },
    /// A remote client had an address that turned out to be another's, and has it no more.
    AddressLost {
        /// Its tunnel MAC.
        mac: MacAddr,
        /// The address.
        address: IpAddr,
        /// Whose it is, in words.
        owner: String,
    },
    /// A clean end.
    Left,
}

/// How frames are lost between a program and the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortLoss {
    /// The system has no room for more.
    Busy,
    /// The interface is down.
    Down,
    /// The system cannot express them, or does not want them.
    Refused,
    /// They came faster than this program could read.
    Missed,
}

impl StatusLine {
    /// Returns whether this says that the member has come into its room for the first time, or waits to: its work begins.
    pub const fn is_entrance(&self) -> bool {
        matches!(
            self,
            Self::Joined { .. } | Self::GatewayReady { .. } | Self::Standby { .. }
        )
    }
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
            } => write_joined(f, room, *mtu, *gateway, *rtt),
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
            Self::Standby { room, neighbor } => write_standby(f, room, *neighbor),
            Self::TookOver {
                room,
                interface,
                mtu,
                waited,
            } => write_took_over(f, room, interface, *mtu, *waited),
            Self::GatewayJoined => f.write_str("the LAN gateway is here"),
            Self::GatewayLeft { reason } => {
                write!(f, "the LAN gateway left ({reason}); waiting for it")
            }
            Self::ClientJoined(mac) => write!(f, "client {mac} joined"),
            Self::ClientLeft { mac, reason } => write!(f, "client {mac} left ({reason})"),
            Self::Address(address) => write!(f, "this PC is {address} on the party's LAN"),
            Self::BroadcastHeard => {
                f.write_str("broadcasts of the party arrive: its games can be found")
            }
            Self::ConnectionLost => f.write_str("connection lost, trying again…"),
            Self::Back { after } => write!(f, "back after {:.1} s", after.as_secs_f64()),
            Self::Retrying { cause, after } => {
                write!(f, "{cause}; trying again in {:.1} s", after.as_secs_f64())
            }
            Self::TooLarge { mtu } => write!(
                f,
                "packets over {mtu} bytes cannot pass this room and are dropped; \
                 where their protocol can say so, senders were told to send smaller ones"
            ),
            Self::PortLoss {
                interface,
                loss,
                count,
            } => write_port_loss(f, interface, *loss, *count),
            Self::LoopBlocked { mac, lasting } => write_blocked(f, *mac, *lasting),
            Self::LoopHere { lasting } => write!(
                f,
                "this PC joins the party's LAN to itself by another way; take its party interface out of the network bridge (blocked for {} s)",
                lasting.as_secs()
            ),
            Self::LoopOver(mac) => write!(f, "client {mac} is let in again"),
            Self::LanLoop => f.write_str(
                "the LAN gives our own frames back: two of its ports are joined by a cable; pull it",
            ),
            Self::Bridged => f.write_str(
                "other machines' frames come out of the party interface and are dropped; take it out of the network bridge",
            ),
            Self::OtherGateway { same_room } => f.write_str(other_gateway(*same_room)),
            Self::Claim {
                mac,
                address,
                owner,
            } => write!(f, "client {mac} claimed {address}, which belongs to {owner}; its frame was dropped"),
            Self::AddressLost {
                mac,
                address,
                owner,
            } => write!(f, "client {mac} may not use {address} any more, which belongs to {owner}"),
            Self::Left => f.write_str("left the room"),
        }
    }
}

const fn other_gateway(same_room: bool) -> &'static str {
    if same_room {
        "another gateway of this room is on this LAN"
    } else {
        "a softlan gateway of another room is on this LAN too"
    }
}

/// A duration as milliseconds with one digit.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    room: &str,
    mtu: u16,
    gateway: bool,
    rtt: Duration,
) -> fmt::Result {
    let lan = if gateway {
        "the LAN gateway is here"
    } else {
        "no LAN gateway yet, waiting for it"
    };
    let rtt = Milliseconds(rtt);

    write!(
        f,
        "joined room {room}: {lan} (MTU {mtu}, {rtt} to the relay)"
    )
}

fn write_standby(f: &mut fmt::Formatter<'_>, room: &str, neighbor: Option<MacAddr>) -> fmt::Result {
    let Some(MacAddr([.., x, y, z])) = neighbor else {
        return write!(
            f,
            "standby: room {room} has a gateway on another LAN; \
             this one bridges nothing and moves the room to this LAN when that one is gone"
        );
    };

    write!(
        f,
        "standby: room {room} has a gateway on this LAN (its card's MAC ends in {x:02x}:{y:02x}:{z:02x}); \
         this one bridges nothing and takes over when that one is gone"
    )
}

fn write_took_over(
    f: &mut fmt::Formatter<'_>,
    room: &str,
    interface: &str,
    mtu: u16,
    waited: Duration,
) -> fmt::Result {
    let waited = waited.as_secs_f64();

    write!(
        f,
        "took over: room {room} is on {interface} now (MTU {mtu}), after {waited:.1} s as standby"
    )
}

fn write_port_loss(
    f: &mut fmt::Formatter<'_>,
    interface: &str,
    loss: PortLoss,
    count: u64,
) -> fmt::Result {
    match loss {
        PortLoss::Busy => write!(
            f,
            "{count} frames were lost because {interface} did not take them fast enough; is this machine busy with something else?"
        ),
        PortLoss::Down => write!(
            f,
            "{count} frames were lost because somebody switched {interface} off; switch it on again"
        ),
        PortLoss::Refused => write!(
            f,
            "{count} frames were lost because the system refuses them on {interface}; do its MTU and its driver fit the room?"
        ),
        PortLoss::Missed => write!(
            f,
            "{count} frames were lost because {interface} brings them faster than this machine reads them; is it busy with something else?"
        ),
    }
}

fn write_blocked(f: &mut fmt::Formatter<'_>, mac: MacAddr, lasting: Duration) -> fmt::Result {
    write!(
        f,
        "client {mac} joins the party's LAN to itself by another way (a bridge); it is blocked for {} s",
        lasting.as_secs()
    )
}
