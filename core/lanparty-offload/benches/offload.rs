//! What the pieces of the data path cost.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_offload::mss;
use lanparty_offload::vnet::{FLAG_NEEDS_CSUM, GSO_TCPV4};
use lanparty_offload::{Coalescer, FlowHasher, Super, VnetHeader};
use lanparty_proto::checksum::{self, ChecksumState};

/// TCP payload of a full frame with timestamps.
const SIZE: u16 = 1448;
/// Frames of a super-frame of 64 KiB.
const FRAMES: usize = 45;

fn benches(c: &mut Criterion) {
    let (vnet, frame) = super_frame();
    let parsed = Super::parse(&vnet, &frame).expect("the frame is sound");
    let cut: Vec<Bytes> = parsed
        .segments(None)
        .expect("the frame is sound")
        .map(|segment| {
            let mut out = Vec::new();
            segment.append(&mut out);
            out.into()
        })
        .collect();

    let mut group = c.benchmark_group("offload");
    group.throughput(Throughput::Bytes(1448));
    let payload = vec![7; 1448];
    group.bench_function("checksum 1448 bytes", |b| {
        b.iter(|| checksum::of(black_box(&payload)));
    });

    group.throughput(Throughput::Elements(1));
    let mut full = cut.first().map(|frame| frame.to_vec()).unwrap_or_default();
    group.bench_function("clamp that misses", |b| {
        b.iter(|| mss::clamp(black_box(&mut full), 1400, ChecksumState::Complete));
    });
    let hasher = FlowHasher::new(7);
    group.bench_function("flow hash", |b| {
        b.iter(|| hasher.read(black_box(&frame)));
    });

    group.throughput(Throughput::Elements(FRAMES as u64));
    let mut out = vec![0; 2048];
    group.bench_function("cut 64 KiB of TCP", |b| {
        b.iter(|| {
            let parsed = Super::parse(&vnet, black_box(&frame)).expect("the frame is sound");
            for segment in parsed.segments(None).expect("the frame is sound") {
                black_box(segment.write(&mut out));
            }
        });
    });
    let mut coalescer = Coalescer::new(CoalesceOptions {
        tcp: true,
        udp: false,
    });
    group.bench_function("merge 45 frames", |b| {
        b.iter_batched_ref(
            || cut.clone(),
            |frames| {
                for frame in frames.drain(..) {
                    coalescer.push(frame);
                }
                coalescer.flush(|out| {
                    black_box(out.pieces.len());
                });
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn super_frame() -> (VnetHeader, Vec<u8>) {
    let payload = usize::from(SIZE) * FRAMES;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(
        u16::try_from(52 + payload)
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([
        0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 9, 0x80, 0x10, 1, 0, 0, 0, 0, 0,
    ]);
    frame.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    frame.resize(frame.len() + payload, 0x5a);
    let vnet = VnetHeader {
        flags: FLAG_NEEDS_CSUM,
        gso_type: GSO_TCPV4,
        hdr_len: 66,
        gso_size: SIZE,
        csum_start: 34,
        csum_offset: 16,
    };

    (vnet, frame)
}

criterion_group!(offload, benches);
criterion_main!(offload);
