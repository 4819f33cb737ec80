//! What gateway and client do about a loop, without a network.

#![expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to start from"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::ForeignSource;
use lanparty_obs::{DropReason, StatusLine};
use lanparty_offload::VnetHeader;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::probe::{self, Probe, ProbeKind};
use lanparty_proto::{Frame, MacAddr, PeerId, overlay};
use lanparty_samples::{GATEWAY, ROOM, client, join, joined};
use lanparty_session::Output;
use lanparty_tunnel::{ClientPath, ClientPathConfig, DataPath, Outbox};
use lanparty_tunnel::{GatewayPath, GatewayPathConfig, PROBE_INTERVAL, ProbeKeys};

const NIC: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 1]);
const BRIDGED: MacAddr = MacAddr([2, 0, 0, 0, 0, 6]);
const GOOD: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

/// A gateway and the two clients of its room.
struct Bench {
    gateway: GatewayPath,
    bridged: ClientPath,
    good: ClientPath,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let player = |mac| {
            ClientPath::new(ClientPathConfig {
                mac,
                policy: Policy::DEFAULT,
                player: PlayerPolicy::default(),
                seed: 1,
            })
        };
        let mut bench = Self {
            gateway: gateway(1),
            bridged: player(BRIDGED),
            good: player(GOOD),
            now,
        };
        let (six, seven) = (client(6, BRIDGED), client(7, GOOD));
        join(&mut bench.gateway, joined(GATEWAY.id), &[six, seven], now);
        join(&mut bench.bridged, joined(six.id), &[GATEWAY, seven], now);
        join(&mut bench.good, joined(seven.id), &[GATEWAY, six], now);

        bench
    }

    /// Lets `time` pass; returns what the gateway sends up and to the LAN.
    fn pass(&mut self, time: Duration) -> (Vec<Bytes>, Vec<Bytes>) {
        self.now += time;
        let mut out = Outbox::default();
        self.gateway.handle_timeout(self.now, &mut out);

        let up = out.up.into_iter().map(|(datagram, _)| datagram).collect();
        (up, out.local)
    }

    /// Gives datagrams of the gateway to both clients, as the relay does; returns what the bridged one sends out of its TAP.
    fn relay(&mut self, up: &[Bytes]) -> Vec<Bytes> {
        let (mut out, mut unheard) = (Outbox::default(), Outbox::default());
        for datagram in up {
            self.bridged.handle_datagram(datagram, self.now, &mut out);
            self.good.handle_datagram(datagram, self.now, &mut unheard);
        }

        out.local
    }

    /// The LAN port hears a frame.
    fn hear(&mut self, frame: &[u8]) {
        let mut out = Outbox::default();
        let mut frame = frame.to_vec();
        self.gateway
            .handle_local(VnetHeader::NONE, &mut frame, 1400, self.now, &mut out);
    }

    /// Closes the loop for one round.
    fn go_round(&mut self) {
        let (up, _) = self.pass(PROBE_INTERVAL);
        let only_the_client_s: Vec<Bytes> = up
            .into_iter()
            .filter(|datagram| datagram[overlay::HEADER_LEN..][..6] == BRIDGED.0)
            .collect();
        for frame in self.relay(&only_the_client_s) {
            self.hear(&frame);
        }
    }

    fn drop_of(&mut self, id: u16, mac: MacAddr) -> Option<DropReason> {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&[0xff; 6]);
        frame[6..12].copy_from_slice(&mac.0);
        frame[12..14].copy_from_slice(&[0x81, 0x37]);
        let header = overlay::header(ROOM, PeerId(id), false, 60);
        let datagram = [&header[..], &frame].concat().into();
        let before = self.gateway.counters().drops_down.clone();
        let mut out = Outbox::default();
        self.gateway.handle_datagram(&datagram, self.now, &mut out);
        let after = &self.gateway.counters().drops_down;

        after
            .iter()
            .find(|(reason, count)| *count > before.get(*reason))
            .map(|(reason, _)| reason)
    }
}

fn gateway(instance: u64) -> GatewayPath {
    GatewayPath::new(GatewayPathConfig {
        interface: NIC,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        probes: ProbeKeys::new([7; 2], instance, "ROOM1"),
        seed: 1,
    })
}

fn lines(path: &mut impl DataPath) -> Vec<StatusLine> {
    std::iter::from_fn(|| path.poll_status()).collect()
}

