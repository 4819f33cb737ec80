//! The UDP socket of an endpoint: trains out, batches in, and a plain way where the platform refuses options.
//!
//! What options there are, and how to read with them, is quinn-udp's knowledge. Trains are written into the socket's own buffers and
//! leave together: with one system call where the program brought one ([`UdpSystem`]), otherwise one after the other.

mod inbox;
mod outbox;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use lanparty_offload::Train;
use lanparty_offload::train::Heading;
use quinn_udp::{EcnCodepoint, UdpSockRef, UdpSocketState};

use self::inbox::Inbox;
use self::outbox::{Outbox, Sent};

/// What one message of a peer came with: one packet, or several that the system joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) to: Option<IpAddr>,
    /// The ECN field, 0 to 3 (RFC 3168, 5).
    pub(crate) ecn: u8,
    /// The length of every packet in it but the last, in bytes; at least 1.
    pub(crate) stride: usize,
}

/// What the system of this program can do with its UDP sockets.
pub type UdpSystem = lanparty_offload::train::UdpSystem<UdpSocket>;

/// How many packets one train may have (Linux's `UDP_MAX_SEGMENTS` before 6.9).
const MAX_SEGMENTS: usize = 64;

/// How many bytes one train may have: what an IPv4 length field leaves behind the headers.
const MAX_TRAIN_LEN: usize = 65_535 - 20 - 8;

/// How many packets make a batch: one train. Whoever reads them answers before it reads on, so that nobody waits for a megabyte of
/// others' small frames.
const BATCH: usize = MAX_SEGMENTS;

/// Socket buffers in bytes. Received packets wait here while our turn lasts: 4 MiB are 35 ms of a gigabit. Sending needs less, since what
/// waits there is beyond the reach of our queues.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
const SEND_BUFFER: usize = 1024 * 1024;

/// How the platform lets us send and receive.
#[derive(Debug)]
enum Io {
    /// GSO, GRO, ECN, no fragmentation.
    Full(UdpSocketState),
    /// One packet at a time: Wine and odd Winsock providers refuse the options above.
    Plain,
}

/// A UDP socket that never blocks.
///
/// To send: write a packet or a train into [`TrainSocket::buffer`], [`TrainSocket::push`] it, and [`TrainSocket::send`] when there is no
/// more to say for now.
#[derive(Debug)]
pub(crate) struct TrainSocket {
    socket: UdpSocket,
    io: Io,
    system: Option<UdpSystem>,
    inbox: Inbox,
    outbox: Outbox,
    is_full: bool,
    /// Whether the interface turned out not to take trains.
    is_cutting: bool,
}

impl TrainSocket {
    /// Takes over `socket`.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be made non-blocking. An option that the system refuses only makes it slower.
    pub(crate) fn new(socket: UdpSocket, system: Option<UdpSystem>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = UdpSocketState::new(UdpSockRef::from(&socket)).map_or_else(
            |error| {
                tracing::info!(%error, "plain UDP: the system refuses the options for batches and ECN");
                Io::Plain
            },
            Io::Full,
        );
        widen(&socket);
        if let Some(system) = &system {
            (system.prepare)(&socket, RECEIVE_BUFFER);
        }

        Ok(Self {
            socket,
            io,
            system,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            is_full: false,
            is_cutting: false,
        })
    }

    /// Returns the socket, to wait on.
    pub(crate) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Returns how many packets of at most `packet_len` bytes one train may have.
    pub(crate) fn max_segments(&self, packet_len: u16) -> usize {
        let by_len = MAX_TRAIN_LEN / usize::from(packet_len.max(1));
        match &self.io {
            Io::Full(state) if !self.is_cutting => state
                .max_gso_segments()
                .min(MAX_SEGMENTS)
                .min(by_len)
                .max(1),
            Io::Full(_) | Io::Plain => 1,
        }
    }

    /// Returns whether packets may be fragmented on the way, so that their size says nothing about the path.
    pub(crate) fn may_fragment(&self) -> bool {
        match &self.io {
            Io::Full(state) => state.may_fragment(),
            Io::Plain => true,
        }
    }

    /// Returns whether the socket was full when something was last sent: wait until it is writable, and [`TrainSocket::send`].
    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns the empty buffer for the next train; `None` if the socket is full.
    pub(crate) fn buffer(&mut self) -> Option<&mut Vec<u8>> {
        if self.is_full {
            return None;
        }

        self.outbox.buffer()
    }

    /// Takes the train that was written into the buffer. Sends if many wait.
    pub(crate) fn push(&mut self, heading: Heading) {
        if self.outbox.push(heading) {
            self.send();
        }
    }

