//! The packet socket as the member's loop sees it.

use std::io::IoSlice;
use std::os::fd::AsFd as _;
use std::time::Instant;

use lanparty_driver::unix::{self, WakeFd};
use lanparty_driver::{Port, PortDrops, PortError, PortFacts, Ready, Socket};
use lanparty_offload::VnetHeader;
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_packet::{LinkState, PacketSocket};
use lanparty_proto::MacAddr;
use lanparty_session::JoinInfo;

/// The LAN's side of a gateway.
#[derive(Debug)]
pub(crate) struct LanPort {
    socket: PacketSocket,
    wake: WakeFd,
    /// Whether the card took frames when it was last given some.
    is_up: bool,
    /// The frames of the LAN are this process's to read, and the filter is its to set.
    reads: bool,
    remotes: Vec<MacAddr>,
    /// What the loop was told of drops.
    told: PortDrops,
}

impl LanPort {
    pub(crate) fn new(socket: PacketSocket, wake: WakeFd) -> Self {
        Self {
            socket,
            wake,
            is_up: true,
            reads: true,
            remotes: Vec::new(),
            told: PortDrops::default(),
        }
    }
}

impl Port for LanPort {
    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        let port = self.reads.then(|| self.socket.as_fd());
        unix::wait(sockets, port, &self.wake, deadline)
            .map_err(|error| PortError::new("cannot wait for the LAN", error))
    }

    fn receive(&mut self) -> Result<usize, PortError> {
        self.socket.receive().map_err(|error| {
            PortError::new(
                "the network card is gone; plug it in again and restart the gateway",
                error,
            )
        })
    }

    fn received(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        self.socket.received_mut(index)
    }

    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) {
        // What was not taken is in the counters.
        let _state = self.socket.send(vnet, pieces);
    }

    fn flush(&mut self) {
        self.is_up = self.socket.flush() == LinkState::Up;
    }

    fn take_drops(&mut self) -> PortDrops {
        let statistics = self.socket.statistics();
        let sums = PortDrops {
            busy: statistics.send_busy,
            down: statistics.send_down,
            refused: statistics.send_refused,
            missed: statistics.kernel_drops.saturating_add(statistics.truncated),
        };

        sums.since(&mut self.told)
    }

    /// A packet socket takes TCP super-frames on every kernel, and cuts them itself if the card cannot; UDP ones only on some.
    fn coalescing(&self) -> CoalesceOptions {
        CoalesceOptions {
            tcp: true,
            udp: false,
        }
    }

    fn handle_joined(&mut self, _info: &JoinInfo) -> Result<(), PortError> {
        Ok(())
    }

    fn handle_away(&mut self) {}

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

    fn facts(&mut self) -> PortFacts {
        PortFacts {
            address: None,
            kernel_drops: self.socket.statistics().kernel_drops,
            is_up: self.is_up,
            has_routes: None,
        }
    }
}

impl LanPort {
    fn filter(&self) {
        if let Err(error) = self.socket.set_filter(&self.remotes) {
            tracing::warn!(%error, "the kernel takes no filter: every frame of the LAN costs a little");
        }
    }
}