#[test]
fn probe_that_comes_back_blocks_its_client_and_no_other() {
    let mut bench = Bench::new();

    bench.go_round();

    let lasting = Duration::from_mins(1);
    let told = StatusLine::LoopBlocked {
        mac: BRIDGED,
        lasting,
    };
    assert_eq!(lines(&mut bench.gateway), [told]);
    assert_eq!(bench.drop_of(6, BRIDGED), Some(DropReason::LoopBlocked));
    assert_ne!(bench.drop_of(7, GOOD), Some(DropReason::LoopBlocked));
}

#[test]
fn everybody_is_told_and_the_client_keeps_still() {
    let mut bench = Bench::new();
    bench.go_round();

    let (up, _) = bench.pass(Duration::from_millis(100));
    let passed_on = bench.relay(&up);

    assert!(passed_on.is_empty(), "a blocked client sends no probe on");
    assert!(matches!(
        lines(&mut bench.bridged)[..],
        [StatusLine::LoopHere { .. }]
    ));
    assert!(matches!(
        lines(&mut bench.good)[..],
        [StatusLine::LoopBlocked { mac: BRIDGED, .. }]
    ));
    let mut frame = [0; 60];
    frame[6..12].copy_from_slice(&BRIDGED.0);
    frame[0] = 0xff;
    let mut out = Outbox::default();
    bench
        .bridged
        .handle_local(VnetHeader::NONE, &mut frame, 1400, bench.now, &mut out);
    assert!(out.is_empty());
    let drops = &bench.bridged.counters().drops_up;
    assert_eq!(drops.get(DropReason::LoopBlocked), 1);
}

#[test]
fn block_ends_and_the_next_is_twice_as_long() {
    let mut bench = Bench::new();
    bench.go_round();
    let (up, _) = bench.pass(Duration::from_secs(61));
    bench.relay(&up);
    assert!(lines(&mut bench.gateway).contains(&StatusLine::LoopOver(BRIDGED)));
    assert_ne!(bench.drop_of(6, BRIDGED), Some(DropReason::LoopBlocked));

    bench.go_round();

    let told = StatusLine::LoopBlocked {
        mac: BRIDGED,
        lasting: Duration::from_mins(2),
    };
    assert!(lines(&mut bench.gateway).contains(&told));
}

#[test]
fn a_block_is_handed_over_to_a_new_process_and_not_written_down() {
    let mut bench = Bench::new();
    bench.go_round();
    let handed_over = bench.gateway.memory(bench.now);
    assert_eq!(bench.gateway.take_memory(bench.now), None, "not yet");
    let written = (bench.gateway).take_memory(bench.now + Duration::from_mins(1));

    for (memory, is_blocked) in [(handed_over, true), (written, false)] {
        bench.gateway = gateway(1);
        let others = [client(6, BRIDGED), client(7, GOOD)];
        join(&mut bench.gateway, joined(GATEWAY.id), &others, bench.now);
        bench.gateway.restore(&memory.unwrap(), bench.now);

        let drop = bench.drop_of(6, BRIDGED);
        assert_eq!(drop == Some(DropReason::LoopBlocked), is_blocked);
        assert_ne!(bench.drop_of(7, GOOD), Some(DropReason::LoopBlocked));
    }
}

#[test]
fn forged_and_old_probes_block_nobody() {
    let mut bench = Bench::new();
    let (up, _) = bench.pass(PROBE_INTERVAL);
    let old = bench.relay(&up);
    for _ in 0..20 {
        bench.pass(PROBE_INTERVAL);
    }
    for frame in &old {
        bench.hear(frame);
    }
    let forged = Probe {
        kind: ProbeKind::Tunnel,
        peer: PeerId(6),
        instance: 1,
        number: 21,
        tag: 1,
    };
    bench.hear(&forged.frame(probe::GROUP, GOOD));

    assert!(!old.is_empty());
    assert!(lines(&mut bench.gateway).is_empty());
}

#[test]
fn storm_asks_for_probes_before_their_time() {
    let mut bench = Bench::new();
    bench.pass(PROBE_INTERVAL);
    let mut broadcast = [0; 60];
    broadcast[..6].copy_from_slice(&[0xff; 6]);
    broadcast[6..12].copy_from_slice(&[0, 0x1b, 0x21, 0, 0, 9]);
    broadcast[12..14].copy_from_slice(&[0x81, 0x37]);
    for _ in 0..600 {
        bench.hear(&broadcast);
    }

    let (up, _) = bench.pass(Duration::from_millis(100));

    assert_eq!(up.len(), 2, "a probe for each client");
}

