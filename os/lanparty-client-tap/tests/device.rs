//! TAP devices on a real kernel.
//!
//! Needs root: every test makes its own network namespace, which disappears with its thread.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, end a test by unwrap"
)]

use std::io::IoSlice;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_client_tap::{RouteGuard, Tap, TapOptions};
use lanparty_device::{FrameDevice as _, LinkState};
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_offload::{Coalescer, Super, VnetHeader};
use lanparty_proto::MacAddr;
use rustix::thread::{UnshareFlags, unshare_unsafe};

const PATIENCE: Duration = Duration::from_secs(5);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x11]);

#[test]
fn a_device_is_made_as_asked_and_vanishes() {
    in_namespace(|| {
        let mut tap = open("lan", MAC);
        tap.set_up(true).unwrap();
        tap.set_mtu(1350).unwrap();
        sh("ip address add 192.0.2.1/24 dev lan");

        let shown = sh("ip link show lan");
        assert!(
            shown.contains("mtu 1350") && shown.contains(&MAC.to_string()),
            "{shown}"
        );
        assert!(shown.contains(",UP"), "{shown}");
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(tap.addresses().unwrap().contains(&address));
        assert!(shown.starts_with(&format!("{}:", tap.index())));
        let settings = std::fs::read_to_string("/proc/sys/net/ipv6/conf/lan/accept_ra_defrtr");
        assert_eq!(settings.unwrap().trim(), "0");

        drop(tap);
        assert!(!sh("ip link").contains("lan:"));
    });
}

#[test]
fn the_router_of_the_lan_is_taken_only_where_that_is_asked_for() {
    in_namespace(|| {
        let options = TapOptions {
            name: "lan".to_owned(),
            mac: MAC,
            mtu: 1500,
            offload: true,
            accept_router: true,
        };
        let _tap = Tap::open(&options).unwrap();

        let setting = std::fs::read_to_string("/proc/sys/net/ipv6/conf/lan/accept_ra_defrtr");
        assert_eq!(setting.unwrap().trim(), "1");
    });
}

#[test]
fn a_device_that_is_off_is_a_state_and_no_end() {
    in_namespace(|| {
        let mut tap = open("lan", MAC);
        let frame = [0xff; 60];

        assert_eq!(
            tap.send(&VnetHeader::NONE, &[IoSlice::new(&frame)]),
            LinkState::Down
        );
        assert_eq!(tap.statistics().send_down, 1);
        tap.set_up(true).unwrap();
        assert_eq!(
            tap.send(&VnetHeader::NONE, &[IoSlice::new(&frame)]),
            LinkState::Up
        );
    });
}

#[test]
fn broadcast_and_groups_leave_through_the_party_while_joined() {
    in_namespace(|| {
        sh("ip link add other type veth peer name far");
        sh("ip link set other up");
        sh("ip link set far up");
        sh("ip address add 198.51.100.1/24 dev other");
        sh("ip route add default via 198.51.100.254");
        let mut tap = open("lan", MAC);
        tap.set_up(true).unwrap();
        sh("ip address add 192.0.2.1/24 dev lan");

        let routes = RouteGuard::add(tap.index()).unwrap();
        assert!(sh("ip route get 255.255.255.255").contains("dev lan"));
        assert!(sh("ip route get 224.0.0.251").contains("dev lan"));
        assert!(sh("ip -6 route get ff02::fb").contains("dev lan"));
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket
            .send_to(b"anyone there?", "255.255.255.255:9999")
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut heard = false;
        while !heard && Instant::now() < deadline {
            for n in 0..tap.receive().unwrap() {
                heard |= tap.received(n).unwrap().frame.ends_with(b"anyone there?");
            }
        }
        assert!(heard);
        assert!(
            RouteGuard::add(tap.index()).is_err(),
            "the routes are there already"
        );

        drop(routes);
        assert!(sh("ip route get 255.255.255.255").contains("dev other"));
        assert!(
            !sh("ip -6 route show table local").contains("multicast ff00::/8 dev lan proto static")
        );
        assert!(sh("ip route show default").contains("dev other"));
    });
}

