//! Rewriting towards the player: what would capture a player's Internet is taken out of what the LAN says.
//!
//! A DHCP answer with a router, routes or resolvers, or a router advertisement with a lifetime, would move all of a player's
//! traffic to the LAN (CVE-2024-3661). [`rewrite`] takes exactly that out, in place and without moving a
//! byte, and refuses what it cannot read to its end. The gateway calls it for what enters the tunnel, the client again for
//! what leaves it.
//!
//! VLAN tags make no difference: hosts take priority-tagged frames like untagged ones, so it looks
//! behind them, and refuses a frame with more of them than it looks behind.

pub mod options;

mod checksum;
mod dhcp;
mod dhcpv6;
mod router;
#[cfg(test)]
mod tests;

pub use options::{DhcpOption, PlayerPolicy};

use crate::checksum::ChecksumState;
use crate::ip::transport::{UDP_HEADER_LEN, datagram, destination};
use crate::ip::{ipv4, ipv6, protocol};
use crate::policy::ipv4::check_icmp;
use crate::policy::transport::{self, port};
use crate::policy::{icmpv6, llc};
use crate::{EtherType, Frame, Kind, Refusal};

/// What [`rewrite`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// Nothing: the frame is as it was.
    Untouched,
    /// The frame was one to clean, and holds nothing now that captures a player.
    Cleaned,
}

/// What a frame carries that needs cleaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Dhcp,
    Dhcpv6,
    RouterAdvertisement,
}

/// Cleans a frame from the LAN for a player.
///
/// `state` says what stands in the transport's checksum field. A checksum that was right is right
/// afterwards, one that was wrong stays wrong, and the UDP checksum 0 (none) stays 0.
///
/// # Errors
///
/// Returns a refusal for redirects, for IP in disguise, for fragments that could hide what is cleaned here, and for
/// messages to be cleaned that are malformed. `bytes` are then of no use: they may be half cleaned.
pub fn rewrite(
    policy: PlayerPolicy,
    bytes: &mut [u8],
    state: ChecksumState,
) -> Result<Rewrite, Refusal> {
    let Ok(frame) = Frame::parse(bytes) else {
        return Err(Refusal::Runt);
    };
    let found = find(&frame)?;
    let Some((subject, message)) = found else {
        return Ok(Rewrite::Untouched);
    };

    // The message is borrowed from the frame; from here on it is a place in it.
    let end = offset_of_end(bytes, message);
    let start = end.saturating_sub(message.len());
    let Some(message) = bytes.get_mut(start..end) else {
        return Err(Refusal::TransportMalformed);
    };
    match subject {
        Subject::Dhcp => dhcp::clean(policy, message, state)?,
        Subject::Dhcpv6 => dhcpv6::clean(policy, message, state)?,
        Subject::RouterAdvertisement => router::clean(policy, message, state)?,
    }

    Ok(Rewrite::Cleaned)
}

/// Returns whether [`rewrite`] would change `frame`, so that only such a frame is copied.
///
/// # Errors
///
/// Returns the refusals that need no change to be found: all but those for malformed messages.
#[inline]
pub fn needs_rewrite(frame: &Frame<'_>) -> Result<bool, Refusal> {
    find(frame).map(|found| found.is_some())
}

/// Finds a message to clean, and returns it from its transport header on.
fn find<'a>(frame: &Frame<'a>) -> Result<Option<(Subject, &'a [u8])>, Refusal> {
    match frame.kind() {
        Kind::Type(EtherType::IPV4) => find_ipv4(frame.payload()),
        Kind::Type(EtherType::IPV6) => find_ipv6(frame.payload()),
        Kind::Type(_) if frame.is_overtagged() => Err(Refusal::VlanStack),
        Kind::Type(_) => Ok(None),
        Kind::Length(_) if llc::carries_ip(frame.payload()) => Err(Refusal::LlcIp),
        Kind::Length(_) => Ok(None),
    }
}

/// Returns where `part`, which was sliced out of `whole`, ends in it.
fn offset_of_end(whole: &[u8], part: &[u8]) -> usize {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());

    start.saturating_add(part.len())
}

/// Finds a message to clean in an IPv4 packet, and returns it from its transport header on.
fn find_ipv4(bytes: &[u8]) -> Result<Option<(Subject, &[u8])>, Refusal> {
    let packet = ipv4::Packet::parse_whole(bytes).ok_or(Refusal::Ipv4Malformed)?;
    if packet.is_later_fragment() {
        return Ok(None);
    }

    match packet.protocol() {
        protocol::ICMP => check_icmp(packet.payload()).map(|()| None),
        protocol::UDP if packet.is_fragment() => {
            if packet.payload().len() < UDP_HEADER_LEN || transport::is_dhcp_port(packet.payload())
            {
                return Err(Refusal::Ipv4Fragment);
            }
            Ok(None)
        }
        protocol::UDP => {
            let to_client = destination(packet.payload()) == Some(port::DHCP_CLIENT);
            if to_client || transport::is_boot_reply(packet.payload()) {
                return whole_datagram(packet.payload()).map(|bytes| Some((Subject::Dhcp, bytes)));
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// Finds a message to clean in an IPv6 packet, and returns it from its transport header on.
fn find_ipv6(bytes: &[u8]) -> Result<Option<(Subject, &[u8])>, Refusal> {
    let packet = ipv6::Packet::parse_whole(bytes).ok_or(Refusal::Ipv6Malformed)?;
    let upper = packet.upper_strict().ok_or(Refusal::Ipv6Chain)?;
    if upper.is_later_fragment {
        return Ok(None);
    }
    let found = find_upper(&upper)?;
    // Neighbour discovery is never fragmented (RFC 6980), and DHCPv6 here has no reason to be.
    if upper.is_fragment && found.is_some() {
        return Err(Refusal::Ipv6Fragment);
    }

    Ok(found)
}

/// Returns a datagram that fills its packet: clients that read raw packets may not stop at the UDP length.
fn whole_datagram(bytes: &[u8]) -> Result<&[u8], Refusal> {
    datagram(bytes)
        .filter(|datagram| datagram.len() == bytes.len())
        .ok_or(Refusal::TransportMalformed)
}

fn find_upper<'a>(upper: &ipv6::Upper<'a>) -> Result<Option<(Subject, &'a [u8])>, Refusal> {
    let bytes = upper.bytes;
    match upper.protocol {
        protocol::UDP if upper.is_fragment => match destination(bytes) {
            Some(port::DHCPV6_CLIENT) | None => Err(Refusal::Ipv6Fragment),
            Some(_) => Ok(None),
        },
        protocol::UDP => {
            if destination(bytes) == Some(port::DHCPV6_CLIENT) {
                return whole_datagram(bytes).map(|bytes| Some((Subject::Dhcpv6, bytes)));
            }
            Ok(None)
        }
        protocol::ICMPV6 => match bytes.first() {
            Some(&icmpv6::kind::REDIRECT) => Err(Refusal::Redirect),
            Some(&icmpv6::kind::ROUTER_ADVERTISEMENT) => {
                Ok(Some((Subject::RouterAdvertisement, bytes)))
            }
            Some(_) => Ok(None),
            None => Err(Refusal::TransportMalformed),
        },
        _ => Ok(None),
    }
}