    /// Sends all that waits, unless the socket is full.
    ///
    /// Every other failure is the network's: those packets count as lost.
    pub(crate) fn send(&mut self) {
        let Self {
            socket,
            io,
            system,
            outbox,
            is_cutting,
            ..
        } = self;
        let send = |trains: &mut dyn Iterator<Item = Train<'_>>| match (&*io, &*system) {
            (Io::Full(_), Some(system)) => (system.send)(socket, trains),
            (Io::Full(state), None) => send_one(socket, state, trains),
            (Io::Plain, _) => send_plain(socket, trains),
        };
        let sent = outbox.send(send, |train, error| {
            let takes_packets = error.kind() == io::ErrorKind::Unsupported && send_cut(send, train);
            if takes_packets && !std::mem::replace(is_cutting, true) {
                tracing::info!(%error, "the interface takes no trains of packets: from now on one at a time");
            }
        });
        self.is_full = sent == Sent::Full;
    }

    /// Reads one batch and gives every message in it. Returns whether there may be more.
    pub(crate) fn receive(&mut self, each: impl FnMut(Arrival, &[u8])) -> bool {
        match &self.io {
            Io::Full(state) => self.inbox.receive(&self.socket, state, BATCH, each),
            Io::Plain => self.inbox.receive_plain(&self.socket, each),
        }
    }
}

/// Sends the packets of a train that was refused, each by itself. Returns whether one was taken, so that it was not their size.
fn send_cut(
    send: impl Fn(&mut dyn Iterator<Item = Train<'_>>) -> io::Result<usize>,
    train: &Train<'_>,
) -> bool {
    let taken = train
        .packets()
        .filter(|packet| send(&mut std::iter::once(*packet)).is_ok());

    taken.count() > 0
}

/// Sends the first train as every system can.
fn send_one(
    socket: &UdpSocket,
    state: &UdpSocketState,
    trains: &mut dyn Iterator<Item = Train<'_>>,
) -> io::Result<usize> {
    let Some(Train { heading, contents }) = trains.next() else {
        return Ok(0);
    };
    let transmit = quinn_udp::Transmit {
        destination: heading.destination,
        ecn: EcnCodepoint::from_bits(heading.ecn),
        contents,
        segment_size: heading.segment,
        src_ip: heading.source,
    };
    state.try_send(UdpSockRef::from(socket), &transmit)?;

    Ok(1)
}

/// Sends the first train packet by packet, and leaves everything but the peer to the system.
fn send_plain(
    socket: &UdpSocket,
    trains: &mut dyn Iterator<Item = Train<'_>>,
) -> io::Result<usize> {
    let Some(train) = trains.next() else {
        return Ok(0);
    };
    for packet in train.packets() {
        socket.send_to(packet.contents, packet.heading.destination)?;
    }

    Ok(1)
}

/// Asks for large buffers, and gets what the system's bound allows. A [`UdpSystem`] may force more.
fn widen(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    let widened = socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .and_then(|()| socket.set_send_buffer_size(SEND_BUFFER));
    if let Err(error) = widened {
        tracing::debug!(%error, "socket buffers stay at what the system gives");
    }
}

// Linux' programs alone bring a `UdpSystem`, and Wine's sockets take no trains from anybody.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PACKET: u16 = 1000;

    fn pair(
        send: fn(&UdpSocket, &mut dyn Iterator<Item = Train<'_>>) -> io::Result<usize>,
    ) -> (TrainSocket, UdpSocket) {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let system = UdpSystem {
            prepare: |_, _| (),
            send,
        };

        (TrainSocket::new(bind(), Some(system)).unwrap(), bind())
    }

    fn write_train(socket: &mut TrainSocket, peer: &UdpSocket) {
        let buffer = socket.buffer().unwrap();
        buffer.resize(usize::from(PACKET) * 2 + 1, 7);
        socket.push(Heading {
            destination: peer.local_addr().unwrap(),
            source: None,
            ecn: 0,
            segment: Some(PACKET.into()),
        });
        socket.send();
    }

    /// An interface that takes packets and no trains.
    fn packets_only(
        socket: &UdpSocket,
        trains: &mut dyn Iterator<Item = Train<'_>>,
    ) -> io::Result<usize> {
        let train = trains.next().unwrap();
        if train.heading.segment.is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        socket.send_to(train.contents, train.heading.destination)?;

        Ok(1)
    }

    #[test]
    fn a_train_that_the_interface_does_not_take_is_cut_here_and_no_other_is_made() {
        let (mut socket, peer) = pair(packets_only);
        assert!(socket.max_segments(PACKET) > 1);
        write_train(&mut socket, &peer);

        let mut buffer = [0; 2000];
        let lengths = [(); 3].map(|()| peer.recv(&mut buffer).unwrap());
        assert_eq!(lengths, [1000, 1000, 1]);
        assert_eq!(socket.max_segments(PACKET), 1);
    }

    #[test]
    fn a_train_whose_packets_are_too_large_says_nothing_of_trains() {
        let (mut socket, peer) = pair(|_, _| Err(io::ErrorKind::Unsupported.into()));
        write_train(&mut socket, &peer);

        assert!(socket.max_segments(PACKET) > 1);
    }
}