/// Two devices in two namespaces, with our segmentation and coalescing as the wire between them.
#[test]
fn tcp_crosses_two_devices_in_super_frames_both_ways() {
    let (near, far) = (
        Ends::make("192.0.2.1/24", 0x11),
        Ends::make("192.0.2.2/24", 0x22),
    );
    let total = 8 << 20;
    let server = far.enter(move || {
        let listener = TcpListener::bind("192.0.2.2:7777").unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
        })
    });
    let client = near.enter(move || {
        thread::spawn(move || {
            let mut stream = TcpStream::connect("192.0.2.2:7777").unwrap();
            let mut payload = std::io::Read::take(std::io::repeat(7), total);
            std::io::copy(&mut payload, &mut stream).unwrap();
        })
    });

    let (mut a, mut b) = (near.tap, far.tap);
    assert!(a.capabilities().tcp);
    let mut merged = 0;
    let mut supers = 0;
    let deadline = Instant::now() + PATIENCE * 4;
    while !server.is_finished() && Instant::now() < deadline {
        supers += pump(&mut a, &mut b, &mut merged);
        supers += pump(&mut b, &mut a, &mut merged);
    }

    client.join().unwrap();
    assert_eq!(server.join().unwrap(), total);
    assert!(supers > 0, "the kernel handed over super-frames");
    assert!(merged > 0, "we gave it super-frames");
    assert_eq!(a.statistics().send_refused + b.statistics().send_refused, 0);
}

/// Moves one batch; returns how many super-frames it had.
fn pump(from: &mut Tap, to: &mut Tap, merged: &mut usize) -> usize {
    let mut supers = 0;
    let mut coalescer = Coalescer::new(CoalesceOptions {
        tcp: true,
        udp: true,
    });
    for n in 0..from.receive().unwrap() {
        let received = from.received(n).unwrap();
        supers += usize::from(received.vnet.is_super());
        let parsed = Super::parse(&received.vnet, received.frame).unwrap();
        for segment in parsed.segments(Some(1400)).unwrap() {
            let mut out = Vec::new();
            segment.append(&mut out);
            coalescer.push(Bytes::from(out));
        }
    }
    coalescer.flush(|out| {
        *merged += usize::from(out.frames > 1);
        to.send(&out.vnet, out.pieces);
    });

    supers
}

/// A device and the thread that keeps its namespace.
struct Ends {
    tap: Tap,
    namespace: std::fs::File,
}

impl Ends {
    fn make(address: &'static str, last: u8) -> Self {
        let inside = thread::spawn(move || {
            leave();
            let mut tap = open("lan", MacAddr([2, 0, 0, 0, 0, last]));
            tap.set_up(true).unwrap();
            sh(&format!("ip address add {address} dev lan"));
            let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
            Self { tap, namespace }
        });

        inside.join().unwrap()
    }

    /// Calls `work` on a thread inside; threads it makes stay there.
    fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = self.namespace.try_clone().unwrap();
        let inside = thread::spawn(move || {
            rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&namespace),
                Some(rustix::thread::LinkNameSpaceType::Network),
            )
            .unwrap();
            work()
        });

        inside.join().unwrap()
    }
}

fn open(name: &str, mac: MacAddr) -> Tap {
    Tap::open(&TapOptions {
        name: name.to_owned(),
        mac,
        mtu: 1500,
        offload: true,
        accept_router: false,
    })
    .unwrap()
}

/// Runs `work` on a thread with a network namespace of its own.
fn in_namespace(work: impl FnOnce() + Send + 'static) {
    let inside = thread::spawn(move || {
        leave();
        work();
    });
    if let Err(panic) = inside.join() {
        std::panic::resume_unwind(panic);
    }
}

fn leave() {
    #[expect(unsafe_code, reason = "unshare")]
    // SAFETY: only this thread moves to another network namespace, and no file descriptor table is unshared.
    let moved = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
    moved.expect("these tests make network namespaces: run them as root (sudo)");
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests set up their world with the system's tools"
)]
fn sh(words: &str) -> String {
    let mut parts = words.split_whitespace();
    let program = parts.next().unwrap();
    let output = Command::new(program)
        .args(parts)
        .output()
        .unwrap_or_else(|error| panic!("{program} is missing (install iproute2): {error}"));
    assert!(
        output.status.success(),
        "{words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    String::from_utf8_lossy(&output.stdout).into_owned()
}
