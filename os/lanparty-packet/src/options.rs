//! Making, configuring and binding the socket.

// UNSAFETY: packet sockets are made and set up by calls that no crate we depend on wraps.
#![expect(
    unsafe_code,
    reason = "socket, setsockopt, getsockopt and bind of AF_PACKET"
)]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::{OpenError, PacketOptions};

/// `ETH_P_ALL` (`linux/if_ether.h`).
const ETH_P_ALL: u16 = 3;

/// `AF_PACKET` as `sockaddr_ll` holds it (`linux/socket.h`).
const AF_PACKET: u16 = 17;

/// Makes a socket that hears nothing yet: protocol 0 until it is bound.
pub(crate) fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the result is checked below.
    let raw = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }

    // SAFETY: the descriptor is new, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sets every option that decides what frames look like, and the buffers.
pub(crate) fn configure(
    fd: &OwnedFd,
    index: u32,
    options: &PacketOptions,
) -> Result<(), OpenError> {
    let required = [
        ("PACKET_VNET_HDR", libc::PACKET_VNET_HDR),
        ("PACKET_AUXDATA", libc::PACKET_AUXDATA),
        ("PACKET_IGNORE_OUTGOING", libc::PACKET_IGNORE_OUTGOING),
    ];
    for (option, number) in required {
        set(fd, libc::SOL_PACKET, number, &1_i32)
            .map_err(|source| OpenError::Option { option, source })?;
    }
    buffer(
        fd,
        libc::SO_RCVBUFFORCE,
        libc::SO_RCVBUF,
        options.receive_buffer,
    )
    .map_err(|source| OpenError::Option {
        option: "SO_RCVBUF",
        source,
    })?;
    buffer(
        fd,
        libc::SO_SNDBUFFORCE,
        libc::SO_SNDBUF,
        options.send_buffer,
    )
    .map_err(|source| OpenError::Option {
        option: "SO_SNDBUF",
        source,
    })?;
    if options.promiscuous {
        let request = libc::packet_mreq {
            mr_ifindex: index.cast_signed(),
            mr_type: 1, // PACKET_MR_PROMISC (linux/if_packet.h)
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request).map_err(|source| {
            OpenError::Option {
                option: "PACKET_ADD_MEMBERSHIP",
                source,
            }
        })?;
    }

    Ok(())
}

/// Sets a buffer size, beyond the system's limit where we may.
fn buffer(fd: &OwnedFd, forced: i32, limited: i32, bytes: usize) -> io::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX / 2);

    set(fd, libc::SOL_SOCKET, forced, &bytes)
        .or_else(|_not_permitted| set(fd, libc::SOL_SOCKET, limited, &bytes))
}

/// Binds to the interface, and from now on hears every protocol.
pub(crate) fn bind(fd: &OwnedFd, index: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: AF_PACKET,
        sll_protocol: ETH_P_ALL.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: `address` is a whole `sockaddr_ll`, which the kernel reads during the call.
    let status = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            len_of::<libc::sockaddr_ll>(),
        )
    };

    check(status)
}

/// Returns frames and drops since the last call (`struct tpacket_stats`).
pub(crate) fn statistics(fd: &OwnedFd) -> io::Result<(u32, u32)> {
    let mut counters = [0_u32; 2];
    let mut len = len_of::<[u32; 2]>();
    // SAFETY: the kernel writes at most `len` bytes, which is what `counters` has.
    let status = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            counters.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    check(status)?;
    let [packets, drops] = counters;

    Ok((packets, drops))
}

fn set<T>(fd: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: `value` is as long as said, and the kernel reads it during the call.
    let status = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            len_of::<T>(),
        )
    };

    check(status)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "no structure of the kernel's has 4 GiB"
)]
const fn len_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn check(status: i32) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }

    Ok(())
}
