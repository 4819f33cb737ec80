//! What a player's data path costs: a super-frame and small frames, both ways.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanparty_ctrl::Mode;
use lanparty_offload::VnetHeader;
use lanparty_offload::vnet::{FLAG_NEEDS_CSUM, GSO_TCPV4};
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::{MacAddr, PeerId, overlay};
use lanparty_queue::TrafficClass;
use lanparty_samples::{self as samples, ROOM, joined};
use lanparty_session::JoinInfo;
use lanparty_tunnel::{ClientPath, ClientPathConfig, DataPath as _, Outbox};
use lanparty_tunnel::{Encapsulator, Flow};

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const LAN: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);
const GATEWAY: PeerId = samples::GATEWAY.id;

/// What a path of 1500 bytes carries: a frame of 1414 bytes fits, a full one does not.
const BUDGET: usize = 1440;

fn path() -> ClientPath {
    let mut path = ClientPath::new(ClientPathConfig {
        mac: MAC,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        seed: 1,
    });
    let info = JoinInfo {
        budget: BUDGET,
        ..joined(PeerId(5))
    };
    samples::join(&mut path, info, &[samples::GATEWAY], Instant::now());

    path
}

/// A TCP segment over IPv4 of `len` bytes, Ethernet header included, without checksums.
fn tcp(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    let mut frame = [&destination.0[..], &source.0, &[8, 0]].concat();
    let total = u16::try_from(len - 14).expect("a packet");
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([
        0x13, 0x88, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    ]);
    frame.resize(len, 7);

    frame
}

fn up(c: &mut Criterion, name: &str, vnet: VnetHeader, len: usize) {
    let (mut path, mut out) = (path(), Outbox::default());
    let mut frame = tcp(LAN, MAC, len);
    let now = Instant::now();
    let mut group = c.benchmark_group("client_path_up");
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            out.clear();
            path.handle_local(vnet, black_box(&mut frame), BUDGET, now, &mut out);
        });
    });
    group.finish();
    assert!(!out.up.is_empty(), "the frame goes up");
}

fn down(c: &mut Criterion, name: &str, count: usize, len: usize) {
    let (mut path, mut out) = (path(), Outbox::default());
    let frame = tcp(MAC, LAN, len);
    let header = overlay::header(ROOM, GATEWAY, false, u16::try_from(len).expect("a frame"));
    let datagram = [&header[..], &frame].concat().into();
    let now = Instant::now();
    let mut group = c.benchmark_group("client_path_down");
    group.throughput(Throughput::Bytes((len * count) as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            out.clear();
            for _ in 0..count {
                path.handle_datagram(black_box(&datagram), now, &mut out);
            }
        });
    });
    group.finish();
    assert_eq!(out.local.len(), count, "every frame comes down");
}

/// A frame of `len` bytes that comes as two fragments.
fn join(c: &mut Criterion, name: &str, len: usize) {
    let (mut path, mut out) = (path(), Outbox::default());
    let frame = tcp(MAC, LAN, len);
    let flow = Flow {
        id: 0,
        class: TrafficClass::Normal,
    };
    let mut fragments = Vec::new();
    Encapsulator::new(ROOM, GATEWAY, Mode::Full)
        .encapsulate(
            len,
            |buffer| buffer.copy_from_slice(&frame),
            BUDGET,
            flow,
            &mut fragments,
        )
        .expect("two fragments fit");
    let now = Instant::now();
    let mut group = c.benchmark_group("client_path_down");
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            out.clear();
            for (fragment, _) in &fragments {
                path.handle_datagram(black_box(fragment), now, &mut out);
            }
        });
    });
    group.finish();
    assert_eq!((fragments.len(), out.local.len()), (2, 1), "two make one");
}

fn paths(c: &mut Criterion) {
    let super_frame = VnetHeader {
        flags: FLAG_NEEDS_CSUM,
        gso_type: GSO_TCPV4,
        hdr_len: 54,
        gso_size: 1374,
        csum_start: 34,
        csum_offset: 16,
    };
    up(c, "super_frame_64k", super_frame, 65_549);
    up(c, "split_1514", VnetHeader::NONE, 1514);
    up(c, "whole_1414", VnetHeader::NONE, 1414);
    up(c, "small_64", VnetHeader::NONE, 64);
    down(c, "segments_64k", 46, 1414);
    join(c, "split_1514", 1514);
    down(c, "whole_1414", 1, 1414);
    down(c, "small_64", 1, 64);
}

criterion_group!(benches, paths);
criterion_main!(benches);
