//! What a switch allows. `docs/defaults.md` has the same numbers with their options.

use std::time::Duration;

use lanparty_bounds::Rate;
use lanparty_ctrl::Mode;
use lanparty_proto::{budget, policy::Policy};

/// The largest overlay datagram on a 1500-byte path over IPv4: 1472 bytes of UDP payload, less 38 for QUIC's short header with an
/// 8-byte connection id, packet number, AEAD tag and DATAGRAM frame header (RFC 9000, 17.3.1; RFC 9221, 4).
pub const MAX_BUDGET: usize = 1434;

/// How many bits of a room id count rooms; the rest names the worker.
pub(crate) const ROOM_COUNTER_BITS: u32 = 24;

/// What a switch allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most members of all rooms together.
    pub members: usize,
    /// Most clients of one room; the gateway does not count.
    pub clients_per_room: usize,
    /// How rooms carry frames larger than a datagram.
    pub mode: RoomMode,
    /// The largest IP MTU of a room in native mode.
    pub native_mtu: u16,
    /// The largest overlay datagram that anybody may send or get, in bytes.
    pub budget: usize,
    /// Which kinds of protocols clients may use.
    pub policy: Policy,
    /// Broadcast and multicast frames of one client.
    pub broadcast: Rate,
    /// Frames of one client for stations that nobody has been seen to have.
    pub unknown: Rate,
    /// ARP and neighbour discovery frames of one client.
    pub arp: Rate,
    /// Bytes of one client, all frames together.
    pub bytes: Rate,
    /// Broadcast and multicast frames from a room's LAN.
    pub lan_broadcast: Rate,
    /// Malformed datagrams of one connection in a while.
    pub violations: Rate,
    /// Malformed datagrams of one connection in its whole life.
    pub violations_in_total: u32,
    /// How long the membership of a member whose connection broke is kept.
    pub detached_lifetime: Duration,
}

/// How rooms carry frames larger than a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomMode {
    /// In two datagrams if the room's first member can, else not at all.
    Auto,
    /// Not at all, even if members could.
    Native,
    /// In two datagrams; members that cannot are not admitted.
    Full,
}

impl RoomMode {
    /// Returns the mode of a room whose first member can or cannot split frames.
    pub(crate) const fn choose(self, can_split: bool) -> Mode {
        match self {
            Self::Auto if can_split => Mode::Full,
            Self::Auto | Self::Native => Mode::Native,
            Self::Full => Mode::Full,
        }
    }
}

impl Default for Limits {
    /// The numbers of `docs/defaults.md`, where each has its reason.
    fn default() -> Self {
        Self {
            members: 10_000,
            clients_per_room: 64,
            mode: RoomMode::Auto,
            native_mtu: DEFAULT_NATIVE_MTU,
            budget: MAX_BUDGET,
            policy: Policy::DEFAULT,
            broadcast: Rate {
                per_second: 64,
                burst: 128,
            },
            unknown: Rate {
                per_second: 32,
                burst: 64,
            },
            arp: Rate {
                per_second: 32,
                burst: 64,
            },
            bytes: Rate {
                per_second: 2_500_000_000 / 8,
                burst: 4 * 1024 * 1024,
            },
            lan_broadcast: Rate {
                per_second: 512,
                burst: 1024,
            },
            violations: Rate {
                per_second: 1,
                burst: 16,
            },
            violations_in_total: 64,
            detached_lifetime: Duration::from_mins(1),
        }
    }
}

/// The IP MTU of a native room whose members can all carry it: the least that IPv6 runs on (RFC 8200, 5).
///
/// It fits every path of 1372 bytes or more, so `PPPoE`, DS-Lite, mobile networks and another VPN underneath are no reason to stay
/// outside. Full-size rooms are what full-frame mode is for.
pub const DEFAULT_NATIVE_MTU: u16 = 1280;

const _: () = assert!(DEFAULT_NATIVE_MTU >= budget::MIN_IP_MTU);
const _: () = assert!(budget::datagram_len(DEFAULT_NATIVE_MTU) <= MAX_BUDGET);
