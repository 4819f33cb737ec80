//! The ordinary party: a relay, a gateway and a joined client on a bed.

use anyhow::Result;

use crate::bed::{Bed, ETH};
use crate::link;
use crate::program::{Program, ROOM};

/// The client's TAP device.
pub const TAP: &str = "lanparty0";

/// A bed with a running relay, gateways and clients, all in one room.
///
/// Fields drop in order: members leave before the relay ends, and all before the bed goes.
#[derive(Debug)]
pub struct Party {
    /// The clients, by remote PC.
    pub clients: Vec<Program>,
    /// The gateway.
    pub gateway: Program,
    /// The relay.
    pub relay: Program,
    /// The network they run on.
    pub bed: Bed,
}

impl Party {
    /// Starts relay, gateway and one client on an ordinary bed.
    ///
    /// # Errors
    ///
    /// Returns an error with the program's output if one does not get ready.
    pub fn start() -> Result<Self> {
        Self::start_on(Bed::new()?, 1)
    }

    /// Starts relay, gateway, and clients on the first `clients` remote PCs of `bed`.
    ///
    /// # Errors
    ///
    /// Returns an error with the program's output if one does not get ready.
    pub fn start_on(bed: Bed, clients: usize) -> Result<Self> {
        let relay = bed.start_relay()?;
        let gateway = bed.start_gateway(0, ROOM)?;
        let clients = (0..clients)
            .map(|n| bed.start_client(n, ROOM))
            .collect::<Result<_>>()?;

        Ok(Self {
            clients,
            gateway,
            relay,
            bed,
        })
    }

    /// Returns the tunnel MAC of the client on remote PC `n`.
    ///
    /// # Errors
    ///
    /// Returns an error if its TAP is not there.
    pub fn tunnel_mac(&self, n: usize) -> Result<[u8; 6]> {
        link::mac((self.bed.remote(n), TAP))
    }

    /// Returns the MAC of LAN host `n`.
    ///
    /// # Errors
    ///
    /// Returns an error if its interface is not there.
    pub fn host_mac(&self, n: usize) -> Result<[u8; 6]> {
        link::mac((self.bed.host(n), ETH))
    }
}
