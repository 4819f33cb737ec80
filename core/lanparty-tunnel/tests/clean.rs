//! What a LAN says to players, cleaned at the gateway and again at the client.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests need some instant to start from"
)]

use std::time::Instant;

use bytes::Bytes;
use lanparty_obs::DropReason;
use lanparty_offload::VnetHeader;
use lanparty_offload::vnet::{FLAG_NEEDS_CSUM, GSO_UDP_L4};
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::player::options::STRIPPED_DHCP;
use lanparty_proto::policy::Policy;
use lanparty_proto::{MacAddr, Refusal, overlay};
use lanparty_samples::{GATEWAY, ROOM, client, dhcp, join, joined, sum};
use lanparty_session::Peer;
use lanparty_tunnel::{ClientPath, ClientPathConfig, DataPath as _, Outbox};
use lanparty_tunnel::{GatewayPath, GatewayPathConfig, ProbeKeys};

const NIC: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 1]);
const LAN: MacAddr = MacAddr([0, 0x1b, 0x21, 0, 0, 9]);
const REMOTE: MacAddr = MacAddr([2, 0, 0, 0, 0, 6]);
const CLIENT: Peer = client(6, REMOTE);
/// Where UDP starts, and where the DHCP options do.
const UDP: usize = 34;
const OPTIONS: usize = UDP + 8 + 240;

/// A gateway and a client, each with what it keeps.
struct Bench {
    gateway: GatewayPath,
    client: ClientPath,
    now: Instant,
}

impl Bench {
    fn new(at_gateway: PlayerPolicy, at_client: PlayerPolicy) -> Self {
        let now = Instant::now();
        let mut gateway = GatewayPath::new(GatewayPathConfig {
            interface: NIC,
            policy: Policy::DEFAULT,
            player: at_gateway,
            probes: ProbeKeys::new([7; 2], 1, "ROOM1"),
            seed: 1,
        });
        let mut player = ClientPath::new(ClientPathConfig {
            mac: REMOTE,
            policy: Policy::DEFAULT,
            player: at_client,
            seed: 1,
        });
        join(&mut gateway, joined(GATEWAY.id), &[CLIENT], now);
        join(&mut player, joined(CLIENT.id), &[GATEWAY], now);

        Self {
            gateway,
            client: player,
            now,
        }
    }

    /// The LAN says something; returns the frames that enter the tunnel.
    fn hear(&mut self, vnet: VnetHeader, frame: &[u8]) -> Vec<Bytes> {
        let mut out = Outbox::default();
        let mut frame = frame.to_vec();
        self.gateway
            .handle_local(vnet, &mut frame, 1400, self.now, &mut out);
        let datagrams = out.up.into_iter();

        datagrams
            .map(|(datagram, _)| datagram.slice(overlay::HEADER_LEN..))
            .collect()
    }

    /// Gives a frame of the tunnel to the client; returns what its player gets.
    fn deliver(&mut self, frame: &[u8]) -> Vec<Bytes> {
        let len = u16::try_from(frame.len()).unwrap();
        let header = overlay::header(ROOM, GATEWAY.id, false, len);
        let mut out = Outbox::default();
        let datagram = [&header[..], frame].concat().into();
        self.client.handle_datagram(&datagram, self.now, &mut out);

        out.local
    }

    /// The LAN says something to the player, who gets what is left of it.
    fn player_gets(&mut self, frame: &[u8]) -> Bytes {
        let [up] = self.hear(VnetHeader::NONE, frame).try_into().unwrap();
        let [local] = self.deliver(&up).try_into().unwrap();

        local
    }
}

fn keeping(code: u8) -> PlayerPolicy {
    PlayerPolicy::default().keep_dhcp(code.to_string().parse().unwrap())
}

/// A DHCP acknowledgement with every option that is taken out, as bytes behind the UDP header.
fn acknowledgement() -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[2, 1, 6, 0]);
    message[16..20].copy_from_slice(&[10, 0, 0, 50]);
    message[28..34].copy_from_slice(&REMOTE.0);
    message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, 5, 54, 4, 10, 0, 0, 1, 1, 4, 255, 255, 255, 0]);
    for code in STRIPPED_DHCP {
        message.extend([code, 4, 10, 0, 0, 66]);
    }
    message.push(255);

    message
}

/// A frame from the LAN's DHCP server to the player; the UDP checksum is the pseudo-header's sum.
fn datagram(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len() + 8).unwrap();
    let mut frame = [&REMOTE.0[..], &LAN.0, &[8, 0, 0x45, 0]].concat();
    frame.extend((len + 20).to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 50]);
    let sum = !sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend([0, 67, 0, 68]);
    frame.extend(len.to_be_bytes());
    let pseudo = pseudo(&frame, len);
    frame.extend(pseudo.to_be_bytes());
    frame.extend(message);

    frame
}

fn pseudo(frame: &[u8], len: u16) -> u16 {
    let [high, low] = len.to_be_bytes();

    sum(&[&frame[26..34], &[0, 17, high, low]].concat())
}

