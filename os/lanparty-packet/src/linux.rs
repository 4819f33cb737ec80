//! Sockets of family `AF_PACKET` (`packet(7)`, `linux/if_packet.h`).

#[path = "linux/interface.rs"]
mod interface;
#[path = "linux/receive.rs"]
mod receive;
#[path = "linux/send.rs"]
mod send;
#[path = "linux/socket.rs"]
mod socket;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;

use self::receive::ReceiveRing;
use self::send::SendQueue;
use crate::{FilterState, LinkState, OpenError, PacketOptions, Received, Statistics, filter};

/// A packet socket bound to one interface: every frame that others put on its wire, none of our own.
///
/// It never blocks; wait with `poll(2)` on [`AsFd::as_fd`].
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    ring: ReceiveRing,
    queue: SendQueue,
    statistics: Statistics,
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
        let fd = socket::open().map_err(OpenError::Socket)?;
        socket::configure(&fd, index, options)?;
        socket::bind(&fd, index).map_err(|source| OpenError::Bind {
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
        }
    }

    /// Takes the next batch off the interface and returns its length: 0 if there is nothing. The batch before is gone.
    ///
    /// # Errors
    ///
    /// Returns an error if the interface went down (`ENETDOWN`) or away (`ENXIO`); the socket stays usable.
    pub fn receive(&mut self) -> io::Result<usize> {
        let (count, truncated) = self.ring.receive(&self.fd)?;
        self.statistics.truncated = self.statistics.truncated.saturating_add(truncated);

        Ok(count)
    }

    /// Returns frame `index` of the last batch; `None` beyond its end, and for a frame that was cut off.
    pub fn received(&self, index: usize) -> Option<Received<'_>> {
        self.ring.get(index)
    }

    /// Returns frame `index` of the last batch to be changed where it lies; `None` beyond its end.
    pub fn received_mut(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        self.ring.get_mut(index)
    }

    /// Sends a frame or super-frame, at the latest with the next [`PacketSocket::flush`].
    ///
    /// Ordinary frames are copied and leave in batches; a super-frame leaves at once, uncopied, behind what waits.
    pub fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState {
        if self.queue.push(vnet, pieces) {
            return LinkState::Up;
        }
        let waiting = self.flush();
        if self.queue.push(vnet, pieces) {
            return waiting;
        }

        send::send_now(&self.fd, vnet, pieces, &mut self.statistics)
    }

    /// Sends what waits. What the kernel does not take now is dropped and counted.
    pub fn flush(&mut self) -> LinkState {
        self.queue.flush(&self.fd, &mut self.statistics)
    }

    /// Lets only group frames, unicast for `remote_macs`, and ARP and neighbour discovery for `own` through the kernel's filter.
    ///
    /// `own` is the MAC from which the caller asks who has an address: answers go there.
    ///
    /// Call it whenever the members of the room change; frames that are already in the receive buffer still come.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses the filter; the one before stays.
    pub fn set_filter(&self, own: MacAddr, remote_macs: &[MacAddr]) -> io::Result<FilterState> {
        let (program, state) = match filter::assemble(own, remote_macs) {
            Some(program) => (program, FilterState::Exact),
            None => (filter::pass_all(), FilterState::PassAll),
        };
        socket::attach(&self.fd, &program)?;

        Ok(state)
    }

    /// Returns the counters since the socket was opened. One system call: not for every frame.
    pub fn statistics(&mut self) -> Statistics {
        // The kernel resets its counters as it tells them; if it does not tell, the sums stay as they are.
        if let Ok((packets, drops)) = socket::statistics(&self.fd) {
            let statistics = &mut self.statistics;
            statistics.received = statistics
                .received
                .saturating_add(u64::from(packets.saturating_sub(drops)));
            statistics.kernel_drops = statistics.kernel_drops.saturating_add(u64::from(drops));
        }

        self.statistics
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
