//! Our segmentation against the kernel's own, and the packet socket on real interfaces.
//!
//! Needs root: every test makes its own network namespace, which disappears with its thread.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, end a test by unwrap"
)]

use std::io::IoSlice;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lanparty_device::{FrameDevice as _, LinkState};
use lanparty_offload::vnet::GSO_TCPV4;
use lanparty_offload::{Super, VnetHeader};
use lanparty_packet::{FilterState, InterfaceFacts, PacketOptions, PacketSocket};
use lanparty_proto::MacAddr;
use lanparty_samples::SuperFrame;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// How long a frame may take across a veth pair on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn the_kernel_cuts_super_frames_as_we_do() {
    in_namespace("off", || {
        let ends = std::cell::RefCell::new((open("near"), open("far")));
        let mut runner = TestRunner::new(Config {
            cases: 300,
            ..Config::default()
        });
        let outcome = runner.run(&recipes(), |recipe| {
            let (from, to) = &mut *ends.borrow_mut();
            let (vnet, frame) = recipe.build();
            let ours: Vec<Vec<u8>> = segments(&vnet, &frame);

            from.send(&vnet, &[IoSlice::new(&frame)]);
            prop_assert_eq!(from.flush(), LinkState::Up);
            let theirs = collect(to, ours.len());

            prop_assert_eq!(from.statistics().send_refused, 0);
            prop_assert_eq!(ours, theirs);
            Ok(())
        });
        outcome.unwrap();
    });
}

#[test]
fn a_super_frame_crosses_whole_where_offloads_are_on() {
    in_namespace("on", || {
        let mut from = open("near");
        let mut to = open("far");
        let (vnet, frame) = SuperFrame::tcp(40_000).build();

        from.send(
            &vnet,
            &[IoSlice::new(&frame[..60]), IoSlice::new(&frame[60..])],
        );
        from.flush();
        let (arrived, bytes) = next(&mut to);

        assert_eq!(bytes, frame);
        assert_eq!(arrived.gso_type, GSO_TCPV4);
        assert_eq!(arrived.gso_size, vnet.gso_size);
        assert_eq!(segments(&arrived, &bytes), segments(&vnet, &frame));
    });
}

#[test]
fn tags_that_the_kernel_takes_off_are_put_back() {
    in_namespace("on", || {
        let mut from = open("near");
        let mut to = open("far");
        for tags in [
            vec![[0x81, 0x00, 0x20, 0x05]],
            vec![[0x81, 0x00, 0xe0, 0x00]],
            vec![[0x88, 0xa8, 0x00, 0x07], [0x81, 0x00, 0x00, 0x09]],
        ] {
            let mut recipe = SuperFrame::tcp(900);
            recipe.tags = tags;
            let (vnet, frame) = recipe.build();
            let plain = segments(&vnet, &frame).remove(0);

            from.send(&VnetHeader::NONE, &[IoSlice::new(&plain)]);
            from.flush();
            assert_eq!(next(&mut to).1, plain);

            // The checksum's place moves with the tag.
            let single = VnetHeader {
                gso_type: 0,
                gso_size: 0,
                ..vnet
            };
            from.send(&single, &[IoSlice::new(&frame)]);
            from.flush();
            let (vnet, bytes) = next(&mut to);
            assert_eq!(segments(&vnet, &bytes), [plain]);
        }
    });
}

#[test]
fn the_filter_keeps_unicast_between_lan_stations_in_the_kernel() {
    in_namespace("on", || {
        let mut from = open("near");
        let mut to = open("far");
        let remote = MacAddr([2, 9, 9, 9, 9, 9]);
        assert_eq!(to.set_filter(&[remote]).unwrap(), FilterState::Exact);
        let other = MacAddr([2, 8, 8, 8, 8, 8]);
        let expected = [
            addressed(remote, 1),
            addressed(MacAddr::BROADCAST, 2),
            addressed(MacAddr([1, 0, 0x5e, 0, 0, 1]), 3),
        ];

        for frame in [
            &addressed(other, 0),
            &expected[0],
            &addressed(other, 0),
            &expected[1],
            &expected[2],
        ] {
            from.send(&VnetHeader::NONE, &[IoSlice::new(frame)]);
        }
        from.flush();
        assert_eq!(collect(&mut to, 3), expected);

        assert_eq!(to.set_filter(&[other]).unwrap(), FilterState::Exact);
        from.send(&VnetHeader::NONE, &[IoSlice::new(&expected[0])]);
        from.send(&VnetHeader::NONE, &[IoSlice::new(&addressed(other, 4))]);
        from.flush();
        assert_eq!(next(&mut to).1, addressed(other, 4));
        assert_eq!(to.statistics().received, 4);
    });
}

#[test]
fn an_interface_that_is_down_is_a_state_and_no_end() {
    in_namespace("on", || {
        let mut from = open("near");
        let mut to = open("far");
        sh("ip link set near down");
        from.send(
            &VnetHeader::NONE,
            &[IoSlice::new(&addressed(MacAddr::BROADCAST, 1))],
        );
        assert_eq!(from.flush(), LinkState::Down);
        assert_eq!(from.statistics().send_down, 1);

        sh("ip link set near up");
        // The first call may still report that the interface was down.
        let _was_down = from.receive().is_err();
        await_link();
        let _was_down = to.receive().is_err();
        let frame = addressed(MacAddr::BROADCAST, 2);
        from.send(&VnetHeader::NONE, &[IoSlice::new(&frame)]);
        assert_eq!(from.flush(), LinkState::Up);
        assert_eq!(next(&mut to).1, frame);
    });
}

