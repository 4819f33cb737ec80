//! One table of vectors: it tests the policy and it is the table of `docs/policy.md`.

mod ipv4;
mod ipv6;
mod llc;
mod outside;
mod passing;

use super::build::{CLIENT, frame_to, ipv4_packet, llc as llc_frame, udp};
use crate::policy::Refusal;

/// A kind of frame and what becomes of it.
pub(crate) struct Vector {
    /// The name of the test.
    pub(crate) name: &'static str,
    /// What a reader knows it by.
    pub(crate) kind: &'static str,
    pub(crate) frame: Vec<u8>,
    pub(crate) from_remote: Option<Refusal>,
    pub(crate) from_lan: Option<Refusal>,
}

/// What passes both ways.
fn pass(name: &'static str, kind: &'static str, frame: Vec<u8>) -> Vector {
    Vector {
        name,
        kind,
        frame,
        from_remote: None,
        from_lan: None,
    }
}

/// What remote clients may not send and the LAN may.
fn remote(name: &'static str, kind: &'static str, reason: Refusal, frame: Vec<u8>) -> Vector {
    Vector {
        name,
        kind,
        frame,
        from_remote: Some(reason),
        from_lan: None,
    }
}

/// What nobody may send.
fn both(name: &'static str, kind: &'static str, reason: Refusal, frame: Vec<u8>) -> Vector {
    Vector {
        name,
        kind,
        frame,
        from_remote: Some(reason),
        from_lan: Some(reason),
    }
}

/// Every vector, in the order of the documentation.
pub(crate) fn all() -> Vec<Vector> {
    [
        passing::passing(),
        outside::addresses_and_sizes(),
        outside::switch_control(),
        outside::types(),
        llc::llc_frames(),
        llc::arp_frames(),
        ipv4::ipv4_frames(),
        ipv4::udp_frames(),
        ipv6::ipv6_frames(),
        ipv6::icmpv6_frames(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn snap(oui: [u8; 3], number: u16, rest: &[u8]) -> Vec<u8> {
    let header = [&[0xaa, 0xaa, 0x03][..], &oui, &number.to_be_bytes()].concat();

    llc_frame(&[header.as_slice(), rest].concat())
}

fn to(destination: [u8; 6]) -> Vec<u8> {
    frame_to(
        destination,
        CLIENT,
        0x0800,
        &ipv4_packet(17, 0, &[], &udp(4000, 4001, b"hello")),
    )
}
