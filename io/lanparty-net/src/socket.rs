//! The UDP socket of an endpoint: trains out, batches in, and a plain way where the platform refuses options.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};

use bytes::BytesMut;
use quinn_proto::EcnCodepoint;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

/// How many messages are read at a time at most. With GRO each has up to 64 packets of one sender.
const MESSAGES: usize = 16;

/// How many of them one system call reads at most: all on Linux, one on Windows.
const MESSAGES_PER_CALL: usize = if quinn_udp::BATCH_SIZE < MESSAGES {
    quinn_udp::BATCH_SIZE
} else {
    MESSAGES
};

/// How many packets make a batch: one train. Whoever reads them answers before it reads on, so that nobody waits for a megabyte of
/// others' small frames.
const BATCH: usize = MAX_SEGMENTS;

/// The longest message: a UDP payload, or what GRO makes of several.
const MESSAGE_LEN: usize = 65_536;

/// How much memory the pool of received packets takes at a time: one GRO batch, or 45 packets. A packet that waits pins so much at most.
const POOL_CHUNK: usize = 64 * 1024;

/// Socket buffers in bytes. Received packets wait here while our turn lasts: 4 MiB are 35 ms of a gigabit. Sending needs less, since what
/// waits there is beyond the reach of our queues.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
const SEND_BUFFER: usize = 1024 * 1024;

/// How many packets one train may have (Linux's `UDP_MAX_SEGMENTS` before 6.9).
const MAX_SEGMENTS: usize = 64;

/// How many bytes one train may have: what an IPv4 length field leaves behind the headers.
const MAX_TRAIN_LEN: usize = 65_535 - 20 - 8;

/// What one packet came with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) to: Option<std::net::IpAddr>,
    pub(crate) ecn: Option<EcnCodepoint>,
}

/// How the platform lets us send and receive.
#[derive(Debug)]
enum Io {
    /// GSO, GRO, ECN, no fragmentation.
    Full(UdpSocketState),
    /// One packet at a time: Wine and odd Winsock providers refuse the options above.
    Plain,
}

/// A non-blocking UDP socket.
#[derive(Debug)]
pub(crate) struct UdpIo {
    socket: UdpSocket,
    io: Io,
    buffer: Vec<u8>,
    /// How many messages the next call reads: fewer if the last ones had many packets each.
    messages: usize,
    /// Received packets are copied off the fixed buffer into this pool, so that a frame that waits pins little.
    pool: BytesMut,
    last_error: Option<io::ErrorKind>,
}

impl UdpIo {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = UdpSocketState::new(UdpSockRef::from(&socket)).map_or_else(
            |error| {
                tracing::info!(%error, "plain UDP: the system refuses the options for batches and ECN");
                Io::Plain
            },
            Io::Full,
        );
        widen(&socket);

        Ok(Self {
            socket,
            io,
            buffer: vec![0; MESSAGES * MESSAGE_LEN],
            messages: MESSAGES_PER_CALL,
            pool: BytesMut::new(),
            last_error: None,
        })
    }

    pub(crate) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Returns how many packets of at most `packet_len` bytes one train may have.
    pub(crate) fn max_segments(&self, packet_len: u16) -> usize {
        let by_len = MAX_TRAIN_LEN / usize::from(packet_len.max(1));
        match &self.io {
            Io::Full(state) => state
                .max_gso_segments()
                .min(MAX_SEGMENTS)
                .min(by_len)
                .max(1),
            Io::Plain => 1,
        }
    }

    /// Returns whether packets may be fragmented on the way, so that their size says nothing about the path.
    pub(crate) fn may_fragment(&self) -> bool {
        match &self.io {
            Io::Full(state) => state.may_fragment(),
            Io::Plain => true,
        }
    }

    /// Takes why the last packet could not be sent, if one could not.
    pub(crate) fn take_error(&mut self) -> Option<io::ErrorKind> {
        self.last_error.take()
    }

    /// Sends one train. Returns `false` if the socket's buffer is full: try again once it is writable.
    ///
    /// Every other failure is the network's: the packets count as lost.
    pub(crate) fn send(&mut self, transmit: &quinn_proto::Transmit, contents: &[u8]) -> bool {
        let sent = match &self.io {
            Io::Full(state) => state.try_send(
                UdpSockRef::from(&self.socket),
                &quinn_udp::Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn.map(ecn_out),
                    contents,
                    segment_size: transmit.segment_size,
                    src_ip: transmit.src_ip,
                },
            ),
            Io::Plain => contents
                .chunks(transmit.segment_size.unwrap_or(contents.len()).max(1))
                .try_for_each(|packet| self.socket.send_to(packet, transmit.destination).map(drop)),
        };
        match sent {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                self.last_error = Some(error.kind());
                true
            }
        }
    }

    /// Reads one batch and gives every packet in it. Returns whether there may be more.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Arrival, BytesMut)) -> bool {
        match &self.io {
            Io::Full(state) => {
                let mut meta = [RecvMeta::default(); MESSAGES];
                let mut slices = self
                    .buffer
                    .chunks_exact_mut(MESSAGE_LEN)
                    .map(IoSliceMut::new);
                let mut slices: [IoSliceMut<'_>; MESSAGES] = std::array::from_fn(|_| {
                    slices.next().unwrap_or_else(|| IoSliceMut::new(&mut []))
                });
                let mut packets = 0_usize;
                while packets < BATCH {
                    let asked = self.messages;
                    let wanted = slices.get_mut(..asked).unwrap_or_default();
                    let socket = UdpSockRef::from(&self.socket);
                    let Ok(count) = state.recv(socket, wanted, &mut meta) else {
                        return false;
                    };
                    let before = packets;
                    for (meta, slice) in meta.iter().zip(&slices).take(count) {
                        let bytes = slice.get(..meta.len).unwrap_or_default();
                        packets += split(meta, keep(&mut self.pool, bytes), &mut each);
                    }
                    let in_one = (packets - before).div_ceil(count.max(1)).max(1);
                    self.messages = (BATCH / in_one).clamp(1, MESSAGES_PER_CALL);
                    if count < asked {
                        return false;
                    }
                }

                true
            }
            Io::Plain => {
                for _ in 0..MESSAGES {
                    let Ok((len, from)) = self.socket.recv_from(&mut self.buffer) else {
                        return false;
                    };
                    let bytes = self.buffer.get(..len).unwrap_or_default();
                    let message = keep(&mut self.pool, bytes);
                    let arrival = Arrival {
                        from,
                        to: None,
                        ecn: None,
                    };
                    each(arrival, message);
                }

                true
            }
        }
    }
}

