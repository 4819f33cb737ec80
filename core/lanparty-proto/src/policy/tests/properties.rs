//! What always holds: disguises do not help, what passes parses, and no bytes panic.

use etherparse::err::packet::SliceError;
use etherparse::err::{Layer, LenError};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::vectors::{self, Vector};
use super::{MTU, verdict};
use crate::policy::{Direction, Policy, ProtocolClass, Refusal, check};
use crate::{Frame, MacAddr};

/// Returns whether a remote client's bytes get any further.
fn passes(bytes: &[u8]) -> bool {
    Frame::parse(bytes)
        .is_ok_and(|frame| check(Policy::DEFAULT, Direction::FromRemote, &frame, MTU).is_ok())
}

/// What is refused for its content and not for lengths, which a disguise may well put right.
fn refused_for_content() -> impl Iterator<Item = Vector> {
    vectors::all().into_iter().filter(|vector| {
        vector.from_remote.is_some_and(|refusal| {
            !matches!(
                refusal,
                Refusal::Jumbo
                    | Refusal::Runt
                    | Refusal::LengthField
                    | Refusal::ArpMalformed
                    | Refusal::Ipv4Malformed
                    | Refusal::Ipv6Malformed
                    | Refusal::Ipv6Chain
                    | Refusal::TransportMalformed
                    | Refusal::DhcpMalformed
                    | Refusal::Dhcpv6Malformed
                    | Refusal::NdMalformed
            )
        })
    })
}

fn tag(bytes: &[u8], tags: &[[u8; 4]]) -> Vec<u8> {
    super::build::tagged(bytes, tags)
}

/// The same content inside SNAP, with the length as given or true.
fn snap(bytes: &[u8], length: Option<u16>) -> Vec<u8> {
    let rest = &bytes[12..];
    let true_length = u16::try_from(rest.len() + 6).unwrap();
    let length = length.unwrap_or(true_length).to_be_bytes();

    [&bytes[..12], &length, &[0xaa, 0xaa, 3, 0, 0, 0], rest].concat()
}

fn outer_disguises(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![
        bytes.to_vec(),
        tag(bytes, &[[0x81, 0, 0, 0]]),
        tag(bytes, &[[0x81, 0, 0, 0], [0x81, 0, 0, 0]]),
        tag(bytes, &[[0x88, 0xa8, 0, 1], [0x81, 0, 0, 0]]),
        tag(bytes, &[[0x91, 0, 0, 1]]),
        snap(&tag(bytes, &[[0x81, 0, 0, 0]]), None),
    ];
    let is_length = u16::from_be_bytes([bytes[12], bytes[13]]) <= 1500;
    if !is_length {
        all.push(snap(bytes, None));
        all.extend([0, 3, 8, 46, 1500].map(|length| snap(bytes, Some(length))));
        all.push(tag(&snap(bytes, None), &[[0x81, 0, 0, 0]]));
    }

    all
}

/// Options in front of an IPv4 payload, and extension headers in front of an IPv6 one.
fn inner_disguises(bytes: &[u8]) -> Vec<Vec<u8>> {
    match [bytes[12], bytes[13]] {
        [0x08, 0x00] => (1..=10)
            .filter_map(|words| with_options(bytes, words))
            .collect(),
        [0x86, 0xdd] => [0, 43, 51, 60]
            .into_iter()
            .flat_map(|kind| (1..=9).map(move |count| (kind, count)))
            .map(|(kind, count)| with_extensions(bytes, kind, count))
            .collect(),
        _ => Vec::new(),
    }
}

fn with_options(bytes: &[u8], words: u8) -> Option<Vec<u8>> {
    let mut frame = bytes.to_vec();
    let ihl = frame[14].checked_add(words).filter(|ihl| ihl >> 4 == 4)?;
    frame[14] = ihl;
    let total = u16::from_be_bytes([frame[16], frame[17]]) + u16::from(words) * 4;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame.splice(34..34, vec![1; usize::from(words) * 4]);

    Some(frame)
}

