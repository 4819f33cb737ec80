//! The messages and what makes them valid.

mod foreign_source;
mod json;
mod valid;

use std::collections::BTreeMap;

use lanparty_proto::{MacAddr, PeerId, RoomId, budget};
use serde::{Deserialize, Serialize};

use self::json::{mac_text, peer_number, room_number};
use self::valid::{check_peer, check_text};
use crate::RoomCode;

pub use self::foreign_source::ForeignSource;
pub use self::valid::ValidationError;

/// The most characters of any text that a peer writes for people: program names, sentences.
pub const MAX_TEXT: usize = 256;

/// The most capabilities in a hello. There are few; the rest is room for later versions.
pub const MAX_CAPABILITIES: usize = 32;

/// The most drop reasons in stats: more than there are.
pub const MAX_REASONS: usize = 128;

/// A control message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// A member asks to join.
    Hello(Hello),
    /// The relay admits it.
    Welcome(Welcome),
    /// The relay does not admit it.
    Reject(Reject),
    /// The room lives on another worker of this relay; connect again with its number.
    Redirect(Redirect),
    /// Somebody is in the room.
    PeerJoined(PeerInfo),
    /// Somebody left the room.
    PeerLeft(PeerLeft),
    /// Somebody's connection broke; the membership is kept for a while.
    PeerDetached(PeerRef),
    /// Somebody whose connection broke has taken its membership up again.
    PeerResumed(PeerRef),
    /// What fits the paths of all members of a native room changed; for members with [`Capability::RoomBudget`].
    RoomBudget(RoomBudget),
    /// A client sent a frame that is not its own, and the relay dropped it; for gateways with [`Capability::ForeignSource`].
    ForeignSource(ForeignSource),
    /// A member's own counters.
    Stats(Stats),
    /// The relay is about to restart; connect again after a while.
    Restarting(Restarting),
    /// The member has joined the relay's successor, and hears both.
    Arrived,
    /// Everybody hears both: send by the connection to the successor from now on.
    Move,
    /// The sender ends the session.
    Disconnect(Disconnect),
}

impl Message {
    /// The `type` of every message.
    pub const TYPES: [&'static str; 15] = [
        "hello",
        "welcome",
        "reject",
        "redirect",
        "peer_joined",
        "peer_left",
        "peer_detached",
        "peer_resumed",
        "room_budget",
        "foreign_source",
        "stats",
        "restarting",
        "arrived",
        "move",
        "disconnect",
    ];

    /// Checks what the types alone cannot (`docs/protocol.md`, clause 4).
    ///
    /// # Errors
    ///
    /// Returns the first field that is not valid.
    pub fn validate(&self) -> Result<(), ValidationError> {
        match self {
            Self::Hello(hello) => hello.validate(),
            Self::Welcome(welcome) => welcome.validate(),
            Self::Reject(reject) => check_text("message", &reject.message),
            Self::PeerJoined(info) => info.validate(),
            Self::PeerLeft(left) => check_peer(left.peer),
            Self::PeerDetached(peer) | Self::PeerResumed(peer) => check_peer(peer.peer),
            Self::ForeignSource(foreign) => foreign.validate(),
            Self::Stats(stats) => stats.validate(),
            Self::Disconnect(disconnect) => check_text("message", &disconnect.message),
            Self::Redirect(_)
            | Self::RoomBudget(_)
            | Self::Restarting(_)
            | Self::Arrived
            | Self::Move => Ok(()),
        }
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A remote PC with a MAC of its own.
    Client,
    /// The box that bridges the room onto a LAN.
    Gateway,
}

/// How a room carries frames that are larger than a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Not at all: the MTU is what fits.
    Native,
    /// As two datagrams: the MTU is 1500.
    Full,
}

/// Something a member can do that version 1 does not ask of everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Full-frame mode.
    FullFrame,
    /// Understands [`Message::RoomBudget`].
    RoomBudget,
    /// Understands [`Message::ForeignSource`].
    ForeignSource,
    /// Its program goes on in another process, whose connection is heard until it ends.
    Beside,
    /// A capability that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A member asks to join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub version: u16,
    /// What the member is.
    pub role: Role,
    /// The room it wants.
    pub room: RoomCode,
    /// A client's tunnel MAC; a gateway has none.
    #[serde(default, with = "mac_text", skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The largest overlay datagram the member takes, in bytes.
    pub budget: u16,
    /// What it can do beyond version 1.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Higher at every attempt of one member: of two connections with one identity, the higher wins.
    #[serde(default)]
    pub generation: u64,
    /// The token of an earlier welcome, to take up the same membership again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// Random for every start of the program, 32 hexadecimal digits: the membership with the same one is this very program, which
    /// never heard its welcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The member's download rate in bits a second, for the relay to shape to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_rate: Option<u64>,
    /// The program's name, for logs.
    pub program: String,
    /// The program's version, for logs.
    pub program_version: String,
}

impl Hello {
    /// Returns whether the member can do `capability`.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    fn validate(&self) -> Result<(), ValidationError> {
        match (self.role, self.mac) {
            (Role::Client, None) => return Err(ValidationError::MissingMac),
            (Role::Gateway, Some(_)) => return Err(ValidationError::GatewayWithMac),
            (Role::Client, Some(mac)) if !mac.is_valid_source() => {
                return Err(ValidationError::BadMac);
            }
            (Role::Client, Some(_)) | (Role::Gateway, None) => {}
        }
        if self.capabilities.len() > MAX_CAPABILITIES {
            return Err(ValidationError::TooMany("capabilities"));
        }
        check_text("resume", self.resume.as_deref().unwrap_or_default())?;
        check_text("program", &self.program)?;

