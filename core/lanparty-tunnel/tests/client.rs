//! What a player's data path does with frames.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests need some instant to start from"
)]

use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::{LeaveReason, Mode, Role};
use lanparty_obs::{Action, DropReason};
use lanparty_offload::VnetHeader;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::{MacAddr, PeerId, Refusal, fragment, overlay};
use lanparty_queue::TrafficClass;
use lanparty_samples::{self as samples, ROOM, client, join, joined};
use lanparty_session::{JoinInfo, Output, Peer};
use lanparty_tunnel::{ClientPath, ClientPathConfig, DataPath as _, Flow, Outbox};
use lanparty_tunnel::{Decapsulator, Encapsulator};
use proptest::prelude::*;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const FRIEND: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const LAN: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);
const OWN: PeerId = PeerId(5);
const GATEWAY: PeerId = samples::GATEWAY.id;
const CLIENT: PeerId = PeerId(6);
const BUDGET: usize = 1200;
const FLOW: Flow = Flow {
    id: 0,
    class: TrafficClass::Normal,
};

fn path(mode: Mode, mtu: u16) -> ClientPath {
    let mut path = ClientPath::new(ClientPathConfig {
        mac: MAC,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        seed: 1,
    });
    let info = JoinInfo {
        mtu,
        mode,
        budget: BUDGET,
        ..joined(OWN)
    };
    let friend = client(CLIENT.0, FRIEND);
    join(&mut path, info, &[samples::GATEWAY, friend], Instant::now());

    path
}

fn ethernet(destination: MacAddr, source: MacAddr, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&destination.0[..], &source.0, &kind.to_be_bytes(), payload].concat()
}

/// An IPX frame, which the policy passes as it is.
fn ipx(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    ethernet(destination, source, 0x8137, &vec![7; len - 14])
}

fn ipv4(destination: MacAddr, source: MacAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    let total = u16::try_from(20 + payload.len()).unwrap();
    header[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = lanparty_proto::checksum::of(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());

    ethernet(destination, source, 0x0800, &[&header, payload].concat())
}

fn udp(len: usize) -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x89, 0, 0, 0, 0];
    packet.resize(8 + len, 1);
    let length = u16::try_from(packet.len()).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());

    packet
}

fn syn() -> Vec<u8> {
    vec![
        0x13, 0x88, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 0x05,
        0xb4,
    ]
}

fn mss_of(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[frame.len() - 2], frame[frame.len() - 1]])
}

fn datagrams(from: PeerId, mode: Mode, frame: &[u8]) -> Vec<Bytes> {
    let mut up = Vec::new();
    Encapsulator::new(ROOM, from, mode)
        .encapsulate(
            frame.len(),
            |place| place.copy_from_slice(frame),
            BUDGET,
            FLOW,
            &mut up,
        )
        .unwrap();

    up.into_iter().map(|(datagram, _)| datagram).collect()
}

fn deliver(path: &mut ClientPath, from: PeerId, frame: &[u8]) -> Vec<Bytes> {
    let mut out = Outbox::default();
    for datagram in datagrams(from, Mode::Full, frame) {
        path.handle_datagram(&datagram, Instant::now(), &mut out);
    }

    out.local
}

fn send(path: &mut ClientPath, frame: &[u8]) -> Outbox {
    let mut out = Outbox::default();
    let mut frame = frame.to_vec();
    path.handle_local(
        VnetHeader::NONE,
        &mut frame,
        BUDGET,
        Instant::now(),
        &mut out,
    );

    out
}

fn lost_up(path: &ClientPath) -> Vec<DropReason> {
    path.counters()
        .drops_up
        .iter()
        .map(|(reason, _)| reason)
        .collect()
}

fn lost_down(path: &ClientPath) -> Vec<DropReason> {
    path.counters()
        .drops_down
        .iter()
        .map(|(reason, _)| reason)
        .collect()
}

