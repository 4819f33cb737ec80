//! What the standard library and socket2 do not do with sockets.
#![expect(unsafe_code, reason = "WSAEventSelect, setsockopt, WSAIoctl")]

use std::os::windows::io::{
    AsHandle as _, AsRawHandle as _, AsRawSocket as _, BorrowedHandle, BorrowedSocket,
};
use std::ptr;

use windows_sys::Win32::Networking::WinSock::{
    FD_READ, FD_WRITE, IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_IF, SIO_UDP_CONNRESET,
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

/// An event that is set while one of several sockets is ready.
///
/// Before each wait: [`SocketsEvent::reset`], then [`SocketsEvent::watch`] for every socket, which sets the event at once if the socket
/// is ready already. So nothing is missed, and a socket that is closed needs no farewell.
#[derive(Debug)]
pub struct SocketsEvent(Event);

impl SocketsEvent {
    /// Makes the event.
    ///
    /// # Errors
    ///
    /// Returns an error if the process has no handles left.
    pub fn new() -> Result<Self, Win32Error> {
        Event::new().map(Self)
    }

    /// Watches `socket` for something to read, and for room to write if that is wanted. Makes it non-blocking.
    ///
    /// # Errors
    ///
    /// Returns an error for what is no socket.
    pub fn watch(&self, socket: BorrowedSocket<'_>, to_write: bool) -> Result<(), Win32Error> {
        let events = if to_write {
            FD_READ | FD_WRITE
        } else {
            FD_READ
        };
        // SAFETY: the socket and the event are open.
        let status = unsafe {
            WSAEventSelect(
                raw(socket),
                self.0.as_handle().as_raw_handle().addr().cast_signed(),
                events.cast_signed(),
            )
        };

        check("WSAEventSelect", status)
    }

    /// Returns what to wait for.
    pub fn ready(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }

    /// Forgets what was signalled.
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
        let event = SocketsEvent::new().unwrap();
        let is_ready = |patience, to_write| {
            event.reset();
            event.watch(here.as_socket(), to_write).unwrap();
            wait_any(&[event.ready()], patience).unwrap().is_some()
        };
        assert!(!is_ready(Some(Duration::ZERO), false));
        assert!(is_ready(PATIENCE, true), "there is room to write");

        for byte in *b"ab" {
            there.send_to(&[byte], here.local_addr().unwrap()).unwrap();
        }
        let mut buffer = [0; 4];
        for byte in *b"ab" {
            assert!(is_ready(PATIENCE, false));
            assert_eq!(here.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], byte);
        }
        assert!(!is_ready(Some(Duration::ZERO), false));
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
