//! What the safety policy costs per frame.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lanparty_proto::player::{self, PlayerPolicy};
use lanparty_proto::{ChecksumState, Direction, Frame, Policy, policy};

/// A frame from one station to another with a header and 1200 bytes.
fn frame(kind: u16, header: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa];
    [
        &addresses[..],
        &kind.to_be_bytes(),
        header,
        &[0x55; 1200 - 28],
    ]
    .concat()
}

fn samples() -> [(&'static str, Vec<u8>); 4] {
    let ipv4 = |protocol| {
        [
            &[0x45, 0, 0x04, 0xb0, 0, 0, 0, 0, 64, protocol, 0, 0][..],
            &[10, 0, 0, 50, 10, 0, 0, 51],
        ]
        .concat()
    };
    let ipv6 = |next| {
        let mut header = vec![0x60, 0, 0, 0, 0x04, 0x00, next, 64];
        header.extend_from_slice(&[0xfe; 32]);
        header
    };
    let udp = [0x69, 0x87, 0x69, 0x87, 0x04, 0x00, 0, 0];
    let tcp = [
        0x1f, 0x90, 0x1f, 0x91, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, 0, 0, 0, 0, 0,
    ];

    [
        ("udp4", frame(0x0800, &[ipv4(17), udp.to_vec()].concat())),
        ("tcp4", frame(0x0800, &[ipv4(6), tcp.to_vec()].concat())),
        ("udp6", frame(0x86dd, &[ipv6(17), udp.to_vec()].concat())),
        ("tcp6", frame(0x86dd, &[ipv6(6), tcp.to_vec()].concat())),
    ]
}

fn policy(criterion: &mut Criterion) {
    for (name, bytes) in samples() {
        criterion.bench_function(&format!("parse and check from remote/{name}"), |bencher| {
            bencher.iter(|| {
                let frame = Frame::parse(black_box(&bytes)).expect("a sample is a frame");
                let verdict = policy::check(Policy::DEFAULT, Direction::FromRemote, &frame, 1500);
                assert_eq!(verdict, Ok(()));
            });
        });
        criterion.bench_function(&format!("parse and check from LAN/{name}"), |bencher| {
            bencher.iter(|| {
                let frame = Frame::parse(black_box(&bytes)).expect("a sample is a frame");
                policy::check(Policy::DEFAULT, Direction::FromLan, &frame, 1500)
            });
        });
        let mut bytes = bytes;
        criterion.bench_function(&format!("rewrite for player/{name}"), |bencher| {
            bencher.iter(|| {
                player::rewrite(
                    PlayerPolicy::default(),
                    black_box(&mut bytes),
                    ChecksumState::Complete,
                )
            });
        });
    }
}

criterion_group!(benches, policy);
criterion_main!(benches);
