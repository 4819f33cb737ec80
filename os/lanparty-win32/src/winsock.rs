//! What the standard library and socket2 do not do with sockets.
#![expect(unsafe_code, reason = "WSAEventSelect, setsockopt, WSAIoctl")]

use std::os::windows::io::{
    AsHandle as _, AsRawHandle as _, AsRawSocket as _, BorrowedHandle, BorrowedSocket,
};
use std::ptr;

use windows_sys::Win32::Networking::WinSock::{
    FD_READ, IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_IF, SIO_UDP_CONNRESET,
    SIO_UDP_NETRESET, SOCKET, WSAEventSelect, WSAGetLastError, WSAIoctl, setsockopt,
};

use crate::{Event, Win32Error};

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Sends what goes out of `socket` by the interface with this index, whatever the routes say (`IP_UNICAST_IF`); 0 ends that.
///
/// # Errors
///
/// Returns error 10042 from systems and socket kinds that have no such option.
pub fn set_unicast_interface(
    socket: BorrowedSocket<'_>,
    family: Family,
    index: u32,
) -> Result<(), Win32Error> {
    // IPv4 takes the index in network order, IPv6 in host order (ws2ipdef.h, "IPPROTO_IP socket options").
    let (level, option, value) = match family {
        Family::V4 => (IPPROTO_IP, IP_UNICAST_IF, index.to_be_bytes()),
        Family::V6 => (IPPROTO_IPV6, IPV6_UNICAST_IF, index.to_ne_bytes()),
    };
    // SAFETY: the socket is open; the value has the four bytes that are announced.
    let status = unsafe { setsockopt(raw(socket), level, option, value.as_ptr(), 4) };

    check("setsockopt(UNICAST_IF)", status)
}

/// Keeps a UDP socket alive when an ICMP "port unreachable" or "TTL expired" comes: Windows fails the next receive otherwise.
///
/// # Errors
///
/// Returns error 10045 or 10022 from socket providers that have no such switch.
pub fn ignore_port_unreachable(socket: BorrowedSocket<'_>) -> Result<(), Win32Error> {
    for (call, code) in [
        ("WSAIoctl(SIO_UDP_CONNRESET)", SIO_UDP_CONNRESET),
        ("WSAIoctl(SIO_UDP_NETRESET)", SIO_UDP_NETRESET),
    ] {
        let off = 0_u32;
        let mut filled = 0;
        // SAFETY: the socket is open; the input has the four bytes that are announced; there is no output.
        let status = unsafe {
            WSAIoctl(
                raw(socket),
                code,
                (&raw const off).cast(),
                4,
                ptr::null_mut(),
                0,
                &raw mut filled,
                ptr::null_mut(),
                None,
            )
        };
        check(call, status)?;
    }

    Ok(())
}

/// An event that is set when a socket has something to read.
///
/// Windows sets it again after each receive that leaves something behind. It also makes the socket non-blocking.
#[derive(Debug)]
pub struct SocketEvent(Event);

impl SocketEvent {
    /// Watches `socket`. It must be closed no later than this is dropped, or not be waited for after.
    ///
    /// # Errors
    ///
    /// Returns an error for what is no socket.
    pub fn new(socket: BorrowedSocket<'_>) -> Result<Self, Win32Error> {
        let event = Event::new()?;
        // SAFETY: the socket and the event are open.
        let status = unsafe {
            WSAEventSelect(
                raw(socket),
                event.as_handle().as_raw_handle().addr().cast_signed(),
                FD_READ.cast_signed(),
            )
        };
        check("WSAEventSelect", status)?;

        Ok(Self(event))
    }

    /// Returns what to wait for.
    pub fn readable(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }

    /// Forgets what was signalled. Called before reading until nothing is left.
    pub fn reset(&self) {
        self.0.reset();
    }
}

fn raw(socket: BorrowedSocket<'_>) -> SOCKET {
    usize::try_from(socket.as_raw_socket()).unwrap_or_default()
}

fn check(call: &'static str, status: i32) -> Result<(), Win32Error> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the call has no preconditions.
    let code = unsafe { WSAGetLastError() };

    Err(Win32Error::from_code(call, code.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::UdpSocket;
    use std::os::windows::io::AsSocket as _;
    use std::time::Duration;

    use crate::wait_any;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

    #[test]
    fn a_datagram_signals_until_all_is_read() {
        let [here, there] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let event = SocketEvent::new(here.as_socket()).unwrap();
        assert_eq!(
            wait_any(&[event.readable()], Some(Duration::ZERO)).unwrap(),
            None
        );

        for byte in *b"ab" {
            there.send_to(&[byte], here.local_addr().unwrap()).unwrap();
        }
        let mut buffer = [0; 4];
        for byte in *b"ab" {
            assert_eq!(wait_any(&[event.readable()], PATIENCE).unwrap(), Some(0));
            event.reset();
            assert_eq!(here.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], byte);
        }
        let error = here.recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_socket_takes_an_interface() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();

        set_unicast_interface(socket.as_socket(), Family::V4, 1).unwrap();
        set_unicast_interface(socket.as_socket(), Family::V4, 0).unwrap();
    }
}
