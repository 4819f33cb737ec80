//! What a member may send, by kind of frame (SPEC R10).

use std::time::Instant;

use lanparty_bounds::Rate;
use lanparty_ctrl::Role;
use lanparty_obs::DropReason;
use lanparty_proto::ethernet::HEADER_LEN;
use lanparty_proto::ip::{ipv6, protocol};
use lanparty_proto::{EtherType, Frame, Kind};

use crate::limits::Limits;
use crate::member::Member;

/// The longest frame that may use up a client's bytes: a packet that every host takes (RFC 791, 3.2:
/// 576 bytes) in Ethernet. Pings, voice, name queries and games are shorter, bulk is longer: a client
/// that uploads faster than the limit loses some of that, and no ping.
const SMALL: usize = HEADER_LEN + 576;

/// What rates tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// ARP and IPv6 neighbour discovery, to whomever.
    AddressResolution,
    /// Other broadcast and multicast.
    Group,
    /// For one station.
    Unicast,
}

/// Takes the frame's tokens (SPEC R10).
pub(crate) fn check_rates(
    member: &mut Member,
    class: Class,
    is_known: bool,
    len: usize,
    limits: &Limits,
    now: Instant,
) -> Result<(), DropReason> {
    let buckets = &mut member.buckets;
    if member.identity.role() == Role::Gateway {
        let is_group = class != Class::Unicast;
        if is_group && !buckets.broadcast.take(limits.lan_broadcast, 1, now) {
            return Err(DropReason::RateBroadcast);
        }
        return Ok(());
    }

    let (bucket, rate, reason) = match class {
        Class::AddressResolution => (&mut buckets.arp, limits.arp, DropReason::RateArp),
        Class::Group => (
            &mut buckets.broadcast,
            limits.broadcast,
            DropReason::RateBroadcast,
        ),
        Class::Unicast if is_known => (
            &mut buckets.unknown,
            Rate::UNLIMITED,
            DropReason::RateUnknown,
        ),
        Class::Unicast => (
            &mut buckets.unknown,
            limits.unknown,
            DropReason::RateUnknown,
        ),
    };
    if !bucket.take(rate, 1, now) {
        return Err(reason);
    }
    let amount = u64::try_from(len).unwrap_or(u64::MAX);
    let reserve = if len > SMALL {
        limits.bytes.reserve(amount)
    } else {
        0
    };
    if !buckets
        .bytes
        .take_leaving(limits.bytes, amount, reserve, now)
    {
        return Err(DropReason::RateBytes);
    }

    Ok(())
}

pub(crate) fn class(frame: &Frame<'_>) -> Class {
    let is_arp = frame.kind() == Kind::Type(EtherType::ARP);
    if is_arp || is_neighbour_discovery(frame) {
        Class::AddressResolution
    } else if frame.destination().is_group() {
        Class::Group
    } else {
        Class::Unicast
    }
}

/// Returns whether this is a neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4) without
/// extension headers.
fn is_neighbour_discovery(frame: &Frame<'_>) -> bool {
    const SOLICITATION: u8 = 135;
    const ADVERTISEMENT: u8 = 136;

    frame.kind() == Kind::Type(EtherType::IPV6)
        && ipv6::Packet::parse(frame.payload()).is_some_and(|packet| {
            let first = packet.payload().first();

            packet.next_header() == protocol::ICMPV6
                && matches!(first, Some(&(SOLICITATION | ADVERTISEMENT)))
        })
}