#[test]
fn frame_goes_up_behind_a_header_that_names_room_and_sender() {
    let mut path = path(Mode::Full, 1500);
    let frame = ipx(LAN, MAC, 100);
    let out = send(&mut path, &frame);

    let expected = [&overlay::header(ROOM, OWN, false, 100)[..], &frame].concat();
    assert_eq!(out.up[0].0, expected);
    assert_eq!(path.counters().up.bytes, 100);
}

#[test]
fn frame_over_the_budget_goes_as_two_datagrams_that_fit() {
    let mut path = path(Mode::Full, 1500);
    let out = send(&mut path, &ipx(LAN, MAC, 1514));

    assert_eq!(out.up.len(), 2);
    assert!(out.up.iter().all(|(datagram, _)| datagram.len() <= BUDGET));
    assert_eq!(out.up[0].1, out.up[1].1, "one flow");
}

#[test]
fn frames_that_are_not_the_players_own_never_cost_bandwidth() {
    let cases = [
        (ipx(LAN, FRIEND, 100), DropReason::SpoofedSource),
        (vec![0; 9], DropReason::MalformedFrame),
        (
            ethernet(MacAddr([1, 0x80, 0xc2, 0, 0, 0]), MAC, 0x8137, &[0; 50]),
            DropReason::Policy(Refusal::ReservedGroup),
        ),
        (
            ethernet(LAN, MAC, 0x8100, &[0, 1, 0x81, 0x37, 0, 0]),
            DropReason::Policy(Refusal::VlanTag),
        ),
        (ipx(LAN, MAC, 1515), DropReason::Policy(Refusal::Jumbo)),
    ];
    for (frame, reason) in cases {
        let mut path = path(Mode::Full, 1500);
        assert!(send(&mut path, &frame).is_empty(), "{reason}");
        assert_eq!(lost_up(&path), [reason]);
    }
}

#[test]
fn nothing_is_sent_without_a_place_and_again_after_coming_back() {
    let mut path = path(Mode::Full, 1500);
    path.handle_session(&Output::Detached, Instant::now(), &mut Outbox::default());

    assert!(send(&mut path, &ipx(LAN, MAC, 100)).is_empty());
    assert_eq!(lost_up(&path), [DropReason::NotJoined]);
}

#[test]
fn native_mode_tells_the_sender_of_a_packet_that_may_not_be_fragmented() {
    let mut path = path(Mode::Native, 1100);
    let out = send(&mut path, &ipv4(LAN, MAC, 17, &udp(1300)));

    assert!(out.up.is_empty());
    let answer = &out.local[0];
    assert_eq!(answer[..6], MAC.0);
    assert_eq!(answer[34..36], [3, 4], "fragmentation needed");
    assert_eq!(answer[40..42], 1100u16.to_be_bytes());
    assert_eq!(path.counters().drops_up.total(), 1);
}

#[test]
fn native_mode_fragments_a_packet_that_may_be() {
    let mut path = path(Mode::Native, 1100);
    let mut frame = ipv4(LAN, MAC, 17, &udp(1300));
    frame[20] = 0;
    let out = send(&mut path, &frame);

    assert_eq!(out.up.len(), 2);
    assert!(out.local.is_empty());
    assert_eq!(path.counters().drops_up.total(), 0);
}

#[test]
fn connections_are_opened_with_segments_that_fit_one_datagram_both_ways() {
    let mut path = path(Mode::Full, 1500);
    let fit = u16::try_from(BUDGET - 26 - 40).unwrap();

    let out = send(&mut path, &ipv4(LAN, MAC, 6, &syn()));
    assert_eq!(mss_of(&out.up[0].0), fit);
    let down = deliver(&mut path, GATEWAY, &ipv4(MAC, LAN, 6, &syn()));
    assert_eq!(mss_of(&down[0]), fit);
}

#[test]
fn frames_come_down_from_the_lan_and_from_friends_uncopied() {
    let mut path = path(Mode::Full, 1500);
    for (from, source, destination) in [
        (GATEWAY, LAN, MAC),
        (CLIENT, FRIEND, MAC),
        (CLIENT, FRIEND, MacAddr::BROADCAST),
    ] {
        let frame = ipx(destination, source, 200);
        let datagram = &datagrams(from, Mode::Full, &frame)[0];
        let mut out = Outbox::default();
        path.handle_datagram(datagram, Instant::now(), &mut out);
        assert_eq!(out.local[0], frame);
        assert_eq!(out.local[0].as_ptr(), datagram[12..].as_ptr());
    }
    assert_eq!(path.counters().broadcast_down, 1);
}

