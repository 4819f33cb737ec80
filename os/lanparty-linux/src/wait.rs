//! Waiting: one `poll(2)` over UDP sockets, a device and a wake-up.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use lanparty_device::Ready;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How many sockets are waited for at most. A member has eight: the connection in use, one that
/// replaces it, and the addresses tried for that.
const MAX_SOCKETS: usize = 16;

/// A pair of sockets of which one end wakes whoever waits for the other.
#[derive(Debug)]
pub struct WakeFd {
    ours: UnixDatagram,
    theirs: UnixDatagram,
}

impl WakeFd {
    /// Makes a pair.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no sockets.
    pub fn new() -> io::Result<Self> {
        let (ours, theirs) = UnixDatagram::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;

        Ok(Self { ours, theirs })
    }

    /// Returns a function that wakes, from any thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no further descriptor.
    pub fn waker(&self) -> io::Result<impl Fn() + Send + Sync + 'static> {
        let theirs = self.theirs.try_clone()?;

        Ok(move || {
            // A full buffer means that a wake-up is on its way already.
            drop(theirs.send(&[1]));
        })
    }

    fn clear(&self) {
        let mut byte = [0];
        while self.ours.recv(&mut byte).is_ok() {}
    }
}

/// Waits until a socket or `device`, if there is one to wait for, is ready, `wake` was woken, or
/// `deadline` has come.
///
/// Every socket comes with whether to wait until it is writable too. At most 16 are waited for.
///
/// # Errors
///
/// Returns an error if the system cannot wait, or `device` is broken for good.
pub fn wait<'a>(
    sockets: impl Iterator<Item = (BorrowedFd<'a>, bool)>,
    device: Option<BorrowedFd<'_>>,
    wake: &WakeFd,
    deadline: Option<Instant>,
) -> io::Result<Ready> {
    let mut fds: [PollFd<'_>; MAX_SOCKETS + 2] =
        std::array::from_fn(|_| PollFd::new(&wake.ours, PollFlags::empty()));
    let (ours, others) = fds.split_at_mut(2);
    if let (Some(first), Some(device)) = (ours.first_mut(), device) {
        *first = PollFd::from_borrowed_fd(device, PollFlags::IN);
    }
    if let Some(second) = ours.last_mut() {
        *second = PollFd::new(&wake.ours, PollFlags::IN);
    }
    let mut used = 2;
    for (slot, (socket, wants_write)) in others.iter_mut().zip(sockets) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, wants_write);
        *slot = PollFd::from_borrowed_fd(socket, flags);
        used += 1;
    }
    let waited = fds.get_mut(..used).unwrap_or_default();

    let timeout = deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    match poll(waited, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let is_ready = |at: usize| waited.get(at).is_some_and(|fd| !fd.revents().is_empty());
    if waited
        .first()
        .is_some_and(|device| device.revents().intersects(PollFlags::NVAL))
    {
        return Err(Errno::BADF.into());
    }
    if is_ready(1) {
        wake.clear();
    }

    Ok(Ready {
        device: is_ready(0),
        network: (2..used).any(is_ready),
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wait_ends_by_socket_device_or_waker_and_says_which() {
        let wake = WakeFd::new().unwrap();
        let (socket, peer) = UnixDatagram::pair().unwrap();
        let (device, wire) = UnixDatagram::pair().unwrap();
        let wait = || {
            let deadline = Instant::now() + Duration::from_secs(20);
            let sockets = std::iter::once((socket.as_fd(), false));
            wait(sockets, Some(device.as_fd()), &wake, Some(deadline)).unwrap()
        };
        let ready = |network, device| Ready { network, device };

        peer.send(&[1]).unwrap();
        assert_eq!(wait(), ready(true, false));
        socket.recv(&mut [0]).unwrap();
        wire.send(&[1]).unwrap();
        assert_eq!(wait(), ready(false, true));
        device.recv(&mut [0]).unwrap();
        wake.waker().unwrap()();
        assert_eq!(wait(), ready(false, false));
    }
}
