//! The packet socket and its place in the system, as the loop sees them.

use std::os::fd::AsFd as _;
use std::time::Instant;

use lanparty_device::Ready;
use lanparty_driver::{Port, PortError, Socket};
use lanparty_linux::{WakeFd, wait};
use lanparty_packet::PacketSocket;
use lanparty_proto::MacAddr;

/// The LAN's side of a gateway.
#[derive(Debug)]
pub(crate) struct LanPort {
    socket: PacketSocket,
    wake: WakeFd,
    /// The frames of the LAN are this process's to read, and the filter is its to set.
    reads: bool,
    remotes: Vec<MacAddr>,
}

impl LanPort {
    pub(crate) const fn new(socket: PacketSocket, wake: WakeFd) -> Self {
        Self {
            socket,
            wake,
            reads: true,
            remotes: Vec::new(),
        }
    }

    fn filter(&self) {
        if let Err(error) = self.socket.set_filter(&self.remotes) {
            tracing::warn!(%error, "the kernel takes no filter: every frame of the LAN costs a little");
        }
    }
}

impl Port for LanPort {
    type Device = PacketSocket;

    const GONE: &'static str = "the network card is gone; plug it in again and restart the gateway";

    fn device(&mut self) -> &mut PacketSocket {
        &mut self.socket
    }

    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        let device = self.reads.then(|| self.socket.as_fd());
        let sockets = sockets.iter().flatten();
        let sockets = sockets.map(|socket| (socket.udp.as_fd(), socket.wants_write));
        wait(sockets, device, &self.wake, deadline)
            .map_err(|error| PortError::new("cannot wait for the LAN", error))
    }

    fn handle_remotes(&mut self, remotes: &[MacAddr]) {
        remotes.clone_into(&mut self.remotes);
        if self.reads {
            self.filter();
        }
    }

    fn set_reading(&mut self, reading: bool) {
        self.reads = reading;
        if reading {
            self.filter();
        }
    }
}
