//! What a gateway's data path does with frames.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests need some instant to start from"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::{LeaveReason, Mode};
use lanparty_obs::{Action, DropReason};
use lanparty_offload::VnetHeader;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::probe::{self, Probe};
use lanparty_proto::{Frame, MacAddr, PeerId, Refusal, overlay};
use lanparty_samples::{GATEWAY, ROOM, client, joined};
use lanparty_session::{EndKind, JoinInfo, Neighbor, Output, Peer, SUSPICION, SessionEnd};
use lanparty_tunnel::{DataPath as _, Outbox};
use lanparty_tunnel::{GatewayPath, GatewayPathConfig, ProbeKeys, REFRESH_INTERVAL};

const NIC: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 1]);
const LAN: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);
const REMOTE: MacAddr = MacAddr([2, 0, 0, 0, 0, 6]);
const CLIENT: Peer = client(6, REMOTE);

struct Bench {
    path: GatewayPath,
    now: Instant,
}

impl Bench {
    fn new(mode: Mode, mtu: u16) -> Self {
        let mut bench = Self::alone(mode, mtu);
        bench.tell(&Output::PeerJoined(CLIENT));

        bench
    }

    fn alone(mode: Mode, mtu: u16) -> Self {
        let mut bench = Self {
            path: GatewayPath::new(GatewayPathConfig {
                interface: NIC,
                policy: Policy::DEFAULT,
                player: PlayerPolicy::default(),
                probes: ProbeKeys::new([7; 2], 1, "ROOM1"),
                seed: 1,
            }),
            now: Instant::now(),
        };
        bench.tell(&Output::Joined(JoinInfo {
            mtu,
            mode,
            ..joined(GATEWAY.id)
        }));

        bench
    }

    fn tell(&mut self, output: &Output) -> Vec<Bytes> {
        let mut out = Outbox::default();
        self.path.handle_session(output, self.now, &mut out);

        out.local
    }

    fn wake(&mut self) -> Vec<Bytes> {
        let mut out = Outbox::default();
        self.path.handle_timeout(self.now, &mut out);

        out.local
    }

    fn hear(&mut self, frame: &[u8]) -> Outbox {
        let mut out = Outbox::default();
        let mut frame = frame.to_vec();
        self.path
            .handle_local(VnetHeader::NONE, &mut frame, 1400, self.now, &mut out);

        out
    }

    fn receive(&mut self, from: PeerId, frame: &[u8]) -> Vec<Bytes> {
        let header = overlay::header(ROOM, from, false, u16::try_from(frame.len()).unwrap());
        let mut out = Outbox::default();
        let datagram = [&header[..], frame].concat().into();
        self.path.handle_datagram(&datagram, self.now, &mut out);

        out.local
    }
}

fn frame(destination: MacAddr, source: MacAddr, kind: u16, len: usize) -> Vec<u8> {
    let mut bytes = [&destination.0[..], &source.0, &kind.to_be_bytes()].concat();
    bytes.resize(len, 7);

    bytes
}

fn ipx(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    frame(destination, source, 0x8137, len)
}

fn is_probe(frame: &[u8]) -> bool {
    Probe::parse(&Frame::parse(frame).unwrap()).is_some()
}

#[test]
fn lan_frames_that_are_nobodys_business_stay_on_the_lan() {
    let cases = [
        (ipx(NIC, LAN, 100), DropReason::NotRemote),
        (vec![0; 10], DropReason::MalformedFrame),
        (ipx(REMOTE, REMOTE, 100), DropReason::RemoteMacOnLan),
        (
            ipx(REMOTE, MacAddr([1, 0, 0, 0, 0, 1]), 100),
            DropReason::Policy(Refusal::InvalidSource),
        ),
        (
            ipx(MacAddr([1, 0x80, 0xc2, 0, 0, 0]), LAN, 100),
            DropReason::Policy(Refusal::ReservedGroup),
        ),
        (ipx(REMOTE, LAN, 1515), DropReason::Policy(Refusal::Jumbo)),
    ];
    for (frame, reason) in cases {
        let mut bench = Bench::new(Mode::Full, 1500);
        assert!(bench.hear(&frame).is_empty(), "{reason}");
        assert_eq!(bench.path.counters().drops_up.get(reason), 1, "{reason}");
        assert_eq!(bench.path.counters().drops_up.total(), 1);
    }
}