fn with_extensions(bytes: &[u8], first: u8, count: usize) -> Vec<u8> {
    let mut frame = bytes.to_vec();
    let upper = frame[20];
    frame[20] = first;
    let mut chain = Vec::new();
    for at in 0..count {
        let next = if at + 1 == count { upper } else { 60 };
        if at == 0 && first == 51 {
            chain.extend_from_slice(&[next, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
        } else {
            chain.extend_from_slice(&[next, 0, 4, 0, 0, 0, 0, 0]);
        }
    }
    let total = u16::from_be_bytes([frame[18], frame[19]]) + u16::try_from(chain.len()).unwrap();
    frame[18..20].copy_from_slice(&total.to_be_bytes());
    frame.splice(54..54, chain);

    frame
}

#[test]
fn no_disguise_helps() {
    let mut tried = 0;
    for vector in refused_for_content() {
        let inner = [vec![vector.frame.clone()], inner_disguises(&vector.frame)].concat();
        for disguised in inner.iter().flat_map(|frame| outer_disguises(frame)) {
            for padding in [0, 1, 2, 18, 46, 200] {
                let padded = [disguised.clone(), vec![0; padding]].concat();
                assert!(!passes(&padded), "{} {padded:02x?}", vector.name);
                tried += 1;
            }
            // What is cut short loses its content, but a cut frame is never whole again.
            for len in 0..disguised.len() {
                assert!(!passes(&disguised[..len]), "{} cut to {len}", vector.name);
                tried += 1;
            }
        }
    }

    assert!(tried >= 50_000, "{tried}");
}

#[test]
fn fragments_hide_nothing_that_somebody_listens_for() {
    for vector in refused_for_content() {
        let frame = &vector.frame;
        let is_plain_ipv4 =
            frame.len() > 34 && frame[12..15] == [0x08, 0x00, 0x45] && frame[20..22] == [0, 0];
        // Nobody listens for DHCP on odd ports.
        if !is_plain_ipv4 || vector.name == "dhcp_server_odd_ports" {
            continue;
        }
        for len in (8..frame.len() - 34).step_by(8) {
            let mut first = frame[..34 + len].to_vec();
            let total = u16::try_from(20 + len).unwrap();
            first[16..18].copy_from_slice(&total.to_be_bytes());
            first[20] = 0x20;
            assert!(!passes(&first), "{} after {len}", vector.name);
        }
    }
}

#[test]
fn what_passes_is_not_lost_to_padding() {
    for vector in vectors::all() {
        let is_ethernet_ii = u16::from_be_bytes([vector.frame[12], vector.frame[13]]) > 1500;
        if vector.from_remote.is_some() || !is_ethernet_ii {
            continue;
        }
        for padding in 1..=46 {
            let padded = [vector.frame.clone(), vec![0xff; padding]].concat();
            assert!(passes(&padded), "{} with {padding}", vector.name);
        }
    }
}

/// Frames near the edge: a vector with some bytes changed, cut or grown.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let vectors = vectors::all();
    let count = vectors.len();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);

    (0..count, changes, 0..80_usize, any::<bool>()).prop_map(move |(at, changes, by, grow)| {
        let mut frame = vectors[at].frame.clone();
        for (index, value) in changes {
            let at = index.index(frame.len());
            frame[at] = value;
        }
        if grow {
            frame.resize(frame.len() + by, 0);
        } else if by < 20 {
            frame.truncate(frame.len().saturating_sub(by));
        }

        frame
    })
}

/// What some operator has opened and closed.
fn operator() -> impl Strategy<Value = Vec<ProtocolClass>> {
    prop::sample::subsequence(ProtocolClass::ALL, 0..=ProtocolClass::ALL.len())
}

/// Exactly these classes.
fn only(classes: &[ProtocolClass]) -> Policy {
    let none = Policy::with(&[], ProtocolClass::ALL);

    classes
        .iter()
        .fold(none, |policy, class| policy.open(*class))
}

