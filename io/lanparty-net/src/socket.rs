//! Opening the UDP sockets of members and relays.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

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
