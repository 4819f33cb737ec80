//! Systems that cannot steer.

use std::io;
use std::net::UdpSocket;

use crate::Aim;

pub(super) fn steer(_socket: &UdpSocket, _workers: u8, _aim: Aim) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