        check_text("program_version", &self.program_version)
    }
}

/// The relay admits a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The member's id, not zero.
    #[serde(with = "peer_number")]
    pub peer: PeerId,
    /// The room's id, for datagrams.
    #[serde(with = "room_number")]
    pub room: RoomId,
    /// The room's IP MTU in bytes.
    pub mtu: u16,
    /// How the room carries larger frames.
    pub mode: Mode,
    /// The largest overlay datagram, in bytes: the lesser of what both ends take.
    pub budget: u16,
    /// Whether the room has a gateway now.
    pub gateway: bool,
    /// How to take up this membership again after a broken connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// The relay's version, for logs.
    #[serde(default)]
    pub relay_version: String,
}

impl Welcome {
    fn validate(&self) -> Result<(), ValidationError> {
        check_peer(self.peer)?;
        if !(budget::MIN_IP_MTU..=budget::FULL_IP_MTU).contains(&self.mtu) {
            return Err(ValidationError::BadMtu(self.mtu));
        }

        check_text("relay_version", &self.relay_version)
    }
}

/// How to take up a membership again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// What to put into [`Hello::resume`].
    pub token: String,
    /// How many seconds the membership is kept.
    pub seconds: u32,
}

/// The relay does not admit a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Why, for programs.
    pub code: RejectCode,
    /// Why and what to do, for a person.
    pub message: String,
}

/// Why a member is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// The relay does not speak the hello's version.
    UnsupportedVersion,
    /// The hello is not valid.
    BadHello,
    /// The MAC cannot be an identity.
    BadMac,
    /// Another client of the room has the MAC.
    MacInUse,
    /// The room has a gateway.
    GatewayPresent,
    /// The room has as many clients as it may.
    RoomFull,
    /// The relay has as many rooms or members as it may.
    RelayFull,
    /// The member cannot carry the room's MTU.
    MtuTooSmall,
    /// The member cannot do what the room's mode needs.
    ModeUnsupported,
    /// A newer connection of the same member is there.
    Superseded,
    /// Too many attempts; wait.
    TooManyAttempts,
    /// The relay is going down.
    ShuttingDown,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

impl RejectCode {
    /// Returns whether trying again later can succeed without a person doing anything.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::TooManyAttempts | Self::ShuttingDown)
    }
}

/// The room lives on another worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// The first byte of the destination connection id to connect again with.
    pub worker: u8,
}

/// Somebody in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// The member's id.
    #[serde(with = "peer_number")]
    pub peer: PeerId,
    /// What it is.
    pub role: Role,
    /// A client's tunnel MAC.
    #[serde(default, with = "mac_text", skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
}

impl PeerInfo {
    fn validate(&self) -> Result<(), ValidationError> {
        check_peer(self.peer)?;
        match (self.role, self.mac) {
            (Role::Client, None) => Err(ValidationError::MissingMac),
            (Role::Gateway, Some(_)) => Err(ValidationError::GatewayWithMac),
            (Role::Client, Some(mac)) if !mac.is_valid_source() => Err(ValidationError::BadMac),
            (Role::Client, Some(_)) | (Role::Gateway, None) => Ok(()),
        }
    }
}

/// Names a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRef {
    /// The member's id.
    #[serde(with = "peer_number")]
    pub peer: PeerId,
}

/// Somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLeft {
    /// The member's id.
    #[serde(with = "peer_number")]
    pub peer: PeerId,
    /// Why.
    pub reason: LeaveReason,
}

/// Why a member left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It said so itself.
    Disconnect,
    /// Its connection broke and it did not come back.
    Timeout,
    /// It sent too much that was no datagram of this protocol.
    Malformed,
    /// Somebody removed it.
    Kicked,
    /// The relay went down.
    Shutdown,
    /// A reason that this version does not know.
    #[serde(other)]
    Unknown,
}

impl LeaveReason {
    /// Returns the reason as messages and logs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Kicked => "kicked",
            Self::Shutdown => "shutdown",
            Self::Unknown => "unknown",
        }
    }
}

/// What fits the paths of all members of a native room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomBudget {
    /// The largest overlay datagram that every member's connection carries, in bytes; none once all carry what the room's MTU needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u16>,
}

/// A member's own counters, since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Frames sent to the relay.
    pub frames_up: u64,
    /// Bytes of those frames.
    pub bytes_up: u64,
    /// Frames received from the relay and delivered.
    pub frames_down: u64,
    /// Bytes of those frames.
    pub bytes_down: u64,
    /// The round trip to the relay, in microseconds.
    pub rtt_us: u64,
    /// The datagram budget, in bytes.
    pub budget: u16,
    /// Frames dropped, by reason.
    pub drops: BTreeMap<String, u64>,
}

impl Stats {
    fn validate(&self) -> Result<(), ValidationError> {
        if self.drops.len() > MAX_REASONS {
            return Err(ValidationError::TooMany("drops"));
        }

        self.drops
            .keys()
            .try_for_each(|reason| check_text("drops", reason))
    }
}

/// The relay is about to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarting {
    /// After how many milliseconds to connect again; spread, so that not all come at once.
    pub reconnect_in_ms: u32,
    /// The successor is there already: go on by this connection until [`Message::Move`].
    #[serde(default)]
    pub stay: bool,
}

/// The sender ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    /// Why, for programs.
    pub reason: LeaveReason,
    /// Why, for a person; may be empty.
    #[serde(default)]
    pub message: String,
}
