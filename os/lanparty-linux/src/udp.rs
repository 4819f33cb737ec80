//! What Linux can do with UDP sockets beyond what every system can: trains to several peers with one system call (`sendmmsg(2)`,
//! `udp(7)`, `ip(7)`, `ipv6(7)`).

// UNSAFETY: no crate we depend on wraps sendmmsg with the control messages of UDP.
#![expect(unsafe_code, reason = "sendmmsg and setsockopt")]

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use lanparty_offload::Train;

/// How many trains one call takes. It saves the entry into the kernel, a fifth of what sending one small packet costs; more would only
/// let the first packet wait for the last to be sealed.
pub const MAX_TRAINS: usize = 16;

/// The length of `struct sockaddr_in6`, the longer of the two (`netinet/in.h`).
const NAME: usize = 28;

/// The words of three control messages: ECN field (3 words), segment length (3), source address (at most 5).
const WORDS: usize = 11;

/// The length of `struct cmsghdr` on a 64-bit system: length (8 bytes), level and type (4 each).
const CONTROL_HEADER: usize = 16;
const _: () = assert!(size_of::<libc::cmsghdr>() == CONTROL_HEADER);

/// What one message needs to lie somewhere while it is sent.
#[derive(Clone, Copy)]
struct Envelope {
    name: [u32; NAME / 4],
    name_len: u32,
    control: [u64; WORDS],
    control_len: usize,
}

impl Envelope {
    const EMPTY: Self = Self {
        name: [0; NAME / 4],
        name_len: 0,
        control: [0; WORDS],
        control_len: 0,
    };

    /// Fills in all that `train` says, but its contents.
    fn write(&mut self, train: &Train<'_>) {
        let heading = &train.heading;
        self.write_name(heading.destination);
        self.control_len = 0;
        if heading.ecn != 0 {
            let (level, kind) = match heading.destination.ip().to_canonical() {
                IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            self.push(level, kind, &i32::from(heading.ecn).to_ne_bytes());
        }
        let segment = heading.segment.filter(|len| *len < train.contents.len());
        if let Some(len) = segment.and_then(|len| u16::try_from(len).ok()) {
            self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &len.to_ne_bytes());
        }
        match heading.source {
            // `struct in_pktinfo`: the interface (0: by the route), the source address, and one that only receivers are told.
            Some(IpAddr::V4(address)) => {
                let mut information = [0; 12];
                information[4..8].copy_from_slice(&address.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &information);
            }
            // `struct in6_pktinfo`: the source address and the interface.
            Some(IpAddr::V6(address)) => {
                let mut information = [0; 20];
                information[..16].copy_from_slice(&address.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &information);
            }
            None => {}
        }
    }

    /// Writes `struct sockaddr_in` or `struct sockaddr_in6` (`netinet/in.h`).
    fn write_name(&mut self, address: SocketAddr) {
        let port = address.port().to_be_bytes();
        let first = |family: libc::c_int| {
            let [f0, f1] = u16::try_from(family).unwrap_or_default().to_ne_bytes();
            let [p0, p1] = port;
            u32::from_ne_bytes([f0, f1, p0, p1])
        };
        match address {
            SocketAddr::V4(v4) => {
                let address = u32::from_ne_bytes(v4.ip().octets());
                self.name = [first(libc::AF_INET), address, 0, 0, 0, 0, 0];
                self.name_len = 16;
            }
            SocketAddr::V6(v6) => {
                let address = v6.ip().octets();
                let mut words = address.as_chunks::<4>().0.iter().copied();
                let mut word = || u32::from_ne_bytes(words.next().unwrap_or_default());
                self.name = [
                    first(libc::AF_INET6),
                    v6.flowinfo(),
                    word(),
                    word(),
                    word(),
                    word(),
                    v6.scope_id(),
                ];
                self.name_len = 28;
            }
        }
    }

    /// Adds a control message.
    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let [l0, l1, l2, l3] = level.to_ne_bytes();
        let [k0, k1, k2, k3] = kind.to_ne_bytes();
        let header = [
            (CONTROL_HEADER + data.len()) as u64,
            u64::from_ne_bytes([l0, l1, l2, l3, k0, k1, k2, k3]),
        ];
        let words = data.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            u64::from_ne_bytes(word)
        });
        let places = self.control.iter_mut().skip(self.control_len / 8);
        for (place, word) in places.zip(header.into_iter().chain(words)) {
            *place = word;
            self.control_len += 8;
        }
    }
}

/// Forces a receive buffer of `receive_buffer` bytes, beyond the system's bound where the program may (`SO_RCVBUFFORCE`), and asks the
/// system not to tell when each packet came, which quinn-udp has it do.
///
/// Nobody reads that time, and it displaces the ECN field: time stamp, IPv6 destination, length of joined packets and ECN field take 120
/// bytes, and quinn-udp reads 96 (its `cmsg::LEN`). A system that refuses loses marks as before.
pub fn prepare(socket: &UdpSocket, receive_buffer: usize) {
    // Without the right, the buffer is as large as the bound allows.
    let _bounded = rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, receive_buffer);
    let off: libc::c_int = 0;
    // SAFETY: the option's value is one int, which outlives the call.
    let _refused = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const off).cast(),
            4,
        )
    };
}

/// Sends the first of `trains`, up to [`MAX_TRAINS`], and returns how many left.
///
/// # Errors
///
/// Returns an error if the first did not leave: `WouldBlock` if the socket is full, `Unsupported` if the interface takes no trains
/// or this one does not fit it (`EIO`, `EINVAL`), and what the network says otherwise.
pub fn send_trains(
    socket: &UdpSocket,
    trains: &mut dyn Iterator<Item = Train<'_>>,
) -> io::Result<usize> {
    let mut envelopes = [Envelope::EMPTY; MAX_TRAINS];
    // SAFETY: all zeroes is a valid `iovec`, with no bytes.
    let mut vectors: [libc::iovec; MAX_TRAINS] = unsafe { mem::zeroed() };
    // SAFETY: all zeroes is a valid `mmsghdr`, with no buffers.
    let mut messages: [libc::mmsghdr; MAX_TRAINS] = unsafe { mem::zeroed() };
    let mut count = 0;
    let mut is_cut_there = false;
    let places = envelopes.iter_mut().zip(&mut vectors).zip(&mut messages);
    for (((envelope, vector), message), train) in places.zip(trains) {
        envelope.write(&train);
        // The kernel only reads what is sent.
        vector.iov_base = train.contents.as_ptr().cast_mut().cast();
        vector.iov_len = train.contents.len();
        let header = &mut message.msg_hdr;
        header.msg_name = envelope.name.as_mut_ptr().cast();
        header.msg_namelen = envelope.name_len;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_control = envelope.control.as_mut_ptr().cast();
        header.msg_controllen = envelope.control_len;
        is_cut_there |= count == 0 && train.heading.segment.is_some();
        count += 1;
    }
    // SAFETY: every pointer in the first `count` messages leads to a train's contents or a local, with its true length, and all of
    // them outlive the call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
        )
    };
    if let Ok(sent) = usize::try_from(sent) {
        return Ok(sent);
    }
    let error = io::Error::last_os_error();
    if is_cut_there && matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, error));
    }

    Err(error)
}