#[test]
fn unicast_for_a_remote_client_and_broadcast_go_up_with_their_tags() {
    let mut bench = Bench::new(Mode::Full, 1500);
    let mut tagged = frame(REMOTE, LAN, 0x8100, 100);
    tagged[14..18].copy_from_slice(&[0, 5, 0x81, 0x37]);
    for frame in [
        ipx(REMOTE, LAN, 100),
        ipx(MacAddr::BROADCAST, LAN, 100),
        tagged,
    ] {
        let out = bench.hear(&frame);
        assert_eq!(out.up[0].0[12..], frame);
    }
}

#[test]
fn chatty_lan_is_limited_and_unicast_is_not() {
    let mut bench = Bench::new(Mode::Full, 1500);
    for _ in 0..1000 {
        bench.hear(&ipx(MacAddr::BROADCAST, LAN, 100));
        assert_eq!(bench.hear(&ipx(REMOTE, LAN, 100)).up.len(), 1);
    }
    let drops = &bench.path.counters().drops_up;

    assert_eq!(drops.get(DropReason::RateBroadcast), 1000 - 96);
}

#[test]
fn room_without_clients_hears_nothing() {
    let mut bench = Bench::alone(Mode::Full, 1500);

    assert!(bench.hear(&ipx(MacAddr::BROADCAST, LAN, 100)).is_empty());
}

#[test]
fn remote_frames_reach_the_lan_padded_as_a_card_would() {
    let mut bench = Bench::new(Mode::Full, 1500);
    let local = bench.receive(CLIENT.id, &ipx(LAN, REMOTE, 20));

    assert_eq!(local[0].len(), 60);
    assert_eq!(local[0][..20], ipx(LAN, REMOTE, 20));
    assert_eq!(local[0][20..], [0; 40]);
}

#[test]
fn last_boundary_before_the_lan_believes_nobody() {
    let cases = [
        (PeerId(6), ipx(LAN, LAN, 100), DropReason::SpoofedSource),
        (PeerId(7), ipx(LAN, REMOTE, 100), DropReason::UnknownPeer),
        (PeerId(1), ipx(LAN, REMOTE, 100), DropReason::OwnFrame),
        (
            PeerId(6),
            frame(LAN, REMOTE, 0x8100, 100),
            DropReason::Policy(Refusal::VlanTag),
        ),
        (
            PeerId(6),
            frame(LAN, REMOTE, 0x88b5, 100),
            DropReason::Policy(Refusal::GatewayProbe),
        ),
    ];
    for (from, bytes, reason) in cases {
        let mut bench = Bench::new(Mode::Full, 1500);
        assert!(bench.receive(from, &bytes).is_empty(), "{reason}");
        assert_eq!(bench.path.counters().drops_down.get(reason), 1, "{reason}");
    }
}

#[test]
fn switches_are_taught_a_remote_mac_at_once_and_every_minute() {
    let mut bench = Bench::alone(Mode::Full, 1500);
    bench.path.set_events(true);
    let first = bench.tell(&Output::PeerJoined(CLIENT));
    assert_eq!(first[0].len(), 60);
    assert_eq!(first[0][..14], frame(NIC, REMOTE, 0x88b5, 14));
    let logged = bench.path.poll_event().unwrap();
    assert_eq!(logged.action, Action::Sent("peer_joined"));
    assert_eq!((logged.peer, logged.len), (Some(CLIENT.id), 60));

    for _ in 0..3 {
        bench.now += REFRESH_INTERVAL;
        assert!(bench.path.poll_timeout().unwrap() <= bench.now);
        let mut out = Outbox::default();
        bench.path.handle_timeout(bench.now, &mut out);
        out.local.retain(|frame| !is_probe(frame));
        assert_eq!(out.local, first);
        let occasions: Vec<_> = std::iter::from_fn(|| bench.path.poll_event())
            .map(|event| event.action)
            .filter(|action| matches!(action, Action::Sent(_)))
            .collect();
        assert_eq!(occasions, [Action::Sent("periodic")]);
    }

    bench.tell(&Output::PeerDetached(CLIENT));
    for (then, frames) in [
        (None, 1),
        (Some(Output::PeerLeft(CLIENT, LeaveReason::Timeout)), 0),
    ] {
        bench.now += REFRESH_INTERVAL;
        then.map(|output| bench.tell(&output));
        let mut out = Outbox::default();
        bench.path.handle_timeout(bench.now, &mut out);
        out.local.retain(|frame| !is_probe(frame));
        assert_eq!(out.local.len(), frames, "kept while detached, not longer");
    }
}

