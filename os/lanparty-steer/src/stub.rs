//! Systems that cannot steer.

use std::io;
use std::net::UdpSocket;

pub(super) fn steer(_socket: &UdpSocket, workers: u8) -> io::Result<()> {
    if workers == 1 {
        Ok(())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}