/// What another parser sees must be on the allow-list too.
fn check_with_etherparse(bytes: &[u8]) -> Result<(), TestCaseError> {
    let kind = u16::from_be_bytes([bytes[12], bytes[13]]);
    if kind != 0x0800 && kind != 0x86dd {
        return Ok(());
    }
    let packet = match SlicedPacket::from_ethernet(bytes) {
        Ok(packet) => packet,
        // It wants the whole timestamp in a timestamp message; to the policy that is as good as an echo.
        Err(SliceError::Len(LenError {
            layer: Layer::Icmpv4Timestamp | Layer::Icmpv4TimestampReply,
            ..
        })) => return Ok(()),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    match packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            prop_assert!(![68, 520, 521, 546, 1985, 2029, 3222].contains(&udp.destination_port()));
            prop_assert!(![67, 547].contains(&udp.source_port()));
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            prop_assert!(![130, 134, 137, 138, 151].contains(&icmp.type_u8()));
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            prop_assert!(![5, 9].contains(&icmp.type_u8()));
        }
        Some(TransportSlice::Tcp(_) | TransportSlice::Igmp(_)) => {}
        None => {
            let is_fragment = matches!(&packet.net, Some(NetSlice::Ipv4(ip)) if ip.header().is_fragmenting_payload());
            prop_assert!(is_fragment, "no transport in {packet:?}");
        }
    }

    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_parses(bytes in mutated()) {
        if passes(&bytes) {
            check_with_etherparse(&bytes)?;
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..128), kind in prop::sample::select(vec![0x0800_u16, 0x0806, 0x86dd, 0x8100, 30, 60])) {
        let mut bytes = bytes;
        passes(&bytes);
        if let Some(place) = bytes.get_mut(12..14) {
            place.copy_from_slice(&kind.to_be_bytes());
        }
        passes(&bytes);
    }

    #[test]
    fn the_receiver_is_never_weaker_than_the_sender(bytes in mutated(), mtu in 576_u16..1500) {
        let Ok(frame) = Frame::parse(&bytes) else {
            return Ok(());
        };
        let at = |direction, mtu| check(Policy::DEFAULT, direction, &frame, mtu);

        // What a sender refuses, every receiver refuses, and for the same reason.
        let sender = at(Direction::FromRemote, mtu);
        prop_assert_eq!(sender, at(Direction::FromRemote, mtu));
        // What may come from a remote player may come from the LAN; what fits a smaller room fits a larger one.
        if sender.is_ok() {
            prop_assert_eq!(at(Direction::FromLan, mtu), Ok(()));
            prop_assert_eq!(at(Direction::FromRemote, 1500), Ok(()));
        }
    }

    #[test]
    fn no_option_lifts_a_final_refusal(bytes in mutated(), open in operator()) {
        let Ok(frame) = Frame::parse(&bytes) else {
            return Ok(());
        };
        let at = |policy| check(policy, Direction::FromRemote, &frame, MTU);

        if at(only(ProtocolClass::ALL)).is_err() {
            prop_assert!(at(only(&open)).is_err());
        }
        if at(Policy::DEFAULT).is_err_and(Refusal::is_final) {
            prop_assert!(at(only(ProtocolClass::ALL)).is_err());
        }
    }

    #[test]
    fn the_strictest_on_the_way_decides(bytes in mutated(), sender in operator(), relay in operator(), receiver in operator()) {
        let Ok(frame) = Frame::parse(&bytes) else {
            return Ok(());
        };
        let at = |classes: &[ProtocolClass]| check(only(classes), Direction::FromRemote, &frame, MTU).is_ok();
        let all_open: Vec<_> = sender
            .iter()
            .copied()
            .filter(|class| relay.contains(class) && receiver.contains(class))
            .collect();

        // What one of them refuses stays refused, whatever the others opened; what all of them open passes.
        prop_assert_eq!(at(&sender) && at(&relay) && at(&receiver), at(&all_open));
        // The same options on both sides: the receiver is as strict as the sender.
        if at(&sender) {
            prop_assert!(check(only(&sender), Direction::FromLan, &frame, MTU).is_ok());
        }
    }

    #[test]
    fn a_verdict_holds_whatever_the_destination(at in 0..vectors::all().len(), mac in any::<[u8; 6]>()) {
        let vector = vectors::all().swap_remove(at);
        let mut frame = vector.frame;
        frame[..6].copy_from_slice(&mac);
        let is_reserved = matches!(
            vector.from_remote,
            Some(Refusal::ReservedGroup | Refusal::VendorControl | Refusal::LoopProtocol | Refusal::Runt)
        );
        if vector.from_remote.is_some() && !is_reserved && MacAddr(mac) != MacAddr::ZERO {
            prop_assert!(verdict(Direction::FromRemote, &frame).is_some(), "{}", vector.name);
        }
    }
}
