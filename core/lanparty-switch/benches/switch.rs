//! What the relay's decision about one datagram costs.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails like a test, and needs some instant to start from"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lanparty_proto::{MacAddr, PeerId, RoomId, overlay};
use lanparty_samples::hello;
use lanparty_switch::{ConnId, Joiner, Limits, Membership, Rate, Switch, Verdict};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

/// A room of `clients`, the first of which sends.
fn room(clients: u8) -> (Switch, Membership) {
    let mut switch = Switch::new(
        Limits {
            broadcast: Rate::UNLIMITED,
            bytes: Rate::UNLIMITED,
            ..Limits::default()
        },
        0,
    );
    let memberships: Vec<Membership> = (1..=clients)
        .map(|number| {
            let joiner = Joiner {
                conn: ConnId(number.into()),
                budget: 1434,
                origin: HOME,
                token: [number; 16],
            };
            switch
                .handle_hello(joiner, &hello(Some(mac(number))), Instant::now())
                .unwrap()
        })
        .collect();
    while switch.poll_output().is_some() {}

    (switch, memberships[0])
}

/// A UDP packet over IPv4 of `len` bytes of frame, as the first member sends it.
fn datagram(destination: MacAddr, len: u16) -> Vec<u8> {
    let mut frame = [&destination.0[..], &mac(1).0, &[8, 0]].concat();
    let ip_len = (len - 14).to_be_bytes();
    let udp_len = (len - 34).to_be_bytes();
    frame.extend_from_slice(&[0x45, 0, ip_len[0], ip_len[1], 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend_from_slice(&[0x69, 0x87, 0x69, 0x87, udp_len[0], udp_len[1], 0, 0]);
    frame.resize(len.into(), 0);
    let header = overlay::header(RoomId(1), PeerId(1), false, len);

    [&header[..], &frame].concat()
}

fn forwarding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("switch");
    for (name, destination, clients) in [
        ("unicast", mac(2), 2),
        ("unicast", mac(2), 64),
        ("broadcast", MacAddr::BROADCAST, 32),
    ] {
        let (mut switch, membership) = room(clients);
        let datagram = datagram(destination, 1400);
        let now = Instant::now();
        group.bench_function(BenchmarkId::new(name, clients), |bencher| {
            bencher.iter(|| {
                let Verdict::Forward(forward) =
                    switch.handle_datagram(membership, black_box(&datagram), now)
                else {
                    panic!("the frame is for somebody");
                };
                forward
                    .targets()
                    .iter()
                    .map(|target| target.conn.0)
                    .sum::<u64>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, forwarding);
criterion_main!(benches);
