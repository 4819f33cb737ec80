//! Sockets of family `AF_PACKET` (`packet(7)`, `linux/if_packet.h`).

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lanparty_device::{Capabilities, FrameDevice, LinkState, Received, Statistics};
use lanparty_linux::bpf::{self, Hook};
use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;

use crate::receive::ReceiveRing;
use crate::send::{self, SendQueue};
use crate::{FilterState, OpenError, PacketOptions, filter, interface, options};

/// A packet socket bound to one interface: every frame that others put on its wire, none of our own.
///
/// It never blocks; wait with `poll(2)` on [`AsFd::as_fd`].
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    ring: ReceiveRing,
    queue: SendQueue,
    statistics: Statistics,
    state: LinkState,
}

impl PacketSocket {
    /// Opens a packet socket on `interface` of the calling thread's network namespace.
    ///
    /// Nothing is heard from any other interface, and nothing from before the socket was bound.
    ///
    /// # Errors
    ///
    /// Returns which step failed. Every option is required: without one of them frames would be silently damaged.
    pub fn open(interface: &str, options: &PacketOptions) -> Result<Self, OpenError> {
        let index = interface::index(interface).map_err(|source| OpenError::NoInterface {
            name: interface.to_owned(),
            source,
        })?;
        let fd = options::open().map_err(OpenError::Socket)?;
        options::configure(&fd, index, options)?;
        options::bind(&fd, index).map_err(|source| OpenError::Bind {
            name: interface.to_owned(),
            source,
        })?;

        Ok(Self::adopt(fd))
    }

    /// Takes over a socket that another process opened with [`PacketSocket::open`], with whatever waits in it.
    ///
    /// Both may send. Each frame that comes is read by one of them alone, and the filter is that of whoever sets it last.
    pub fn adopt(fd: OwnedFd) -> Self {
        Self {
            fd,
            ring: ReceiveRing::new(),
            queue: SendQueue::new(),
            statistics: Statistics::default(),
            state: LinkState::Up,
        }
    }

    /// Lets only group frames and unicast for `remote_macs` through the kernel's filter.
    ///
    /// Call it whenever the members of the room change; frames that are already in the receive buffer still come.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses the filter; the one before stays.
    pub fn set_filter(&self, remote_macs: &[MacAddr]) -> io::Result<FilterState> {
        let (program, state) = match filter::assemble(remote_macs) {
            Some(program) => (program, FilterState::Exact),
            None => (filter::pass_all(), FilterState::PassAll),
        };
        bpf::attach(&self.fd, Hook::Filter, &program)?;

        Ok(state)
    }
}

impl FrameDevice for PacketSocket {
    /// Takes the next batch off the interface.
    ///
    /// # Errors
    ///
    /// Returns an error if the interface went down (`ENETDOWN`) or away (`ENXIO`); the socket stays
    /// usable.
    fn receive(&mut self) -> io::Result<usize> {
        let (count, truncated) = self.ring.receive(&self.fd)?;
        self.statistics.truncated = self.statistics.truncated.saturating_add(truncated);

        Ok(count)
    }

    fn received(&self, index: usize) -> Option<Received<'_>> {
        self.ring.get(index)
    }

    fn received_mut(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        self.ring.get_mut(index)
    }

    /// Ordinary frames are copied and leave in batches. A super-frame leaves at once, uncopied, behind
    /// the frames that wait.
    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState {
        if self.queue.push(vnet, pieces) {
            return LinkState::Up;
        }
        let waiting = self.flush();
        if self.queue.push(vnet, pieces) {
            return waiting;
        }

        send::send_now(&self.fd, vnet, pieces, &mut self.statistics)
    }

    fn flush(&mut self) -> LinkState {
        self.state = self.queue.flush(&self.fd, &mut self.statistics);

        self.state
    }

    /// One system call: not for every frame.
    fn statistics(&mut self) -> Statistics {
        // The kernel resets its counters as it tells them; if it does not tell, the sums stay as they are.
        if let Ok((packets, drops)) = options::statistics(&self.fd) {
            let statistics = &mut self.statistics;
            statistics.received = statistics
                .received
                .saturating_add(u64::from(packets.saturating_sub(drops)));
            statistics.kernel_drops = statistics.kernel_drops.saturating_add(u64::from(drops));
        }

        self.statistics
    }

    /// A packet socket takes TCP super-frames on every kernel, and cuts them itself if the card cannot;
    /// UDP ones only on some.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            tcp: true,
            udp: false,
        }
    }

    fn link_state(&self) -> LinkState {
        self.state
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
