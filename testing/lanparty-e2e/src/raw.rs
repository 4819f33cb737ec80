//! Raw Ethernet frames in and out of an interface, with VLAN tags where the wire has them.
//!
//! Deliberately not the product's own packet socket: tests must not share its mistakes.

// UNSAFETY: binding a packet socket to an interface and reading auxiliary data need `sockaddr_ll` and control
// messages, which no crate we depend on wraps.
#![expect(unsafe_code, reason = "AF_PACKET bind and recvmsg")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::link::End;

/// The longest frame a socket shows here: with offloads on, the kernel hands over super-frames of 64 KiB.
const MAX_FRAME: usize = 65_536 + 64;

/// `AF_PACKET` and `ETH_P_ALL` as `sockaddr_ll` holds them (`linux/socket.h`, `linux/if_ether.h`).
const AF_PACKET: u16 = 17;
const ETH_P_ALL: u16 = 3;

/// `size_of::<sockaddr_ll>()` and `size_of::<int>()` as the system calls want them.
const ADDRESS_LEN: libc::socklen_t = 20;
const OPTION_LEN: libc::socklen_t = 4;

const _: () = assert!(size_of::<libc::sockaddr_ll>() == 20 && size_of::<i32>() == 4);

/// One frame off an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The frame as it was on the wire: a VLAN tag that the kernel took off is put back.
    pub bytes: Vec<u8>,
    /// Whether this box sent it itself.
    pub outgoing: bool,
    /// Whether the checksum is still to be filled in (`TP_STATUS_CSUMNOTREADY`).
    pub checksum_pending: bool,
}

/// A packet socket bound to one interface; hears everything from the moment it is open.
#[derive(Debug)]
pub struct RawSocket {
    fd: OwnedFd,
}

impl RawSocket {
    /// Opens a packet socket on an interface.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such interface.
    pub fn open((namespace, interface): End<'_>) -> Result<Self> {
        namespace
            .enter(|| Self::open_here(interface))
            .with_context(|| format!("failed to open {interface} raw"))
    }

    fn open_here(interface: &str) -> io::Result<Self> {
        let index = rustix::net::netdevice::name_to_index(
            rustix::net::socket(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::DGRAM,
                None,
            )?,
            interface,
        )?;
        // SAFETY: no pointers; the result is checked below.
        let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        set_option(&fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        // Room for a burst; the kernel caps it, root may go beyond.
        set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20)?;
        let address = libc::sockaddr_ll {
            sll_family: AF_PACKET,
            sll_protocol: ETH_P_ALL.to_be(),
            sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: `address` is a whole `sockaddr_ll`, which the kernel reads during the call.
        let status =
            unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), ADDRESS_LEN) };
        if status < 0 {
            return Err(io::Error::last_os_error());
        }

        Ok(Self { fd })
    }

    /// Puts a frame on the wire.
    ///
    /// # Errors
    ///
    /// Returns an error if the interface is down or the frame is longer than its MTU allows.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.fd, frame, rustix::net::SendFlags::empty())?;

        Ok(())
    }

    /// Takes the next frame off the wire, or nothing once `patience` is over.
    ///
    /// # Errors
    ///
    /// Returns an error if the interface goes away.
    pub fn recv(&self, patience: Duration) -> io::Result<Option<Captured>> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = rustix::time::Timespec::try_from(left).map_err(io::Error::other)?;
            let mut fds = [rustix::event::PollFd::new(
                &self.fd,
                rustix::event::PollFlags::IN,
            )];
            if rustix::event::poll(&mut fds, Some(&timeout))? == 0 {
                return Ok(None);
            }
            if let Some(frame) = self.recv_now()? {
                return Ok(Some(frame));
            }
        }
    }

    fn recv_now(&self) -> io::Result<Option<Captured>> {
        let mut bytes = vec![0_u8; MAX_FRAME];
        // Room for the one control message asked for; `u64`s for the alignment of `cmsghdr`.
        let mut control = [0_u64; 16];
        // SAFETY: all zeroes is a valid `sockaddr_ll`.
        let mut from: libc::sockaddr_ll = unsafe { mem::zeroed() };
        let mut iov = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: all zeroes is a valid `msghdr`.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = ADDRESS_LEN;
        message.msg_iov = &raw mut iov;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: every pointer in `message` leads to a local that outlives the call, with its true length.
        let len =
            unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let Ok(len) = usize::try_from(len) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock {
                Ok(None)
            } else {
                Err(error)
            };
        };
        bytes.truncate(len);
        let auxdata = auxdata(&message);
        let status = auxdata.map_or(0, |aux| aux.tp_status);
        if let Some(aux) = auxdata
            && aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0
        {
            let ether_type = if aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
                aux.tp_vlan_tpid
            } else {
                0x8100
            };
            let [t0, t1] = ether_type.to_be_bytes();
            let [v0, v1] = aux.tp_vlan_tci.to_be_bytes();
            let at = bytes.len().min(12);
            bytes.splice(at..at, [t0, t1, v0, v1]);
        }

        Ok(Some(Captured {
            bytes,
            outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
            checksum_pending: status & libc::TP_STATUS_CSUMNOTREADY != 0,
        }))
    }

    /// Waits for a frame that did not leave this box itself and for which `wanted` returns true.
    ///
    /// # Errors
    ///
    /// Returns an error that names `what` once `patience` is over.
    pub fn expect(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut others = 0_usize;
        while let Some(frame) = self.recv(deadline.saturating_duration_since(Instant::now()))? {
            if !frame.outgoing && wanted(&frame.bytes) {
                return Ok(frame.bytes);
            }
            others += 1;
        }
        bail!("{what} did not arrive in {patience:?} ({others} other frames did)")
    }

    /// Returns all frames of others that are there or arrive within `time` and for which `wanted` returns true.
    ///
    /// # Errors
    ///
    /// Returns an error if the interface goes away.
    pub fn collect(
        &self,
        time: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<Vec<u8>>> {
        let deadline = Instant::now() + time;
        let mut frames = Vec::new();
        while let Some(frame) = self.recv(deadline.saturating_duration_since(Instant::now()))? {
            if !frame.outgoing && wanted(&frame.bytes) {
                frames.push(frame.bytes);
            }
        }

        Ok(frames)
    }
}

fn set_option(fd: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` is an `int`, as both options want, and the kernel reads it during the call.
    let status = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            OPTION_LEN,
        )
    };

    if status < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Finds `PACKET_AUXDATA` among the control messages.
fn auxdata(message: &libc::msghdr) -> Option<libc::tpacket_auxdata> {
    // SAFETY: the kernel filled `message`; the macros stay within its control buffer.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: not null, so it points to a whole header within the control buffer.
        let known = unsafe { *header };
        if known.cmsg_level == libc::SOL_PACKET && known.cmsg_type == libc::PACKET_AUXDATA {
            // SAFETY: `header` is valid, as above.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: the kernel wrote a whole `tpacket_auxdata` there; it need not be aligned.
            return Some(unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() });
        }
        // SAFETY: both point into the buffer that the kernel filled.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }

    None
}
