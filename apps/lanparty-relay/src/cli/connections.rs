//! The options about connections.

use std::time::Duration;

use lanparty_switch::Rate;

use super::parse_rate;
use crate::limiter::{ConnectionLimits, Quota};
use crate::worker::Patience;

/// Which connections the relay takes.
#[derive(Debug, Clone, clap::Args)]
#[command(
    next_help_heading = "Connection limits (docs/defaults.md has the reasons; a rate of 0 is no limit)"
)]
pub(crate) struct ConnectionOptions {
    /// New connections of one address (IPv6: one /64): so many a second, and so many at once.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_ADDRESS_CONNECTS", default_value = "20/64", value_parser = parse_rate)]
    pub(crate) address_connects: Rate,
    /// Most connections of one address (IPv6: one /64) at a time; 0 is no limit.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_ADDRESS_CONNECTIONS",
        default_value_t = 128
    )]
    pub(crate) address_connections: usize,
    /// Handshakes of one address at a time beyond which it must prove that it is there.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_ADDRESS_HANDSHAKES",
        default_value_t = 16
    )]
    pub(crate) address_handshakes: usize,
    /// New connections of one network (IPv4: one /24; IPv6: one /48): so many a second, and so many at once.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_NETWORK_CONNECTS", default_value = "100/512", value_parser = parse_rate)]
    pub(crate) network_connects: Rate,
    /// Most connections of one network (IPv4: one /24; IPv6: one /48) at a time; 0 is no limit.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_NETWORK_CONNECTIONS",
        default_value_t = 1024
    )]
    pub(crate) network_connections: usize,
    /// Handshakes of one network at a time beyond which its addresses must prove that they are there.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_NETWORK_HANDSHAKES",
        default_value_t = 32
    )]
    pub(crate) network_handshakes: usize,
    /// How many seconds an address is banned after a member was disconnected for malformed datagrams.
    #[arg(long, value_name = "SECONDS", env = "SOFTLAN_ADDRESS_PENALTY", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(crate) address_penalty: u32,
    /// Handshakes at a time beyond which new connections must prove their addresses (Retry).
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_HANDSHAKES",
        default_value_t = 64
    )]
    pub(crate) handshakes: usize,
    /// New connections a second beyond which they must prove their addresses.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_RETRY_ABOVE",
        default_value_t = 200
    )]
    pub(crate) retry_above: u32,
    /// First packets a second beyond which those with unproved addresses get no answer.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_IGNORE_ABOVE",
        default_value_t = 2000
    )]
    pub(crate) ignore_above: u32,
    /// How many seconds a handshake may take.
    #[arg(long, value_name = "SECONDS", env = "SOFTLAN_HANDSHAKE_DEADLINE", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) handshake_deadline: u32,
    /// How many seconds a connection has for its hello.
    #[arg(long, value_name = "SECONDS", env = "SOFTLAN_HELLO_DEADLINE", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) hello_deadline: u32,
    /// Connections at a time that have not said hello; beyond, the one that was silent for longest is closed. 0 is no limit.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_SILENT_CONNECTIONS",
        default_value_t = 2048
    )]
    pub(crate) silent_connections: usize,
    /// How many seconds a member has for a control message that it has begun.
    #[arg(long, value_name = "SECONDS", env = "SOFTLAN_MESSAGE_DEADLINE", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) message_deadline: u32,
    /// Memory in MiB beyond four fifths of which no new connection is taken; 0 is no limit.
    #[arg(
        long,
        value_name = "MIB",
        env = "SOFTLAN_MEMORY",
        default_value_t = 1024
    )]
    pub(crate) memory: u64,
}

impl ConnectionOptions {
    /// Returns what the connection limiter is told.
    pub(crate) const fn to_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            address: Quota {
                connects: self.address_connects,
                connections: self.address_connections,
                handshakes: self.address_handshakes,
            },
            network: Quota {
                connects: self.network_connects,
                connections: self.network_connections,
                handshakes: self.network_handshakes,
            },
            penalty: Duration::from_secs(self.address_penalty as u64),
            handshakes: self.handshakes,
            retry_above: self.retry_above,
            ignore_above: self.ignore_above,
            memory: self.memory.saturating_mul(1024 * 1024),
        }
    }

    /// Returns how long a handshake may take.
    pub(crate) const fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_deadline as u64)
    }

    /// Returns how many connections of each worker may not have said hello. The system spreads them evenly.
    pub(crate) fn silent(&self, workers: u8) -> usize {
        self.silent_connections
            .div_ceil(usize::from(workers.max(1)))
    }

    /// Returns how long workers wait for messages.
    pub(crate) const fn patience(&self) -> Patience {
        Patience {
            hello: Duration::from_secs(self.hello_deadline as u64),
            message: Duration::from_secs(self.message_deadline as u64),
        }
    }
}
