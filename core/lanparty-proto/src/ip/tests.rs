use proptest::prelude::*;

use super::*;
use crate::policy::tests::build::{frame, ipv4_packet, udp};

fn parse(bytes: &[u8]) -> Option<Layout> {
    Layout::parse(bytes)
}

#[test]
fn both_validations_agree_on_a_length_beyond_the_frame_as_each_says() {
    let whole = ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello"));
    let cut = &whole[..whole.len() - 1];

    assert!(ipv4::Packet::parse_whole(&whole).is_some());
    assert!(ipv4::Packet::parse_whole(cut).is_none());
    let packet = ipv4::Packet::parse(cut).unwrap();
    assert!(!packet.is_whole());
    assert_eq!(transport::ports(packet.payload()), Some((4000, 4001)));
}

#[test]
fn a_length_below_the_header_is_no_packet_in_either_validation() {
    let mut bytes = ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello"));
    bytes[2..4].copy_from_slice(&[0, 19]);

    assert!(ipv4::Packet::parse(&bytes).is_none());
    assert!(ipv4::Packet::parse_whole(&bytes).is_none());
}

#[test]
fn padding_is_no_transport_header() {
    let mut bytes = ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello"));
    bytes[2..4].copy_from_slice(&[0, 22]);
    let bytes = frame(0x0800, &bytes);

    let layout = parse(&bytes).unwrap();
    assert_eq!(layout.transport(&bytes).len(), 2);
    assert_eq!(transport::ports(layout.transport(&bytes)), None);
}

#[test]
fn nothing_is_read_behind_a_third_tag() {
    let packet = ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello"));
    let plain = frame(0x0800, &packet);
    for tags in 0..4 {
        let bytes = [&plain[..12], &[0x81, 0, 0, 7].repeat(tags), &plain[12..]].concat();

        assert_eq!(parse(&bytes).is_some(), tags <= 2, "{tags} tags");
    }
}

#[test]
fn a_chain_of_eight_extension_headers_is_read_and_one_of_nine_is_not() {
    for (count, is_read) in [(8, true), (9, false)] {
        let mut chain: Vec<u8> = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count);
        let last = chain.len() - 8;
        chain[last] = 17;
        chain.extend(udp(4000, 4001, b"hello"));
        let mut header = [0; 40];
        header[0] = 0x60;
        header[4..6].copy_from_slice(&u16::try_from(chain.len()).unwrap().to_be_bytes());
        header[6] = 60;
        let packet = [&header[..], &chain].concat();
        let upper = ipv6::Packet::parse(&packet).unwrap().upper();

        assert_eq!(upper.is_some_and(|upper| upper.protocol == 17), is_read);
    }
}

/// Bytes that are IP more often than not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::collection::vec(Just([0x81, 0, 0, 7]), 0..4);
    let head = prop_oneof![
        Just(vec![8, 0, 0x45, 0, 0]),
        Just(vec![8, 0, 0x46, 0, 0]),
        Just(vec![0x86, 0xdd, 0x60, 0, 0, 0, 0]),
        prop::collection::vec(any::<u8>(), 2..4),
    ];
    let small = prop_oneof![
        Just(0),
        Just(6),
        Just(17),
        Just(44),
        Just(60),
        Just(0x50),
        0..70_u8,
        any::<u8>()
    ];
    let rest = prop::collection::vec(small, 0..140);

    (any::<[u8; 12]>(), tags, head, rest)
        .prop_map(|(macs, tags, head, rest)| [&macs[..], &tags.concat(), &head, &rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_strict_validation_accepts_the_lenient_one_reads_alike(bytes in frames()) {
        let Ok(frame) = Frame::parse(&bytes) else {
            return Ok(());
        };
        let layout = parse(&bytes);
        let (source, transport) = match frame.kind() {
            Kind::Type(EtherType::IPV4) => {
                let Some(packet) = ipv4::Packet::parse_whole(frame.payload()) else {
                    prop_assert!(layout.is_none_or(|layout| !layout.is_whole));
                    return Ok(());
                };
                (packet.source().to_vec(), Some((packet.protocol(), packet.payload())))
            }
            Kind::Type(EtherType::IPV6) => {
                let Some(packet) = ipv6::Packet::parse_whole(frame.payload()) else {
                    prop_assert!(layout.is_none_or(|layout| !layout.is_whole));
                    return Ok(());
                };
                let upper = packet.upper_strict().map(|upper| (upper.protocol, upper.bytes));
                (packet.source().to_vec(), upper)
            }
            Kind::Type(_) | Kind::Length(_) => {
                prop_assert_eq!(layout, None);
                return Ok(());
            }
        };
        if let Some((protocol, transport)) = transport {
            let layout = layout.unwrap();
            prop_assert!(layout.addresses(&bytes).starts_with(&source));
            prop_assert_eq!(layout.protocol, protocol);
            prop_assert_eq!(layout.transport(&bytes), transport);
        }
    }

    #[test]
    fn every_offset_lies_inside_the_frame_in_order(bytes in frames()) {
        if let Some(layout) = parse(&bytes) {
            prop_assert!(14 <= layout.l3 && layout.l3 < layout.l4);
            prop_assert!(layout.l4 <= layout.end && layout.end <= bytes.len());
        }
    }

    #[test]
    fn a_mark_changes_the_field_and_a_right_checksum_stays_right(mut bytes in frames()) {
        let before = bytes.clone();
        let can_mark = ecn::can_mark(&bytes);
        prop_assert_eq!(ecn::mark(&mut bytes), can_mark);
        if !can_mark {
            prop_assert_eq!(bytes, before);
            return Ok(());
        }
        prop_assert!(!ecn::mark(&mut bytes), "marked twice");
        let layout = parse(&before).unwrap();
        prop_assert_eq!(parse(&bytes), Some(layout));
        if layout.version == Version::V4 {
            let sum = |bytes: &[u8]| lanparty_samples::sum(&bytes[layout.l3..][..20]) % 0xffff;
            prop_assert_eq!(sum(&bytes), sum(&before));
        }
    }
}
