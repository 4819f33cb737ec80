//! Waiting on Unix: one `poll(2)` over UDP sockets, port and mailbox.

#[cfg(target_os = "linux")]
mod addresses;
#[cfg(target_os = "linux")]
mod network;

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::port::{Ready, Socket};

#[cfg(target_os = "linux")]
pub use addresses::own_addresses;
#[cfg(target_os = "linux")]
pub use network::on_network_change;

/// How many sockets a member waits for at most: the link in use, one that replaces it, and the addresses tried for that.
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

/// Waits until a socket or `port`, if there is one to wait for, is ready, `wake` was woken, or `deadline` has come.
///
/// # Errors
///
/// Returns an error if the system cannot wait, or `port` is broken for good.
pub fn wait(
    sockets: &[Option<Socket<'_>>],
    port: Option<BorrowedFd<'_>>,
    wake: &WakeFd,
    deadline: Option<Instant>,
) -> io::Result<Ready> {
    let mut fds: [PollFd<'_>; MAX_SOCKETS + 2] =
        std::array::from_fn(|_| PollFd::new(&wake.ours, PollFlags::empty()));
    let (ours, others) = fds.split_at_mut(2);
    if let (Some(first), Some(port)) = (ours.first_mut(), port) {
        *first = PollFd::from_borrowed_fd(port, PollFlags::IN);
    }
    if let Some(second) = ours.last_mut() {
        *second = PollFd::new(&wake.ours, PollFlags::IN);
    }
    let sockets = sockets.iter().flatten();
    for (slot, socket) in others.iter_mut().zip(sockets.clone()) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, socket.wants_write);
        *slot = PollFd::new(socket.udp, flags);
    }
    let used = sockets.count().min(MAX_SOCKETS) + 2;
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
        .is_some_and(|port| port.revents().intersects(PollFlags::NVAL))
    {
        return Err(Errno::BADF.into());
    }
    if is_ready(1) {
        wake.clear();
    }

    Ok(Ready {
        port: is_ready(0),
        network: (2..used).any(is_ready),
    })
}

/// Calls `leave` at SIGINT and SIGTERM, on a thread of its own; a second signal ends the program at once.
///
/// # Errors
///
/// Returns an error if the system refuses signal handlers or the thread.
pub fn on_signals(leave: impl Fn() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut has_asked = false;
            for signal in signals.forever() {
                if std::mem::replace(&mut has_asked, true) {
                    // The first was not enough: what the system does without us is what the person wants now.
                    drop(signal_hook::low_level::emulate_default_handler(signal));
                }
                leave();
            }
        })?;

    Ok(())
}
