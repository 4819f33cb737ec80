//! `/dev/net/tun` (`linux/if_tun.h`, Documentation/networking/tuntap.rst).

#[path = "linux/address.rs"]
mod address;
#[path = "linux/interface.rs"]
mod interface;
#[path = "linux/route.rs"]
mod route;

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use lanparty_device::{Capabilities, FrameDevice, LinkState, Received, Statistics};
use lanparty_offload::VnetHeader;
use lanparty_offload::coalesce::MAX_PIECES;
use lanparty_offload::segment::MAX_SUPER_LEN;
use lanparty_offload::vnet::VNET_HEADER_LEN;

pub use self::route::{RouteError, RouteGuard};
use crate::{OpenError, TapOptions};

/// Frames per call of [`FrameDevice::receive`]. Each takes a system call anyway; the bound keeps other sources of the loop's turn
/// from waiting behind more than 2 MiB of super-frames.
const BATCH: usize = 32;

/// Bytes per frame: header and any super-frame, in whole pages. Only pages that frames touch become memory.
const SLOT: usize = (VNET_HEADER_LEN + MAX_SUPER_LEN).next_multiple_of(4096);

/// Frames the kernel keeps for us between turns; beyond, it drops. One batch of a gigabit's millisecond is 82 full frames, and
/// TCP's own queue is bounded below this (`tcp_limit_output_bytes`).
const QUEUE_LEN: i32 = 1000;

/// Values of `/proc/sys/net` for the interface: the party must not take over the player's machine.
///
/// The MTU must not follow what a router of the LAN says, nor, by [`NO_ROUTER`], the way to the Internet; addresses are welcome.
/// Only addresses of this interface are answered for and shown in ARP, so the player's other networks stay unknown.
/// Reverse path filtering is loose: a game's answer may come from a network that has no route here yet.
const SETTINGS: [(&str, &str, &str); 7] = [
    ("ipv6", "accept_ra_mtu", "0"),
    ("ipv6", "accept_redirects", "0"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
    ("ipv4", "arp_ignore", "1"),
    ("ipv4", "arp_announce", "2"),
    ("ipv4", "rp_filter", "2"),
];

/// The same for the default router.
const NO_ROUTER: (&str, &str, &str) = ("ipv6", "accept_ra_defrtr", "0");

/// A TAP device that vanishes when dropped. It never blocks; wait with `poll(2)` on [`AsFd::as_fd`].
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
    index: u32,
    capabilities: Capabilities,
    slots: Vec<u8>,
    lengths: Vec<usize>,
    statistics: Statistics,
    state: LinkState,
}

impl Tap {
    /// Makes the interface in the calling thread's network namespace, switched off.
    ///
    /// # Errors
    ///
    /// Returns which step failed; nothing is left behind then.
    pub fn open(options: &TapOptions) -> Result<Self, OpenError> {
        let name = &options.name;
        if !interface::is_name(name) {
            return Err(OpenError::BadName(name.clone()));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(OpenError::Driver)?;
        interface::attach(&file, name).map_err(|source| OpenError::Attach {
            name: name.clone(),
            source,
        })?;
        let failed = |what| {
            move |source| OpenError::Configure {
                what,
                name: name.clone(),
                source,
            }
        };
        interface::set_header_len(&file).map_err(failed("the virtio-net header"))?;
        let capabilities =
            interface::set_offloads(&file, options.offload).map_err(failed("the offloads"))?;
        interface::set_mac(name, options.mac).map_err(failed("the MAC address"))?;
        interface::set_mtu(name, options.mtu).map_err(failed("the MTU"))?;
        interface::set_queue_len(name, QUEUE_LEN).map_err(failed("the queue length"))?;
        restrain(name, options.accept_router).map_err(failed("the limits in /proc/sys"))?;
        let index = interface::index(name).map_err(failed("nothing but read the number"))?;

        Ok(Self {
            file,
            name: name.clone(),
            index,
            capabilities,
            slots: vec![0; SLOT * BATCH],
            lengths: Vec::with_capacity(BATCH),
            statistics: Statistics::default(),
            state: LinkState::Down,
        })
    }

    /// Returns the interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the interface's number in its network namespace.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Switches the interface on or off. Call it in the network namespace where the interface was made.
    ///
    /// # Errors
    ///
    /// Returns what the kernel said.
    pub fn set_up(&mut self, up: bool) -> io::Result<()> {
        interface::set_up(&self.name, up)?;
        self.state = if up { LinkState::Up } else { LinkState::Down };

        Ok(())
    }

    /// Sets the MTU in bytes. Call it in the network namespace where the interface was made.
    ///
    /// # Errors
    ///
    /// Returns what the kernel said.
    pub fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        interface::set_mtu(&self.name, mtu)
    }