/// A program was killed between two fragments, or handed over; its successor has the same membership.
#[test]
fn a_half_of_one_process_is_no_frame_with_a_half_of_the_next() {
    let mut down = Decapsulator::new(ROOM, OWN, Mode::Full);
    let mut frames = Vec::new();
    for (seed, byte) in [(3, 1), (4, 2)] {
        let mut up = Vec::new();
        Encapsulator::new(ROOM, CLIENT, Mode::Full)
            .numbered_from(seed)
            .encapsulate(1514, |place| place.fill(byte), BUDGET, FLOW, &mut up)
            .unwrap();
        // The first process gets its first fragment out, the second one its second.
        let fragment = &up[usize::from(byte) - 1].0;
        let overlay = down.open(fragment).unwrap();
        frames.extend(down.frame(fragment, &overlay, Instant::now()).unwrap());
    }
    assert!(frames.is_empty(), "{} bytes of both", frames[0].len());
}

#[test]
fn halves_come_down_as_one_frame() {
    let mut path = path(Mode::Full, 1500);
    let frame = ipx(MAC, LAN, 1514);

    assert_eq!(deliver(&mut path, GATEWAY, &frame), [frame]);
}

#[test]
fn what_comes_down_is_checked_again() {
    let cases = [
        (GATEWAY, ipx(FRIEND, LAN, 100), DropReason::NotForUs),
        (GATEWAY, ipx(MAC, FRIEND, 100), DropReason::SpoofedSource),
        (CLIENT, ipx(MAC, LAN, 100), DropReason::SpoofedSource),
        (CLIENT, ipx(MAC, MAC, 100), DropReason::OwnFrame),
        (OWN, ipx(MAC, FRIEND, 100), DropReason::OwnFrame),
        (PeerId(77), ipx(MAC, FRIEND, 100), DropReason::UnknownPeer),
        (
            CLIENT,
            ethernet(MAC, FRIEND, 0x8100, &[0, 1, 0x81, 0x37, 0, 0]),
            DropReason::Policy(Refusal::VlanTag),
        ),
    ];
    for (from, frame, reason) in cases {
        let mut path = path(Mode::Full, 1500);
        assert!(deliver(&mut path, from, &frame).is_empty(), "{reason}");
        assert_eq!(lost_down(&path), [reason]);
    }
}

#[test]
fn frames_of_another_room_and_of_who_left_are_ignored() {
    let mut path = path(Mode::Full, 1500);
    let mut foreign = datagrams(CLIENT, Mode::Full, &ipx(MAC, FRIEND, 100))[0].to_vec();
    foreign[7] ^= 1;
    let mut out = Outbox::default();
    path.handle_datagram(&foreign.into(), Instant::now(), &mut out);

    let friend = Peer {
        id: CLIENT,
        role: Role::Client,
        mac: Some(FRIEND),
    };
    let left = Output::PeerLeft(friend, LeaveReason::Disconnect);
    path.handle_session(&left, Instant::now(), &mut out);
    assert!(deliver(&mut path, CLIENT, &ipx(MAC, FRIEND, 100)).is_empty());
    assert!(out.is_empty());
    assert_eq!(
        lost_down(&path),
        [DropReason::ForeignRoom, DropReason::UnknownPeer]
    );
}

#[test]
fn lease_loses_what_would_capture_the_players_internet() {
    let mut path = path(Mode::Full, 1500);
    let mut reply = vec![0; 8 + 240];
    reply[..4].copy_from_slice(&[0, 67, 0, 68]);
    reply[8] = 2;
    reply[8 + 236..].copy_from_slice(&[99, 130, 83, 99]);
    reply.extend([53, 1, 5, 3, 4, 10, 0, 0, 1, 255]);
    let length = u16::try_from(reply.len()).unwrap();
    reply[4..6].copy_from_slice(&length.to_be_bytes());
    let frame = ipv4(MAC, LAN, 17, &reply);
    let down = deliver(&mut path, GATEWAY, &frame);

    let router = [3, 4, 10, 0, 0, 1];
    assert!(frame.windows(6).any(|window| window == router));
    assert!(!down[0].windows(6).any(|window| window == router));
}