#[test]
fn remote_macs_are_told_when_they_change() {
    let mut bench = Bench::new(Mode::Full, 1500);
    assert_eq!(bench.path.take_remotes().unwrap(), [REMOTE]);
    assert_eq!(bench.path.take_remotes(), None);

    bench.tell(&Output::PeerLeft(CLIENT, LeaveReason::Disconnect));
    assert_eq!(bench.path.take_remotes().unwrap(), []);
}

#[test]
fn lan_sender_of_a_packet_over_a_native_rooms_mtu_is_told() {
    let mut bench = Bench::new(Mode::Native, 1200);
    let mut packet = frame(REMOTE, LAN, 0x0800, 1514);
    packet[14..34].copy_from_slice(&[
        0x45, 0, 0x05, 0xdc, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    let out = bench.hear(&packet);

    assert!(out.up.is_empty());
    assert_eq!(out.local[0][..12], [LAN.0, REMOTE.0].concat());
    assert_eq!(out.local[0][34..36], [3, 4]);
    assert_eq!(out.local[0][40..42], 1200u16.to_be_bytes());
}

fn arp(source: MacAddr, address: [u8; 4]) -> Vec<u8> {
    let mut bytes = frame(MacAddr::BROADCAST, source, 0x0806, 42);
    bytes[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    bytes[22..28].copy_from_slice(&source.0);
    bytes[28..32].copy_from_slice(&address);
    bytes[32..38].fill(0);
    bytes[38..42].copy_from_slice(&[10, 0, 0, 254]);

    bytes
}

/// What a host of the LAN answers to an ARP probe of the gateway's: to its MAC alone.
fn answer(address: [u8; 4]) -> Vec<u8> {
    let mut bytes = arp(LAN, address);
    bytes[..6].copy_from_slice(&NIC.0);
    bytes[20..22].copy_from_slice(&[0, 2]);
    bytes[32..42].copy_from_slice(&[&NIC.0[..], &[0; 4]].concat());

    bytes
}

fn is_question(bytes: &Bytes, address: [u8; 4]) -> bool {
    bytes[..14] == frame(MacAddr::BROADCAST, NIC, 0x0806, 14) && bytes[38..42] == address
}

#[test]
fn a_silent_hosts_answer_to_the_gateway_alone_keeps_its_address_and_goes_no_further() {
    let mut bench = Bench::new(Mode::Full, 1500);
    let address = [10, 0, 0, 1];
    let sent = bench.receive(CLIENT.id, &arp(REMOTE, address));
    assert!(sent.len() == 1 && is_question(&sent[0], address));
    // The answer to the first question is lost, the one to the second is not.
    bench.now += Duration::from_millis(250);
    let sent = bench.wake();
    assert_eq!(
        sent.iter()
            .filter(|sent| is_question(sent, address))
            .count(),
        1
    );

    let heard = bench.hear(&answer(address));
    assert!(heard.up.is_empty() && heard.local.is_empty());
    for _ in 0..16 {
        bench.now += Duration::from_millis(250);
        assert!(!bench.wake().iter().any(|sent| is_question(sent, address)));
        assert!(bench.receive(CLIENT.id, &arp(REMOTE, address)).is_empty());
    }
    let told = std::iter::from_fn(|| bench.path.poll_status()).map(|line| line.to_string());
    let told: Vec<_> = told.collect();
    assert!(
        told.len() == 1 && told[0].contains(&format!("belongs to {LAN} on the LAN")),
        "{told:?}"
    );
}

#[test]
fn an_address_that_nobody_answers_for_is_a_clients_until_somebody_does() {
    let mut bench = Bench::new(Mode::Full, 1500);
    let address = [10, 0, 0, 1];
    let passes = |bench: &mut Bench| {
        let sent = bench.receive(CLIENT.id, &arp(REMOTE, address));
        sent.iter()
            .any(|sent| sent.starts_with(&arp(REMOTE, address)))
    };
    for _ in 0..3 {
        assert!(!passes(&mut bench));
        bench.now += Duration::from_millis(250);
        bench.wake();
    }
    assert!(passes(&mut bench));

    bench.hear(&answer(address));
    bench.wake();
    assert!(!passes(&mut bench));
    let told = bench.path.poll_status().unwrap().to_string();
    assert!(
        told.contains(&format!("{REMOTE} may not use 10.0.0.1 any more")),
        "{told}"
    );
}

#[test]
fn what_the_lan_was_asked_while_nobody_listened_is_asked_again() {
    let mut bench = Bench::new(Mode::Full, 1500);
    let address = [10, 0, 0, 1];
    bench.receive(CLIENT.id, &arp(REMOTE, address));
    bench.tell(&Output::Detached);
    for _ in 0..4 {
        bench.now += Duration::from_millis(250);
        bench.wake();
        bench.hear(&answer(address));
    }
    bench.tell(&Output::Joined(JoinInfo {
        same_membership: true,
        mtu: 1500,
        mode: Mode::Full,
        ..joined(GATEWAY.id)
    }));
    bench.tell(&Output::PeerJoined(CLIENT));

    let sent = bench.receive(CLIENT.id, &arp(REMOTE, address));
    assert!(sent.len() == 1 && is_question(&sent[0], address));
}

#[test]
fn a_client_with_the_mac_of_the_gateways_card_neither_hears_nor_says_anything() {
    let mut bench = Bench::alone(Mode::Full, 1500);
    let twin = client(6, NIC);
    bench.tell(&Output::PeerJoined(twin));

    for frame in [ipx(NIC, LAN, 80), answer([10, 0, 0, 1])] {
        assert!(bench.hear(&frame).up.is_empty());
    }
    for frame in [ipx(LAN, NIC, 80), arp(NIC, [10, 0, 0, 2])] {
        assert!(bench.receive(twin.id, &frame).is_empty());
    }
}

#[test]
fn address_of_a_lan_station_is_not_a_remote_clients_to_claim() {
    let mut bench = Bench::new(Mode::Full, 1500);
    bench.hear(&arp(LAN, [10, 0, 0, 1]));

    assert!(
        bench
            .receive(CLIENT.id, &arp(REMOTE, [10, 0, 0, 1]))
            .is_empty()
    );
    let drops = &bench.path.counters().drops_down;
    assert_eq!(drops.get(DropReason::AddressClaim), 1);
    assert_eq!(
        bench.receive(CLIENT.id, &arp(REMOTE, [10, 0, 0, 2])).len(),
        1
    );
}

#[test]
fn without_a_place_nothing_passes_and_only_the_rooms_other_gateway_is_heard() {
    let mut active = Bench::new(Mode::Full, 1500);
    let mut out = Outbox::default();
    active.path.handle_timeout(active.now, &mut out);
    let presence = out.local.into_iter().find(|frame| is_probe(frame)).unwrap();
    let end = Output::Ended(SessionEnd {
        sentence: String::new(),
        kind: EndKind::Left,
    });
    let goodbye = active.tell(&end);
    let mut standby = Bench {
        path: GatewayPath::new(GatewayPathConfig {
            interface: LAN,
            policy: Policy::DEFAULT,
            player: PlayerPolicy::default(),
            probes: ProbeKeys::new([8; 2], 2, "ROOM1"),
            seed: 2,
        }),
        now: active.now,
    };
    let sign = |is_leaving| {
        Some(Neighbor {
            source: probe::source(NIC),
            is_leaving,
        })
    };

    assert!(standby.hear(&ipx(MacAddr::BROADCAST, LAN, 60)).is_empty());
    assert_eq!(standby.path.take_neighbor(), None);
    assert!(standby.hear(&presence).is_empty());
    assert_eq!(standby.path.take_neighbor(), sign(false));
    assert_eq!(standby.path.take_neighbor(), None);
    assert!(standby.hear(&goodbye[0]).is_empty());
    assert_eq!(standby.path.take_neighbor(), sign(true));
    assert!(
        standby.tell(&end).is_empty(),
        "who was no member does not leave"
    );
    assert!(standby.receive(PeerId(6), &ipx(LAN, REMOTE, 60)).is_empty());
    assert_eq!(standby.path.poll_timeout(), None, "nothing is ever sent");
    assert_eq!(
        active.path.counters().drops_up.get(DropReason::NotJoined),
        0
    );
    assert_eq!(
        standby.path.counters().drops_up.get(DropReason::NotJoined),
        3
    );
}

#[test]
fn a_gateway_that_lost_the_relay_does_not_keep_the_clients_on_its_port() {
    let mut bench = Bench::new(Mode::Full, 1500);
    bench.tell(&Output::Detached);
    bench.now += REFRESH_INTERVAL * 2;
    let mut out = Outbox::default();
    bench.path.handle_timeout(bench.now, &mut out);

    assert!(out.local.is_empty(), "{:?}", out.local);
}

/// What the gateway says to the LAN of its own accord, `after` from now.
fn said(bench: &mut Bench, after: Duration) -> Vec<Bytes> {
    bench.now += after;
    let mut out = Outbox::default();
    bench.path.handle_timeout(bench.now, &mut out);

    out.local
}

#[test]
fn a_gateway_that_lost_the_relay_does_not_keep_the_clients_on_its_port_although_one_leaves() {
    let mut bench = Bench::new(Mode::Full, 1500);
    bench.tell(&Output::PeerJoined(client(7, MacAddr([2, 0, 0, 0, 0, 7]))));
    bench.tell(&Output::Detached);
    bench.tell(&Output::PeerLeft(CLIENT, LeaveReason::Timeout));

    let said = said(&mut bench, REFRESH_INTERVAL * 2);
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_gateway_whose_relay_does_not_answer_is_silent_on_the_lan_until_it_does() {
    let mut bench = Bench::new(Mode::Full, 1500);
    let count = |frames: &[Bytes]| {
        let probes = frames.iter().filter(|frame| is_probe(frame)).count();
        (probes, frames.len() - probes)
    };
    assert_eq!(count(&said(&mut bench, Duration::ZERO)), (1, 0));

    bench.path.handle_silence(SUSPICION, bench.now);
    bench.tell(&Output::PeerDetached(CLIENT));
    let meanwhile = said(&mut bench, REFRESH_INTERVAL);
    assert!(meanwhile.is_empty(), "{meanwhile:?}");

    bench.path.handle_silence(Duration::ZERO, bench.now);
    let afterwards = said(&mut bench, Duration::ZERO);
    assert_eq!(
        count(&afterwards),
        (1, 1),
        "the sign of presence, and the refresh that was missed"
    );
}

#[test]
fn a_new_connection_ends_the_doubt_about_the_old_one() {
    let mut bench = Bench::new(Mode::Full, 1500);
    bench.path.handle_silence(SUSPICION, bench.now);

    bench.tell(&Output::Joined(joined(GATEWAY.id)));

    assert!(!said(&mut bench, Duration::ZERO).is_empty());
}

/// The first writing comes while the LAN is still being asked, and leaves the address out.
#[test]
fn an_address_is_written_down_as_soon_as_nobody_on_the_lan_has_answered_for_it() {
    let mut bench = Bench::new(Mode::Full, 1500);
    bench.path.take_memory(bench.now);
    let address = [192, 168, 77, 40];
    let mut announcement = frame(MacAddr([0xff; 6]), REMOTE, 0x0806, 60);
    announcement[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    announcement[22..28].copy_from_slice(&REMOTE.0);
    announcement[28..32].copy_from_slice(&address);
    announcement[32..38].fill(0);
    announcement[38..42].copy_from_slice(&address);
    bench.now += Duration::from_secs(1);
    bench.receive(CLIENT.id, &announcement);
    bench.wake();
    let asked = bench.path.take_memory(bench.now).unwrap();
    assert!(!asked.contains("192.168.77.40"), "{asked}");

    for _ in 0..8 {
        bench.now += Duration::from_millis(250);
        bench.wake();
    }

    let written = bench.path.take_memory(bench.now);
    assert!(written.is_some_and(|written| written.contains("192.168.77.40")));
}
