//! The connection of a member that a newer one is to replace (make before break).

use std::net::IpAddr;
use std::time::Duration;

use crate::membership::ConnId;
use crate::output::Output;

/// How long a membership may have two connections: the new one needs a round trip and a path MTU discovery, the old one empties its queues.
pub(crate) const OLD_PATH_LIFETIME: Duration = Duration::from_secs(30);

/// The connection of a member that a newer one is to replace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OldPath {
    pub(crate) conn: ConnId,
    pub(crate) serial: u64,
    pub(crate) generation: u64,
    pub(crate) origin: IpAddr,
    pub(crate) agreed: usize,
    pub(crate) budget: usize,
    /// Frames for the member still go to it.
    pub(crate) carries: bool,
}

impl OldPath {
    /// Says that it must end.
    pub(crate) const fn closed(self) -> Output {
        Output::Superseded { conn: self.conn }
    }
}
