//! Steers the packets of a QUIC connection to the relay worker that its connection id names.
//!
//! Several UDP sockets share one port (`SO_REUSEPORT`). By itself the kernel picks one by the sender's address, so a member whose
//! address changes would reach a worker that does not know it. A filter in the kernel picks by the connection id instead: the
//! first byte of every id that a worker issues is the worker's number (`docs/protocol.md`, clause 1.4).

use std::io;
use std::net::UdpSocket;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(not(target_os = "linux"))]
#[path = "stub.rs"]
mod imp;

/// Steers packets among `workers` sockets of one port, of which `socket` is any; they are numbered in the order they were bound.
///
/// # Errors
///
/// Returns an error if the system cannot steer, so that only one worker may be used, or if there are no workers.
pub fn steer(socket: &UdpSocket, workers: u8) -> io::Result<()> {
    if workers == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }

    imp::steer(socket, workers)
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn shared_socket(address: SocketAddr) -> UdpSocket {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();

        socket.into()
    }

    /// Sockets that share a port, in order.
    fn group(workers: usize) -> (Vec<UdpSocket>, SocketAddr) {
        let mut address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Vec::new();
        for _ in 0..workers {
            let socket = shared_socket(address);
            address = socket.local_addr().unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            sockets.push(socket);
        }

        (sockets, address)
    }

    /// The first bytes of a packet whose destination connection id begins with `worker`.
    fn packet(is_long: bool, worker: u8) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        if is_long {
            bytes[0] = 0xc0;
            bytes[5] = 8;
            bytes[6] = worker;
        } else {
            bytes[0] = 0x40;
            bytes[1] = worker;
        }

        bytes
    }

    #[test]
    fn a_packet_reaches_the_worker_that_its_connection_id_names_from_any_address() {
        let (sockets, address) = group(3);
        steer(&sockets[0], 3).unwrap();

        for worker in 0..3_u8 {
            for is_long in [false, true] {
                for _ in 0..5 {
                    let member = UdpSocket::bind("127.0.0.1:0").unwrap();
                    member.send_to(&packet(is_long, worker), address).unwrap();
                    let mut buffer = [0; 64];
                    sockets[usize::from(worker)].recv(&mut buffer).unwrap();
                }
            }
        }
    }

    #[test]
    fn first_packets_with_random_ids_spread_over_all_workers() {
        let (sockets, address) = group(2);
        steer(&sockets[0], 2).unwrap();
        let member = UdpSocket::bind("127.0.0.1:0").unwrap();
        for first in 0..20 {
            member.send_to(&packet(true, first), address).unwrap();
        }

        for socket in &sockets {
            for _ in 0..10 {
                socket.recv(&mut [0; 64]).unwrap();
            }
        }
    }

    #[test]
    fn packets_too_short_for_an_id_are_nobodys_trouble() {
        let (sockets, address) = group(2);
        steer(&sockets[0], 2).unwrap();
        let member = UdpSocket::bind("127.0.0.1:0").unwrap();
        member.send_to(&[0xc0], address).unwrap();
        member.send_to(&[], address).unwrap();
        member.send_to(&packet(false, 1), address).unwrap();

        let mut buffer = [0; 64];
        while sockets[1].recv(&mut buffer).unwrap() != 40 {}
    }

    #[test]
    fn there_must_be_a_worker() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();

        assert!(steer(&socket, 0).is_err());
    }
}