    /// Returns the interface's IP addresses, for diagnosis.
    ///
    /// # Errors
    ///
    /// Returns what the kernel said.
    pub fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        address::of(&self.name)
    }
}

impl FrameDevice for Tap {
    fn receive(&mut self) -> io::Result<usize> {
        self.lengths.clear();
        for slot in self.slots.chunks_exact_mut(SLOT) {
            match self.file.read(slot) {
                Ok(len) => self.lengths.push(len),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::EINTR) => break,
                    // What was read is delivered; the next call meets the error again.
                    _ if !self.lengths.is_empty() => break,
                    _ => return Err(error),
                },
            }
        }
        let count = self.lengths.len();
        self.statistics.received = self.statistics.received.saturating_add(count as u64);

        Ok(count)
    }

    fn received(&self, index: usize) -> Option<Received<'_>> {
        let len = *self.lengths.get(index)?;
        let slot = self.slots.chunks_exact(SLOT).nth(index)?;
        let (vnet, frame) = VnetHeader::parse(slot.get(..len)?)?;

        Some(Received { vnet, frame })
    }

    fn received_mut(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        let len = *self.lengths.get(index)?;
        let slot = self
            .slots
            .chunks_exact_mut(SLOT)
            .nth(index)?
            .get_mut(..len)?;
        let (vnet, frame) = slot.split_at_mut_checked(VNET_HEADER_LEN)?;

        Some((VnetHeader::parse(vnet)?.0, frame))
    }

    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState {
        let header = vnet.to_bytes();
        let mut vectors = [IoSlice::new(&[]); MAX_PIECES + 1];
        let all = std::iter::once(IoSlice::new(&header)).chain(pieces.iter().copied());
        for (vector, piece) in vectors.iter_mut().zip(all) {
            *vector = piece;
        }
        let written = vectors
            .get(..pieces.len().saturating_add(1))
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE))
            .and_then(|vectors| self.file.write_vectored(vectors));
        let statistics = &mut self.statistics;
        let (counter, state) = match written {
            Ok(_) => (&mut statistics.sent, LinkState::Up),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => {
                    (&mut statistics.send_busy, LinkState::Up)
                }
                // A TAP interface that is switched off answers EIO (`tun_get_user`).
                Some(libc::EIO | libc::ENETDOWN) => (&mut statistics.send_down, LinkState::Down),
                _ => (&mut statistics.send_refused, LinkState::Up),
            },
        };
        *counter = counter.saturating_add(1);
        self.state = state;

        state
    }

    /// Returns the state that the last frame met: nothing waits here, each frame was a system call.
    fn flush(&mut self) -> LinkState {
        self.state
    }

    fn statistics(&mut self) -> Statistics {
        self.statistics
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn link_state(&self) -> LinkState {
        self.state
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Writes [`SETTINGS`], and [`NO_ROUTER`] unless there may be one. A kernel without IPv6, or without one of the switches, has nothing to hold back.
fn restrain(name: &str, accept_router: bool) -> io::Result<()> {
    let router = (!accept_router).then_some(NO_ROUTER);
    for (family, key, value) in SETTINGS.into_iter().chain(router) {
        let path = Path::new("/proc/sys/net")
            .join(family)
            .join("conf")
            .join(name)
            .join(key);
        match fs::write(path, value) {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
            _ => {}
        }
    }

    Ok(())
}
