//! Steers the packets of a QUIC connection to the relay worker that its connection id names.
//!
//! Several UDP sockets share one port (`SO_REUSEPORT`). By itself the kernel picks one by the sender's address, so a member whose
//! address changes would reach a worker that does not know it. A filter in the kernel picks by the connection id instead: the
//! first byte of every id that a worker issues names the worker (`docs/protocol.md`, clause 1.4).
//!
//! There are two banks of sockets, one for each worker in each. A relay uses one; the process that takes over from it uses the other,
//! so that both have a port of their own behind the same number while members move.

use std::io;
use std::net::UdpSocket;

mod program;

use crate::bpf::{self, Hook};

/// The bit of a connection id's first byte that names the bank; the rest is the worker's number.
pub const BANK_BIT: u8 = 0x80;

/// How many sockets a relay with so many workers has: two banks.
pub const fn sockets(workers: u8) -> usize {
    workers as usize * 2
}

/// Which of the two banks a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bank {
    /// The sockets that were bound first, one for each worker.
    First,
    /// The others.
    Second,
}

impl Bank {
    /// Returns the bank that the next process uses.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Returns what the connection ids of a worker begin with.
    pub const fn mark(self, worker: u8) -> u8 {
        match self {
            Self::First => worker,
            Self::Second => worker | BANK_BIT,
        }
    }

    /// Returns the places of the bank's sockets among all.
    pub const fn range(self, workers: u8) -> std::ops::Range<usize> {
        let workers = workers as usize;
        match self {
            Self::First => 0..workers,
            Self::Second => workers..workers * 2,
        }
    }
}

/// Where packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// All to one bank: those of its connections, of new ones, and of connections of an earlier run.
    One(Bank),
    /// Those of new connections to this bank, and of others to the bank that their connection id names.
    Both {
        /// The bank of the process that takes over.
        newcomers: Bank,
    },
}

/// Steers packets among the two banks of sockets of one port, of which `socket` is any; they are numbered in the order they were bound.
///
/// The last call decides, whichever process makes it.
///
/// # Errors
///
/// Returns an error if the system cannot steer, so that there may be only one socket, or if there are no workers or more than 128.
pub fn steer(socket: &UdpSocket, workers: u8, aim: Aim) -> io::Result<()> {
    if workers == 0 || workers > BANK_BIT {
        return Err(io::ErrorKind::InvalidInput.into());
    }

    bpf::attach(socket, Hook::ReusePort, &program::assemble(workers, aim))
}

#[cfg(test)]
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
    fn group(count: usize) -> (Vec<UdpSocket>, SocketAddr) {
        let mut address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Vec::new();
        for _ in 0..count {
            let socket = shared_socket(address);
            address = socket.local_addr().unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            sockets.push(socket);
        }

        (sockets, address)
    }

    /// The first bytes of a packet of a kind whose destination connection id begins with `mark`.
    fn packet(kind: Kind, mark: u8) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        let first = match kind {
            Kind::Short => 0x40,
            Kind::Initial => 0xc0,
            Kind::Handshake => 0xe0,
        };
        bytes[0] = first;
        let at = if kind == Kind::Short { 1 } else { 6 };
        bytes[at - 1] |= u8::from(kind != Kind::Short) * 8;
        bytes[at] = mark;

        bytes
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Kind {
        Short,
        Initial,
        Handshake,
    }

    const BANKS: [Bank; 2] = [Bank::First, Bank::Second];

    /// Returns what the ids of every socket's connections begin with, and the worker that it is for.
    fn marks(workers: u8) -> Vec<(u8, usize)> {
        let of = |bank: Bank| (0..workers).map(move |worker| (bank.mark(worker), worker.into()));

        BANKS.into_iter().flat_map(of).collect()
    }

    const KINDS: [Kind; 3] = [Kind::Short, Kind::Initial, Kind::Handshake];

    /// Sends a packet from a fresh address and asserts which socket gets it.
    fn assert_reaches(sockets: &[UdpSocket], to: SocketAddr, packet: &[u8], index: usize) {
        let member = UdpSocket::bind("127.0.0.1:0").unwrap();
        member.send_to(packet, to).unwrap();
        let received = sockets[index].recv(&mut [0; 64]);

        assert!(received.is_ok(), "{packet:?} did not reach {index}");
    }

    #[test]
    fn a_packet_reaches_the_worker_that_its_connection_id_names_from_any_address() {
        let (sockets, address) = group(6);

        for bank in BANKS {
            steer(&sockets[0], 3, Aim::One(bank)).unwrap();
            for (mark, worker) in marks(3) {
                for kind in KINDS {
                    let index = bank.range(3).start + worker;
                    assert_reaches(&sockets, address, &packet(kind, mark), index);
                }
            }
        }
    }

    #[test]
    fn while_two_processes_share_a_port_each_has_its_own_connections_and_one_the_new_ones() {
        let (sockets, address) = group(4);

        for newcomers in BANKS {
            steer(&sockets[0], 2, Aim::Both { newcomers }).unwrap();
            for (index, (mark, worker)) in marks(2).into_iter().enumerate() {
                let new = newcomers.range(2).start + worker;
                assert_reaches(&sockets, address, &packet(Kind::Short, mark), index);
                assert_reaches(&sockets, address, &packet(Kind::Handshake, mark), index);
                assert_reaches(&sockets, address, &packet(Kind::Initial, mark), new);
            }
        }
    }

    #[test]
    fn first_packets_with_random_ids_spread_over_all_workers() {
        let (sockets, address) = group(4);
        steer(&sockets[0], 2, Aim::One(Bank::First)).unwrap();
        let member = UdpSocket::bind("127.0.0.1:0").unwrap();
        for first in 0..20 {
            let bytes = packet(Kind::Initial, first);
            member.send_to(&bytes, address).unwrap();
        }

        for socket in &sockets[..2] {
            for _ in 0..10 {
                socket.recv(&mut [0; 64]).unwrap();
            }
        }
    }

    #[test]
    fn packets_too_short_for_an_id_are_nobodys_trouble() {
        let (sockets, address) = group(4);
        steer(&sockets[0], 2, Aim::One(Bank::First)).unwrap();
        let member = UdpSocket::bind("127.0.0.1:0").unwrap();
        member.send_to(&[0xc0], address).unwrap();
        member.send_to(&[], address).unwrap();
        member.send_to(&packet(Kind::Short, 1), address).unwrap();

        let mut buffer = [0; 64];
        while sockets[1].recv(&mut buffer).unwrap() != 40 {}
    }

    #[test]
    fn there_must_be_a_worker() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();

        assert!(steer(&socket, 0, Aim::One(Bank::First)).is_err());
        assert!(steer(&socket, 129, Aim::One(Bank::First)).is_err());
    }
}