#[test]
fn events_exist_only_for_a_listener() {
    let mut path = path(Mode::Full, 1500);
    send(&mut path, &ipx(LAN, MAC, 100));
    assert_eq!(path.poll_event(), None);

    path.set_events(true);
    send(&mut path, &ipx(LAN, MAC, 100));
    assert_eq!(path.poll_event().unwrap().action, Action::Forwarded(1));
    for _ in 0..5000 {
        send(&mut path, &ipx(LAN, FRIEND, 100));
    }
    assert!(std::iter::from_fn(|| path.poll_event()).count() <= 1024);
}

#[test]
fn what_does_not_fit_is_told_with_its_own_length_and_what_is_cut_with_each_piece_s() {
    let mut path = path(Mode::Native, 1500);
    path.set_events(true);
    let mut told = |frame: &[u8]| -> Vec<(Action, usize)> {
        send(&mut path, frame);
        let events = std::iter::from_fn(|| path.poll_event());
        events.map(|event| (event.action, event.len)).collect()
    };

    let too_long = Action::Dropped(DropReason::DatagramBudget);
    assert_eq!(told(&ipx(LAN, MAC, 1400)), [(too_long, 1400)]);
    let mut may_be_cut = ipv4(LAN, MAC, 17, &udp(1400));
    may_be_cut[20] = 0;
    let pieces = told(&may_be_cut);
    assert_eq!(pieces.len(), 2);
    // The second piece repeats the header.
    let together: usize = pieces.iter().map(|(_, len)| len).sum();
    assert_eq!(together, may_be_cut.len() + 14 + 20);
    assert!(
        pieces
            .iter()
            .all(|(action, _)| *action == Action::Forwarded(1))
    );
}

proptest! {
    #[test]
    fn what_is_encapsulated_comes_out_again(len in 14usize..=fragment::MAX_FRAME_LEN, budget in 800usize..1600, byte: u8) {
        let frame: Vec<u8> = (0..len).map(|at| byte.wrapping_add(u8::try_from(at % 251).unwrap())).collect();
        let mut up = Vec::new();
        Encapsulator::new(ROOM, CLIENT, Mode::Full)
            .encapsulate(len, |place| place.copy_from_slice(&frame), budget, FLOW, &mut up).unwrap();
        let mut down = Decapsulator::new(ROOM, OWN, Mode::Full);
        let mut frames = Vec::new();
        for (datagram, _) in &up {
            prop_assert!(datagram.len() <= budget);
            let overlay = down.open(datagram).unwrap();
            frames.extend(down.frame(datagram, &overlay, Instant::now()).unwrap());
        }
        prop_assert_eq!(frames, [frame]);
    }

    #[test]
    fn hostile_bytes_never_panic_nor_fill_the_table(bytes in prop::collection::vec(any::<u8>(), 0..1600), from in 0u16..8, sequence: u32) {
        let mut path = path(Mode::Full, 1500);
        let mut out = Outbox::default();
        let mut frame = bytes.clone();
        let vnet = VnetHeader::from_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)));
        path.handle_local(vnet, &mut frame, BUDGET, Instant::now(), &mut out);
        path.handle_datagram(&bytes.clone().into(), Instant::now(), &mut out);
        let length = u16::try_from(bytes.len()).unwrap();
        let part = fragment::fragment_header(sequence, length, sequence & 1 == 1);
        for (is_part, payload) in [(false, bytes.clone()), (true, [&part[..], &bytes].concat())] {
            let length = u16::try_from(payload.len()).unwrap();
            let header = overlay::header(ROOM, PeerId(from), is_part, length);
            path.handle_datagram(&[&header[..], &payload].concat().into(), Instant::now(), &mut out);
        }
    }
}