/// Gives every packet of a message that GRO made of several.
fn split(
    meta: &RecvMeta,
    mut message: BytesMut,
    each: &mut impl FnMut(Arrival, BytesMut),
) -> usize {
    let arrival = Arrival {
        from: meta.addr,
        to: meta.dst_ip,
        ecn: meta.ecn.map(ecn_in),
    };
    let mut packets = 0;
    while !message.is_empty() {
        let packet = message.split_to(message.len().min(meta.stride.max(1)));
        packets += 1;
        each(arrival, packet);
    }

    packets
}

/// Copies `bytes` into the pool. A new piece of memory is taken once in [`POOL_CHUNK`] bytes, or never if the last is free again.
fn keep(pool: &mut BytesMut, bytes: &[u8]) -> BytesMut {
    if pool.capacity() < bytes.len() {
        pool.reserve(bytes.len().max(POOL_CHUNK));
    }
    pool.extend_from_slice(bytes);

    pool.split()
}

/// Opens a UDP socket for a member, on any port, of the family of `peer`.
///
/// # Errors
///
/// Returns an error if the system gives no socket.
pub fn member_socket(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if peer.is_ipv6() {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    };

    UdpSocket::bind(any)
}

/// Opens the UDP socket of a relay worker.
///
/// With `shared` several workers may have one port (`SO_REUSEPORT`); a wildcard IPv6 address takes IPv4 too.
///
/// # Errors
///
/// Returns an error if the address is not this machine's, is taken, or needs a right that the program lacks.
pub fn relay_socket(listen: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    if shared {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(unix))]
    let _ = shared;
    socket.bind(&listen.into())?;

    Ok(socket.into())
}

/// Asks for large buffers: without the right to exceed the system's bound, gets what the bound allows.
fn widen(socket: &UdpSocket) {
    #[cfg(target_os = "linux")]
    let is_forced =
        rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER).is_ok();
    #[cfg(not(target_os = "linux"))]
    let is_forced = false;
    let socket = socket2::SockRef::from(socket);
    let received = if is_forced {
        Ok(())
    } else {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)
    };
    if let Err(error) = received.and_then(|()| socket.set_send_buffer_size(SEND_BUFFER)) {
        tracing::debug!(%error, "socket buffers stay at what the system gives");
    }
}

const fn ecn_out(codepoint: EcnCodepoint) -> quinn_udp::EcnCodepoint {
    match codepoint {
        EcnCodepoint::Ect0 => quinn_udp::EcnCodepoint::Ect0,
        EcnCodepoint::Ect1 => quinn_udp::EcnCodepoint::Ect1,
        EcnCodepoint::Ce => quinn_udp::EcnCodepoint::Ce,
    }
}

const fn ecn_in(codepoint: quinn_udp::EcnCodepoint) -> EcnCodepoint {
    match codepoint {
        quinn_udp::EcnCodepoint::Ect0 => EcnCodepoint::Ect0,
        quinn_udp::EcnCodepoint::Ect1 => EcnCodepoint::Ect1,
        quinn_udp::EcnCodepoint::Ce => EcnCodepoint::Ce,
    }
}