#[test]
fn gateways_notice_each_other() {
    let mut bench = Bench::new();
    let (_, own) = bench.pass(PROBE_INTERVAL);
    let presence = |path: &mut GatewayPath, now| {
        join(path, joined(GATEWAY.id), &[], now);
        let mut out = Outbox::default();
        path.handle_timeout(now, &mut out);
        out.local
    };
    let twin = presence(&mut gateway(2), bench.now);
    let mut outsider = GatewayPath::new(GatewayPathConfig {
        interface: NIC,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        probes: ProbeKeys::new([8; 2], 3, "OTHER"),
        seed: 1,
    });
    let outsider = presence(&mut outsider, bench.now);

    for frame in own.iter().chain(&twin).chain(&outsider) {
        assert!(Probe::parse(&Frame::parse(frame).unwrap()).is_some());
        bench.hear(frame);
        bench.hear(frame);
    }

    assert_eq!(
        lines(&mut bench.gateway),
        [
            StatusLine::LanLoop,
            StatusLine::OtherGateway { same_room: true },
            StatusLine::OtherGateway { same_room: false },
        ]
    );
}

#[test]
fn frames_of_other_machines_out_of_the_tap_are_told_once() {
    let mut bench = Bench::new();
    let mut frame = [0; 60];
    frame[..6].copy_from_slice(&[0xff; 6]);
    frame[6..12].copy_from_slice(&[0, 1, 2, 3, 4, 5]);
    for _ in 0..3 {
        let mut out = Outbox::default();
        bench
            .bridged
            .handle_local(VnetHeader::NONE, &mut frame, 1400, bench.now, &mut out);
        assert!(out.is_empty());
    }

    assert_eq!(lines(&mut bench.bridged), [StatusLine::Bridged]);
}

/// A PC of the LAN, as it says by ARP that it has an address.
const STATION: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);

impl Bench {
    fn hear_station(&mut self) {
        let mut arp = [&[0xff; 6][..], &STATION.0, &[8, 6]].concat();
        arp.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend(STATION.0);
        arp.extend([10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]);
        arp.resize(60, 0);
        self.hear(&arp);
    }

    /// The relay says that client 6 sent a frame of another machine.
    fn hear_foreign(&mut self, mac: MacAddr) {
        let foreign = ForeignSource {
            peer: PeerId(6),
            mac,
        };
        let mut out = Outbox::default();
        self.gateway
            .handle_session(&Output::ForeignSource(foreign), self.now, &mut out);
        assert!(out.is_empty());
    }
}

#[test]
fn a_lan_station_s_frame_from_a_client_blocks_it_for_a_minute_and_tells_everybody() {
    for station in [STATION, NIC] {
        let mut bench = Bench::new();
        bench.hear_station();
        bench.pass(PROBE_INTERVAL);

        bench.hear_foreign(station);
        bench.hear_foreign(station);

        let lasting = Duration::from_mins(1);
        let told = StatusLine::LoopBlocked {
            mac: BRIDGED,
            lasting,
        };
        assert_eq!(lines(&mut bench.gateway), [told]);
        assert_eq!(bench.drop_of(6, BRIDGED), Some(DropReason::LoopBlocked));
        let (up, _) = bench.pass(Duration::from_millis(100));
        bench.relay(&up);
        assert!(matches!(
            lines(&mut bench.bridged)[..],
            [StatusLine::LoopHere { .. }]
        ));
        assert!(matches!(
            lines(&mut bench.good)[..],
            [StatusLine::LoopBlocked { mac: BRIDGED, .. }]
        ));

        bench.pass(Duration::from_mins(1));
        assert_ne!(bench.drop_of(6, BRIDGED), Some(DropReason::LoopBlocked));
        assert!(lines(&mut bench.gateway).contains(&StatusLine::LoopOver(BRIDGED)));
    }
}

#[test]
fn frames_of_machines_that_are_not_on_the_lan_block_nobody() {
    let mut bench = Bench::new();
    let elsewhere = MacAddr([0, 0x1b, 0x21, 0, 0, 10]);
    bench.hear_foreign(STATION);
    bench.hear_station();
    bench.hear_foreign(elsewhere);
    bench.hear_foreign(GOOD);

    assert!(lines(&mut bench.gateway).is_empty());
    assert_ne!(bench.drop_of(6, BRIDGED), Some(DropReason::LoopBlocked));

    // A station that has not been heard for long is none any more.
    bench.pass(Duration::from_mins(16));
    bench.hear_foreign(STATION);
    assert!(lines(&mut bench.gateway).is_empty());
}
