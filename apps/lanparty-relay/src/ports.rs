//! The sockets of a relay: two banks of UDP sockets on one port (`lanparty_linux::steer`), of which one process uses one, and the socket for
//! metrics.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use anyhow::{Context as _, anyhow};
use lanparty_linux::steer::{Aim, Bank};
use lanparty_net::relay_socket;

use crate::cli::Run;
use crate::failure::Failure;

/// The sockets of a relay.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Both banks; one socket alone where the system cannot steer.
    sockets: Vec<UdpSocket>,
    pub(crate) workers: u8,
    pub(crate) bank: Bank,
    pub(crate) metrics: Option<TcpListener>,
    pub(crate) address: SocketAddr,
}

impl Ports {
    /// Opens new sockets.
    pub(crate) fn open(run: &Run) -> Result<Self, Failure> {
        let (sockets, workers) = udp_sockets(run)?;
        let metrics = run.metrics.map(metrics_listener).transpose()?;

        Self::new(sockets, workers, Bank::First, metrics)
    }

    /// Goes on with the sockets of another process: the UDP sockets in their order, then the one for metrics if there is one.
    pub(crate) fn inherit(fds: Vec<OwnedFd>, workers: u8, bank: Bank) -> Result<Self, Failure> {
        let mut fds = fds.into_iter();
        let sockets: Vec<UdpSocket> = (fds.by_ref())
            .take(lanparty_linux::steer::sockets(workers))
            .map(UdpSocket::from)
            .collect();
        if sockets.len() < lanparty_linux::steer::sockets(workers) {
            return Err(anyhow!("the relay before this one passed too few sockets").into());
        }

        Self::new(sockets, workers, bank, fds.next().map(TcpListener::from))
    }

    fn new(
        sockets: Vec<UdpSocket>,
        workers: u8,
        bank: Bank,
        metrics: Option<TcpListener>,
    ) -> Result<Self, Failure> {
        let address = sockets
            .first()
            .ok_or_else(|| anyhow!("there is no socket"))?
            .local_addr()
            .context("cannot read the socket's address")?;

        Ok(Self {
            sockets,
            workers,
            bank,
            metrics,
            address,
        })
    }

    /// Returns a handle on the socket of each worker.
    pub(crate) fn own(&self) -> Result<Vec<UdpSocket>, Failure> {
        let own = self.sockets.get(self.bank.range(self.workers));
        // One socket alone has no second bank.
        let own = own.unwrap_or(&self.sockets).iter();
        let own: io::Result<Vec<UdpSocket>> = own.map(UdpSocket::try_clone).collect();

        Ok(own.context("cannot use the UDP sockets twice")?)
    }

    /// Returns whether another process can take over.
    pub(crate) fn can_be_shared(&self) -> bool {
        self.sockets.len() >= lanparty_linux::steer::sockets(self.workers)
    }

    /// Gives everything for another process, in the order of [`Ports::inherit`].
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let metrics = self.metrics.as_ref().map(TcpListener::as_fd);

        (self.sockets.iter().map(UdpSocket::as_fd))
            .chain(metrics)
            .collect()
    }

    /// Sends packets where they belong.
    pub(crate) fn steer(&self, aim: Aim) -> io::Result<()> {
        match self.sockets.first() {
            Some(socket) if self.can_be_shared() => {
                lanparty_linux::steer::steer(socket, self.workers, aim)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Opens two sockets for each worker, or one where the system cannot steer.
fn udp_sockets(run: &Run) -> Result<(Vec<UdpSocket>, u8), Failure> {
    let workers = run.workers.unwrap_or_else(cores);
    let candidates = run.listen.candidates();
    let (first, rest) = candidates
        .split_first()
        .ok_or_else(|| anyhow!("there is no address to listen on"))?;
    let mut opened = open(*first, workers);
    for candidate in rest {
        let is_unsupported = opened
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::Unsupported || is_no_ipv6(error));
        if is_unsupported {
            opened = open(*candidate, workers);
        }
    }

    opened.map_err(|error| refused(*first, error))
}

fn open(address: SocketAddr, workers: u8) -> io::Result<(Vec<UdpSocket>, u8)> {
    // Sockets that share a port share it with other processes of this user as well. One that does not share notices them.
    let alone = relay_socket(address, false)?;
    let address = alone.local_addr()?;
    drop(alone);

    let sockets = (0..lanparty_linux::steer::sockets(workers))
        .map(|_| relay_socket(address, true))
        .collect::<io::Result<Vec<_>>>()?;
    let steered = sockets.first().map_or(Ok(()), |socket| {
        lanparty_linux::steer::steer(socket, workers, Aim::One(Bank::First))
    });
    if let Err(error) = steered {
        tracing::info!(%error, "the system cannot steer connections to workers; going on with one");
        drop(sockets);
        return Ok((vec![relay_socket(address, false)?], 1));
    }

    Ok((sockets, workers))
}

fn is_no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error();

    code == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || code == Some(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error())
}

/// Makes a sentence of why the port cannot be had.
fn refused(address: SocketAddr, error: io::Error) -> Failure {
    let port = address.port();
    let kind = error.kind();
    let sentence = if kind == io::ErrorKind::AddrInUse {
        format!(
            "UDP port {port} is taken; stop the program that has it (`ss -lunp` shows which), or choose another with --listen"
        )
    } else if kind == io::ErrorKind::PermissionDenied {
        format!(
            "this user may not listen on UDP port {port}; run the relay by its systemd unit, allow it with \
             `setcap cap_net_bind_service=+ep`, or choose a port above 1023 with --listen"
        )
    } else if kind == io::ErrorKind::AddrNotAvailable {
        format!(
            "this machine does not have the address {}; choose another with --listen",
            address.ip()
        )
    } else {
        format!("cannot listen on {address}")
    };

    Failure::Refused(anyhow::Error::new(error).context(sentence))
}

fn metrics_listener(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));

    listener
        .with_context(|| {
            format!("cannot serve metrics on {address}; choose another address with --metrics")
        })
        .map_err(Failure::Refused)
}

fn cores() -> u8 {
    /// Worker numbers are one byte, and no relay of parties needs more cores.
    const MOST: usize = 64;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);

    u8::try_from(cores.min(MOST)).unwrap_or(1)
}
