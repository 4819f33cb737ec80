//! Policy, bindings, flows and MSS read the same addresses, protocol and ports of a frame, or none.

use std::net::IpAddr;

use lanparty_offload::{Flow, FlowHasher, mss};
use lanparty_proto::address_info::AddressInfo;
use lanparty_proto::ip::{Layout, Version, ipv4, ipv6, protocol, transport};
use lanparty_proto::policy::{self, Direction, Policy};
use lanparty_proto::{EtherType, Frame, Kind, Refusal, TrafficClass};
use proptest::collection::vec;
use proptest::prelude::*;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Frames that are IP more often than not, in which lengths are often wrong.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let tags = vec(Just([0x81, 0, 0, 7]), 0..4);
    let length = || prop_oneof![0..70_u8, any::<u8>()];
    let number = || {
        prop_oneof![
            Just(protocol::TCP),
            Just(protocol::UDP),
            Just(protocol::ICMPV6),
            Just(protocol::FRAGMENT),
            Just(protocol::DESTINATION),
            any::<u8>()
        ]
    };
    let v4 = (
        0x44..0x48_u8,
        length(),
        number(),
        prop_oneof![Just(0), any::<u8>()],
    )
        .prop_map(|(first, total, protocol, fragment)| {
            let fixed = [first, 0, 0, total, 0, 1, 0, fragment, 64, protocol, 0, 0];
            [&[8, 0][..], &fixed, &[10, 0, 0, 1, 10, 0, 0, 2]].concat()
        });
    let v6 = (length(), number()).prop_map(|(length, next)| {
        let fixed = [0x60, 0, 0, 0, 0, length, next, 64];
        [&[0x86, 0xdd][..], &fixed, &[0xfd; 16], &[0xfe; 16]].concat()
    });
    let small = prop_oneof![Just(0), Just(2), Just(0x50), number(), any::<u8>()];

    (tags, prop_oneof![v4, v6], vec(small, 0..90))
        .prop_map(|(tags, head, rest)| [&MACS[..], &tags.concat(), &head, &rest].concat())
}

/// What the strict validation, by which the policy decides, says of a frame.
fn strict(frame: &Frame<'_>) -> Option<(IpAddr, u8, Vec<u8>)> {
    match frame.kind() {
        Kind::Type(EtherType::IPV4) => {
            let packet = ipv4::Packet::parse_whole(frame.payload())?;
            let source = IpAddr::from(packet.source());
            (!packet.is_fragment()).then(|| (source, packet.protocol(), packet.payload().to_vec()))
        }
        Kind::Type(EtherType::IPV6) => {
            let packet = ipv6::Packet::parse_whole(frame.payload())?;
            let upper = packet.upper_strict().filter(|upper| !upper.is_fragment)?;
            let source = IpAddr::from(packet.source());
            Some((source, upper.protocol, upper.bytes.to_vec()))
        }
        Kind::Type(_) | Kind::Length(_) => None,
    }
}

/// Builds the plainest frame with addresses, protocol and transport header of `bytes`.
fn plainest(bytes: &[u8], layout: &Layout, protocol: u8, transport: &[u8]) -> Vec<u8> {
    let addresses = layout.addresses(bytes);
    let len = |fixed| u8::try_from(fixed + transport.len()).unwrap_or(u8::MAX);
    let head = match layout.version {
        Version::V4 => vec![8, 0, 0x45, 0, 0, len(20), 0, 1, 0, 0, 64, protocol, 0, 0],
        Version::V6 => vec![0x86, 0xdd, 0x60, 0, 0, 0, 0, len(0), protocol, 64],
    };

    [&MACS[..], &head, addresses, transport].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_read_the_same_or_nothing(bytes in frames()) {
        let frame = Frame::parse(&bytes).unwrap();
        let hasher = FlowHasher::new(7);
        let Some((source, protocol, transport)) = strict(&frame) else {
            return Ok(());
        };
        // Bindings: whatever the frame says of addresses, its source is the packet's.
        let read: IpAddr = match AddressInfo::read(&frame) {
            AddressInfo::Ipv4 { source } => source.into(),
            AddressInfo::Dhcp(dhcp) => dhcp.source().into(),
            AddressInfo::Ipv6 { source }
            | AddressInfo::Solicitation { source }
            | AddressInfo::Neighbor { source, .. }
            | AddressInfo::Router { source } => source.into(),
            other @ (AddressInfo::Arp { .. } | AddressInfo::Nothing) => {
                panic!("{other:?} of an IP packet")
            }
        };
        prop_assert_eq!(read, source);
        // Flows: options, extension headers, tags and padding make no other flow.
        let layout = Layout::parse(&bytes).unwrap();
        let simple = plainest(&bytes, &layout, protocol, &transport);
        let (flow, plain) = (hasher.read(&bytes), hasher.read(&simple));
        prop_assert_eq!(flow.hash, plain.hash);
        let is_control = |flow: Flow| flow.class == TrafficClass::Control;
        prop_assert_eq!(is_control(flow), is_control(plain));
        // MSS: a connection is opened where the transport header says so.
        let opens = protocol == protocol::TCP && transport::is_syn(&transport);
        prop_assert_eq!(mss::opens_connection(&frame), opens);
    }

    #[test]
    fn what_the_policy_finds_malformed_nobody_takes_for_whole(bytes in frames()) {
        let frame = Frame::parse(&bytes).unwrap();
        let verdict = policy::check(Policy::DEFAULT, Direction::FromRemote, &frame, 1500);

        if matches!(verdict, Err(Refusal::Ipv4Malformed | Refusal::Ipv6Malformed)) {
            let is_source_route = matches!(ipv4::Packet::parse_whole(frame.payload()), Some(packet) if !packet.options().is_empty());
            prop_assert!(is_source_route || Layout::parse(&bytes).is_none_or(|layout| !layout.is_whole));
            prop_assert!(is_source_route || matches!(AddressInfo::read(&frame), AddressInfo::Nothing));
        }
        if verdict == Err(Refusal::VlanStack) {
            prop_assert_eq!(Layout::parse(&bytes), None);
            prop_assert!(!mss::opens_connection(&frame));
        }
    }
}
