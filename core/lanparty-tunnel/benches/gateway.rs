//! What a gateway's data path costs: LAN frames up, datagrams down.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use lanparty_offload::VnetHeader;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::{MacAddr, overlay};
use lanparty_samples::{GATEWAY, ROOM, client, join, joined};
use lanparty_session::{JoinInfo, Peer};
use lanparty_tunnel::{DataPath as _, Outbox};
use lanparty_tunnel::{GatewayPath, GatewayPathConfig, ProbeKeys};

const CARD: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 1]);
const LAN: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);
const REMOTE: MacAddr = MacAddr([2, 0, 0, 0, 0, 6]);
const CLIENT: Peer = client(6, REMOTE);

fn path(now: Instant) -> GatewayPath {
    let mut path = GatewayPath::new(GatewayPathConfig {
        interface: CARD,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        probes: ProbeKeys::new([7; 2], 1, "ROOM1"),
        seed: 1,
    });
    let info = JoinInfo {
        budget: 1434,
        ..joined(GATEWAY.id)
    };
    join(&mut path, info, &[CLIENT], now);

    path
}

/// A frame of IPX, which games of a certain age speak and nothing looks into.
fn frame(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    let mut frame = [&destination.0[..], &source.0, &[0x81, 0x37]].concat();
    frame.resize(len, 7);

    frame
}

fn paths(criterion: &mut Criterion) {
    let now = Instant::now();
    for len in [64, 1514] {
        let (mut path, mut out) = (path(now), Outbox::default());
        let mut heard = frame(REMOTE, LAN, len);
        criterion.bench_function(&format!("gateway_path_up/{len}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                path.handle_local(VnetHeader::NONE, black_box(&mut heard), 1434, now, &mut out);
            });
        });
        assert!(!out.up.is_empty(), "the frame goes up");
    }
    for len in [64, 1400] {
        let (mut path, mut out) = (path(now), Outbox::default());
        let frame = frame(LAN, REMOTE, len);
        let size = u16::try_from(len).expect("a frame is small");
        let header = overlay::header(ROOM, CLIENT.id, false, size);
        let datagram = [&header[..], &frame].concat().into();
        criterion.bench_function(&format!("gateway_path_down/{len}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                path.handle_datagram(black_box(&datagram), now, &mut out);
            });
        });
        assert_eq!(out.local.len(), 1, "the frame comes down");
    }
}

criterion_group!(benches, paths);
criterion_main!(benches);
