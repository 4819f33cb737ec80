//! Trains through the kernel, as a peer sees them.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, end a test by unwrap"
)]

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;

use lanparty_linux::udp::{MAX_TRAINS, prepare, send_trains};
use lanparty_offload::Train;
use lanparty_offload::train::Heading;
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSockRef, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A peer that sees what each packet came with.
struct Peer {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Peer {
    fn open(address: impl Into<IpAddr>) -> Self {
        let socket = UdpSocket::bind((address.into(), 0)).unwrap();
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).unwrap();
        prepare(&socket, 1 << 20);

        Self { socket, state }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Returns the next message.
    fn receive(&self) -> (RecvMeta, Vec<u8>) {
        let timeout = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
        assert_eq!(
            poll(&mut waiting, Some(&timeout)).unwrap(),
            1,
            "nothing came"
        );
        let mut buffer = vec![0; 65_536];
        let mut meta = [RecvMeta::default()];
        let socket = UdpSockRef::from(&self.socket);
        let count = self
            .state
            .recv(socket, &mut [IoSliceMut::new(&mut buffer)], &mut meta)
            .unwrap();
        assert_eq!(count, 1);
        buffer.truncate(meta[0].len);

        (meta[0], buffer)
    }

    /// Returns the next packets until there are `len` bytes, however many of them the system joined.
    fn packets(&self, len: usize) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while packets.iter().map(Vec::len).sum::<usize>() < len {
            let (meta, bytes) = self.receive();
            packets.extend(bytes.chunks(meta.stride).map(<[u8]>::to_vec));
        }

        packets
    }
}

const fn to(destination: SocketAddr) -> Heading {
    Heading {
        destination,
        source: None,
        ecn: 0,
        segment: None,
    }
}

fn send(from: &UdpSocket, trains: &[(Heading, &[u8])]) -> io::Result<usize> {
    let mut trains = trains.iter().map(|(heading, contents)| Train {
        heading: *heading,
        contents,
    });

    send_trains(from, &mut trains)
}

#[test]
fn trains_to_several_peers_leave_together_and_arrive_as_packets() {
    let peers = [(); 3].map(|()| Peer::open(Ipv4Addr::LOCALHOST));
    let from = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let long: Vec<u8> = (0..3500_u16).map(|n| n.to_be_bytes()[1]).collect();
    let cut = Heading {
        segment: Some(1000),
        ..to(peers[1].address())
    };

    let sent = send(
        &from,
        &[
            (to(peers[0].address()), b"one"),
            (cut, &long),
            (to(peers[2].address()), b"three"),
        ],
    );

    assert_eq!(sent.unwrap(), 3);
    assert_eq!(peers[0].receive().1, b"one");
    assert_eq!(
        peers[1].packets(long.len()),
        long.chunks(1000).collect::<Vec<_>>()
    );
    assert_eq!(peers[2].receive().1, b"three");
}

#[test]
fn a_call_takes_no_more_than_its_maximum() {
    let peer = Peer::open(Ipv4Addr::LOCALHOST);
    let from = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let one: (Heading, &[u8]) = (to(peer.address()), b"x");

    assert_eq!(send(&from, &[one; MAX_TRAINS + 5]).unwrap(), MAX_TRAINS);
    assert_eq!(send(&from, &[]).unwrap(), 0);
}

#[test]
fn the_ecn_field_and_the_source_address_are_those_asked_for() {
    let from = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let peer = Peer::open(Ipv4Addr::LOCALHOST);
    let source = Ipv4Addr::new(127, 0, 0, 77);
    let heading = Heading {
        source: Some(source.into()),
        ecn: 2,
        ..to(peer.address())
    };
    send(&from, &[(heading, b"marked")]).unwrap();

    let (meta, _) = peer.receive();
    assert_eq!(meta.addr.ip(), IpAddr::V4(source));
    assert_eq!(meta.ecn, Some(EcnCodepoint::Ect0));
}

#[test]
fn ipv6_peers_and_ipv4_peers_of_an_ipv6_socket_are_reached() {
    let from = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    for (peer, source) in [
        (
            Peer::open(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ),
        (
            Peer::open(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv4Addr::new(127, 0, 0, 77).to_ipv6_mapped()),
        ),
    ] {
        let address = match peer.address() {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            SocketAddr::V6(_) => peer.address(),
        };
        let heading = Heading {
            source: Some(source),
            ecn: 1,
            segment: Some(600),
            ..to(address)
        };
        send(&from, &[(heading, &[7; 1500])]).unwrap();

        let (meta, first) = peer.receive();
        assert_eq!(meta.addr.ip(), source.to_canonical());
        // With a time stamp the field would not fit beside what else comes with joined packets.
        assert_eq!(meta.ecn, Some(EcnCodepoint::Ect1));
        assert_eq!(meta.timestamp, None);
        assert_eq!(first.first(), Some(&7));
        let rest = peer.packets(1500 - first.len());
        assert_eq!(first.len() + rest.concat().len(), 1500);
    }
}

/// Needs root, as all that makes namespaces.
#[test]
fn an_error_is_the_first_train_s_and_says_whether_cutting_was_refused() {
    thread::spawn(|| {
        #[expect(unsafe_code, reason = "a network namespace of this thread's own")]
        // SAFETY: only the network namespace changes, which rustix documents as sound, and this thread opened nothing before.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("namespaces need root");
        set_up_loopback(1400);
        let peer = Peer::open(Ipv4Addr::LOCALHOST);
        let from = Peer::open(Ipv4Addr::LOCALHOST);
        let fitting: (Heading, &[u8]) = (to(peer.address()), b"fits");
        let cut = Heading {
            segment: Some(1450),
            ..to(peer.address())
        };

        // The one before the oversized one leaves; only then is it the first.
        let sent = send(&from.socket, &[fitting, (cut, &[0; 2900]), fitting]);
        assert_eq!(sent.unwrap(), 1);
        assert_eq!(peer.receive().1, b"fits");
        let refused = send(&from.socket, &[(cut, &[0; 2900]), fitting]).unwrap_err();
        assert!(
            refused.kind() == io::ErrorKind::Unsupported
                || refused.raw_os_error() == Some(too_big()),
            "{refused}"
        );
        let oversize = send(&from.socket, &[(to(peer.address()), &[0; 1450])]).unwrap_err();
        assert_eq!(oversize.raw_os_error(), Some(too_big()));
    })
    .join()
    .unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests may configure the system through its tools"
)]
fn set_up_loopback(mtu: u16) {
    let status = Command::new("ip")
        .args(["link", "set", "lo", "up", "mtu", &mtu.to_string()])
        .status();

    assert!(status.unwrap().success());
}

fn too_big() -> i32 {
    rustix::io::Errno::MSGSIZE.raw_os_error()
}