#[test]
fn facts_tell_what_an_interface_is() {
    in_namespace("on", || {
        let facts = InterfaceFacts::read("near").unwrap();
        assert_eq!(facts.driver.as_deref(), Some("veth"));
        assert!(facts.is_ethernet() && facts.up && facts.carrier);
        assert_eq!(facts.mtu, 1500);
        assert_eq!(facts.mac, MacAddr([2, 0, 0, 0, 0, 0xa]));
        assert_eq!(facts.offloads.lro, Some(false));
        assert!(InterfaceFacts::read("nowhere").is_err());
        assert!(PacketSocket::open("nowhere", &PacketOptions::default()).is_err());
    });
}

/// Runs `work` on a thread with a network namespace of its own that has a veth pair `near`, `far`, offloads on or off.
fn in_namespace(offloads: &'static str, work: impl FnOnce() + Send + 'static) {
    let inside = thread::spawn(move || {
        #[expect(unsafe_code, reason = "unshare")]
        // SAFETY: only this thread moves to another network namespace, and no file descriptor table is unshared.
        let moved = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
        moved.expect("these tests make network namespaces: run them as root (sudo)");
        sh(
            "ip link add name near address 02:00:00:00:00:0a type veth peer name far address 02:00:00:00:00:0b",
        );
        for end in ["near", "far"] {
            // No IPv6, so that nothing of the kernel's own comes in between.
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1").unwrap();
            for feature in ["tso", "gso", "tx", "tx-udp-segmentation", "gro"] {
                let state = if feature == "gro" { "off" } else { offloads };
                sh(&format!("ethtool -K {end} {feature} {state}"));
            }
        }
        sh("ip link set near up");
        sh("ip link set far up");
        await_link();
        work();
    });
    if let Err(panic) = inside.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until both ends have their queues: the kernel attaches them a while after the link is up, and drops until then.
fn await_link() {
    let deadline = Instant::now() + PATIENCE * 2;
    while sh("ip link").matches("state UP").count() < 2 {
        assert!(Instant::now() < deadline, "the veth pair has no link");
        thread::sleep(Duration::from_millis(10));
    }
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
        .unwrap_or_else(|error| {
            panic!("{program} is missing (install iproute2 and ethtool): {error}")
        });
    assert!(
        output.status.success(),
        "{words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn open(interface: &str) -> PacketSocket {
    PacketSocket::open(interface, &PacketOptions::default()).unwrap()
}

fn segments(vnet: &VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let parsed = Super::parse(vnet, frame).unwrap();
    let segments = parsed.segments(None).unwrap();

    segments
        .map(|segment| {
            let mut out = Vec::new();
            segment.append(&mut out);
            out
        })
        .collect()
}

/// Takes frames until there are `count`.
fn collect(socket: &mut PacketSocket, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while frames.len() < count && Instant::now() < deadline {
        let arrived = socket.receive().unwrap();
        frames.extend((0..arrived).map(|n| {
            let received = socket.received(n).unwrap();
            // The kernel has done all there is to do; a checksum flag left would have us do its work.
            assert!(!received.vnet.needs_checksum() && !received.vnet.is_super());
            received.frame.to_vec()
        }));
    }

    frames
}

/// Takes the next frame as it is.
fn next(socket: &mut PacketSocket) -> (VnetHeader, Vec<u8>) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if socket.receive().unwrap() > 0 {
            let received = socket.received(0).unwrap();
            return (received.vnet, received.frame.to_vec());
        }
    }
    panic!("no frame came");
}

fn addressed(destination: MacAddr, number: u8) -> Vec<u8> {
    let mut frame = destination.0.to_vec();
    frame.extend([2, 0, 0, 0, 0, 0x77, 0x88, 0xb5, number]);
    frame.resize(60, 0);

    frame
}

fn recipes() -> impl Strategy<Value = SuperFrame> {
    (
        (any::<bool>(), any::<bool>(), any::<bool>()),
        (0_usize..11, any::<bool>(), 0_usize..11),
        (any::<u8>(), any::<u16>(), any::<u32>()),
        (400_u16..1370, 1371_usize..40_000, any::<u8>()),
    )
        .prop_map(
            |((v6, tcp, tagged), (ip_options, extension, tcp_options), numbers, rest)| {
                let mut recipe = SuperFrame::tcp(rest.1);
                recipe.v6 = v6;
                recipe.tcp = tcp;
                recipe.ip_options = ip_options;
                recipe.extension = extension;
                recipe.tcp_options = tcp_options;
                (recipe.flags, recipe.id, recipe.sequence) = numbers;
                recipe.size = rest.0;
                if tagged {
                    recipe.tags = vec![[0x81, 0, 0, 9]];
                }
                if let Some(first) = recipe.payload.first_mut() {
                    *first = rest.2;
                }
                recipe
            },
        )
}
