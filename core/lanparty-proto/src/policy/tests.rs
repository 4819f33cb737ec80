//! Tests of the policy: the table of vectors, its documentation, and what always holds.

pub(crate) mod build;
mod document;
mod properties;
pub(crate) mod vectors;

use std::collections::BTreeSet;

use super::{Direction, Policy, ProtocolClass, Refusal, check, check_headers};
use crate::Frame;

const MTU: u16 = 1500;

pub(crate) fn verdict(direction: Direction, bytes: &[u8]) -> Option<Refusal> {
    let frame = Frame::parse(bytes).unwrap();

    check(Policy::DEFAULT, direction, &frame, MTU).err()
}

/// Returns what `policy` says to a vector from a remote client.
pub(crate) fn with(policy: Policy, vector: &vectors::Vector) -> Option<Refusal> {
    let frame = Frame::parse(&vector.frame).unwrap();

    check(policy, Direction::FromRemote, &frame, MTU).err()
}

#[test]
fn every_vector_gets_its_verdict() {
    let mut wrong = Vec::new();
    for vector in vectors::all() {
        let remote = verdict(Direction::FromRemote, &vector.frame);
        let lan = verdict(Direction::FromLan, &vector.frame);
        if (remote, lan) != (vector.from_remote, vector.from_lan) {
            wrong.push((vector.name, remote, lan));
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn vectors_have_names_of_their_own_and_reach_every_refusal() {
    let vectors = vectors::all();
    let names: BTreeSet<_> = vectors.iter().map(|vector| vector.name).collect();
    assert_eq!(names.len(), vectors.len());

    let reached: BTreeSet<_> = vectors
        .iter()
        .filter_map(|vector| vector.from_remote)
        .collect();
    let unreached: Vec<_> = Refusal::ALL
        .iter()
        .filter(|refusal| !reached.contains(refusal))
        .collect();
    assert!(unreached.is_empty(), "{unreached:?}");
}

#[test]
fn the_rooms_mtu_bounds_a_frame() {
    let frame = build::ipv4(17, &build::udp(4000, 4001, &[0; 1000]));
    let frame = Frame::parse(&frame).unwrap();
    let at = |mtu| check(Policy::DEFAULT, Direction::FromRemote, &frame, mtu);

    assert_eq!(at(1028), Ok(()));
    assert_eq!(at(1027), Err(Refusal::Jumbo));
}

#[test]
fn no_room_makes_jumbo_frames_legal() {
    let frame = build::ipv4(17, &build::udp(4000, 4001, &[0; 1473]));
    let frame = Frame::parse(&frame).unwrap();

    assert_eq!(
        check(Policy::DEFAULT, Direction::FromLan, &frame, 9000),
        Err(Refusal::Jumbo)
    );
}

#[test]
fn a_super_frame_is_judged_by_its_headers() {
    let segment = [build::tcp(), vec![0; 40_000]].concat();
    let bytes = build::ipv4(6, &segment);
    let frame = Frame::parse(&bytes).unwrap();

    assert_eq!(
        check_headers(Policy::DEFAULT, Direction::FromRemote, &frame),
        Ok(())
    );
}

#[test]
fn a_class_opens_and_closes_what_is_in_it() {
    let closed = Policy::with(&[], ProtocolClass::ALL);
    let opened = Policy::with(ProtocolClass::ALL, &[]);
    for vector in vectors::all() {
        assert!(with(closed, &vector).is_some(), "{}", vector.name);
        if vector.from_remote.is_some_and(Refusal::is_final) {
            assert_eq!(with(opened, &vector), vector.from_remote, "{}", vector.name);
        }
    }
}

#[test]
fn every_kind_has_a_vector_that_its_option_decides() {
    for &class in ProtocolClass::ALL {
        let decides = |vector: &vectors::Vector| {
            let open = with(Policy::DEFAULT.open(class), vector);
            let closed = with(Policy::DEFAULT.close(class), vector);
            open.is_none() && closed.is_some()
        };

        assert!(vectors::all().iter().any(decides), "{}", class.as_str());
    }
}