/// The same frame as it is on a wire.
fn finished(mut frame: Vec<u8>) -> Vec<u8> {
    let checksum = !sum(&frame[UDP..]);
    frame[UDP + 6..UDP + 8].copy_from_slice(&checksum.to_be_bytes());

    frame
}

fn checksum_is_right(frame: &[u8]) -> bool {
    let len = u16::from_be_bytes([frame[UDP + 4], frame[UDP + 5]]);

    sum(&[
        &frame[26..34],
        &[0, 17],
        &len.to_be_bytes()[..],
        &frame[UDP..],
    ]
    .concat())
        == 0xffff
}

fn codes(frame: &[u8]) -> Vec<u8> {
    dhcp::codes(&frame[OPTIONS..])
}

#[test]
fn what_captures_a_player_does_not_enter_the_tunnel() {
    let mut bench = Bench::new(PlayerPolicy::default(), PlayerPolicy::default());

    let [up] = bench
        .hear(VnetHeader::NONE, &finished(datagram(&acknowledgement())))
        .try_into()
        .unwrap();

    assert_eq!(codes(&up), [53, 54, 1]);
    assert!(checksum_is_right(&up));
    let [local] = bench.deliver(&up).try_into().unwrap();
    assert_eq!(local, up, "the client finds nothing left to clean");
}

#[test]
fn an_unfinished_checksum_is_finished_over_what_is_left() {
    let mut bench = Bench::new(PlayerPolicy::default(), PlayerPolicy::default());
    let on_the_wire = bench.hear(VnetHeader::NONE, &finished(datagram(&acknowledgement())));
    let vnet = VnetHeader {
        flags: FLAG_NEEDS_CSUM,
        csum_start: 34,
        csum_offset: 6,
        ..VnetHeader::NONE
    };

    assert_eq!(bench.hear(vnet, &datagram(&acknowledgement())), on_the_wire);
}

#[test]
fn every_message_of_a_super_frame_is_cleaned() {
    let mut bench = Bench::new(PlayerPolicy::default(), PlayerPolicy::default());
    let message = acknowledgement();
    let vnet = VnetHeader {
        flags: FLAG_NEEDS_CSUM,
        gso_type: GSO_UDP_L4,
        hdr_len: 42,
        gso_size: u16::try_from(message.len()).unwrap(),
        csum_start: 34,
        csum_offset: 6,
    };

    let up = bench.hear(vnet, &datagram(&[&message[..], &message].concat()));

    assert_eq!(up.len(), 2);
    for frame in up {
        assert_eq!(codes(&frame), [53, 54, 1]);
        assert!(checksum_is_right(&frame));
    }
}

#[test]
fn an_option_is_kept_only_where_gateway_and_client_keep_it() {
    let frame = finished(datagram(&acknowledgement()));
    for code in STRIPPED_DHCP {
        for (at_gateway, at_client, is_kept) in [
            (keeping(code), keeping(code), true),
            (keeping(code), PlayerPolicy::default(), false),
            (PlayerPolicy::default(), keeping(code), false),
        ] {
            let got = Bench::new(at_gateway, at_client).player_gets(&frame);

            let kept: Vec<u8> = is_kept.then_some(code).into_iter().collect();
            assert_eq!(codes(&got), [&[53, 54, 1], kept.as_slice()].concat());
            assert!(checksum_is_right(&got));
        }
    }
}

#[test]
fn the_guard_learns_from_what_the_lan_said_and_not_from_what_is_left() {
    let mut bench = Bench::new(PlayerPolicy::default(), PlayerPolicy::default());
    bench.hear(VnetHeader::NONE, &finished(datagram(&acknowledgement())));

    // The player answers for the router that was taken out.
    let mut claim = [&[0xff; 6][..], &REMOTE.0, &[8, 6]].concat();
    claim.extend([0, 1, 8, 0, 6, 4, 0, 2]);
    claim.extend(REMOTE.0);
    claim.extend([10, 0, 0, 66]);
    claim.resize(60, 0);
    let header = overlay::header(ROOM, CLIENT.id, false, 60);
    let mut out = Outbox::default();
    let datagram = [&header[..], &claim].concat().into();
    bench
        .gateway
        .handle_datagram(&datagram, bench.now, &mut out);

    let drops = &bench.gateway.counters().drops_down;
    assert_eq!(drops.get(DropReason::AddressClaim), 1);
}

#[test]
fn redirects_and_what_cannot_be_read_stay_on_the_lan() {
    let mut bench = Bench::new(keeping(3), PlayerPolicy::default());
    let mut redirect = datagram(&[0; 20]);
    redirect[23] = 1;
    redirect[34] = 5;
    let cut = datagram(&acknowledgement()[..250]);

    assert!(bench.hear(VnetHeader::NONE, &redirect).is_empty());
    assert!(bench.hear(VnetHeader::NONE, &finished(cut)).is_empty());

    let drops = &bench.gateway.counters().drops_up;
    for refusal in [Refusal::Redirect, Refusal::DhcpMalformed] {
        assert_eq!(drops.get(DropReason::Policy(refusal)), 1, "{refusal:?}");
    }
}
