//! IPv6 from remote clients (RFC 8200), with the whole chain of extension headers.
//!
//! In the spirit of RFC 7112, 7113 (RA-Guard) and 7610 (DHCPv6-Shield), and simpler: what is not understood is refused, and
//! so is every fragment.

use super::{Policy, Refusal, icmpv6, transport};
use crate::Frame;
use crate::ip::ipv6::Packet;
use crate::ip::protocol;

/// Decides about a remote client's IPv6.
#[inline]
pub(super) fn check(policy: Policy, frame: &Frame<'_>) -> Result<(), Refusal> {
    let Some(packet) = Packet::parse_whole(frame.payload()) else {
        return Err(Refusal::Ipv6Malformed);
    };
    check_addresses(&packet)?;

    match packet.next_header() {
        protocol::UDP => transport::check_udp(frame, packet.payload()),
        protocol::TCP => transport::check_tcp(packet.payload()),
        _ => check_chain(policy, frame, &packet),
    }
}

/// Multicast and loopback addresses send nothing; nothing is sent to loopback or to nobody (RFC 4291, 2.5 and 2.7).
#[inline]
fn check_addresses(packet: &Packet<'_>) -> Result<(), Refusal> {
    let source = u128::from_be_bytes(packet.source());
    let destination = u128::from_be_bytes(packet.destination());
    let is_multicast = source >> 120 == 0xff;
    if is_multicast || source == 1 || destination <= 1 {
        return Err(Refusal::IpAddress);
    }

    Ok(())
}

#[inline(never)]
fn check_chain(policy: Policy, frame: &Frame<'_>, packet: &Packet<'_>) -> Result<(), Refusal> {
    let Some(upper) = packet.upper_strict() else {
        return Err(Refusal::Ipv6Chain);
    };
    if upper.is_fragment {
        return Err(Refusal::Ipv6Fragment);
    }

    match upper.protocol {
        protocol::UDP => transport::check_udp(frame, upper.bytes),
        protocol::TCP => transport::check_tcp(upper.bytes),
        protocol::ICMPV6 => icmpv6::check(frame, packet, upper.bytes),
        other => transport::check_protocol(policy, other),
    }
}
