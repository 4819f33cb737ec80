//! The safety policy in both directions.

use lanparty_proto::address_info::AddressInfo;
use lanparty_proto::policy::ProtocolClass;
use lanparty_proto::{Direction, Frame, Kind, Policy, policy};

/// The largest MTU of a room.
const MTU: u16 = 1500;

/// The safety policy in both directions: no panic, and what a remote player may send is never one of the things it must not.
pub fn policy(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else {
        return;
    };
    let from_lan = policy::check(Policy::DEFAULT, Direction::FromLan, &frame, MTU);
    let from_remote = policy::check(Policy::DEFAULT, Direction::FromRemote, &frame, MTU);
    let all_open = Policy::with(ProtocolClass::ALL, &[]);
    let opened = policy::check(all_open, Direction::FromRemote, &frame, MTU);
    if let Err(refusal) = from_remote {
        assert!(
            !refusal.is_final() || opened.is_err(),
            "no option lets pass what {refusal} refuses"
        );
        return;
    }
    assert_eq!(opened, Ok(()), "opening a kind closes none");

    assert_eq!(from_lan, Ok(()), "the LAN may say what a remote player may");
    assert!(frame.source().is_valid_source());
    assert_eq!(frame.tags(), 0);
    assert!(bytes.len() <= frame.max_len(MTU.into()));
    match AddressInfo::read(&frame) {
        AddressInfo::Arp { hardware, .. } => assert_eq!(hardware, frame.source()),
        AddressInfo::Dhcp(dhcp) => {
            assert!(!dhcp.is_reply());
            assert_eq!(dhcp.client(), frame.source());
        }
        AddressInfo::Neighbor { is_router, .. } => assert!(!is_router),
        AddressInfo::Router { .. } => panic!("a router advertisement passed"),
        AddressInfo::Ipv4 { source } => assert!(!source.is_multicast() && !source.is_loopback()),
        AddressInfo::Ipv6 { source } | AddressInfo::Solicitation { source } => {
            assert!(!source.is_multicast() && !source.is_loopback())
        }
        AddressInfo::Nothing => {}
    }
    if let Kind::Length(length) = frame.kind() {
        assert!(usize::from(length) <= frame.payload().len());
    }
}
