//! IPv4 from remote clients (RFC 791).

use super::{Policy, Refusal, transport};
use crate::Frame;
use crate::ip::ipv4::{Header, Packet};
use crate::ip::protocol;
use crate::read::byte;

/// Decides about a remote client's IPv4.
#[inline]
pub(super) fn check(policy: Policy, frame: &Frame<'_>) -> Result<(), Refusal> {
    let Some(packet) = Packet::parse_whole(frame.payload()) else {
        return Err(Refusal::Ipv4Malformed);
    };
    let [source, ..] = packet.source();
    let [destination, ..] = packet.destination();
    // Loopback, multicast, reserved and broadcast addresses send nothing; nothing is sent to loopback (RFC 1122, 3.2.1.3).
    if source == 127 || source >= 224 || destination == 127 {
        return Err(Refusal::IpAddress);
    }
    if !packet.options().is_empty() {
        check_options(packet.options())?;
    }
    if packet.is_fragment() {
        return check_fragment(policy, frame, &packet);
    }

    check_transport(policy, frame, &packet)
}

#[inline]
fn check_transport(policy: Policy, frame: &Frame<'_>, packet: &Packet<'_>) -> Result<(), Refusal> {
    let bytes = packet.payload();
    match packet.protocol() {
        protocol::UDP => transport::check_udp(frame, bytes),
        protocol::TCP => transport::check_tcp(bytes),
        protocol::ICMP => check_icmp(bytes),
        protocol::IGMP => check_igmp(bytes),
        other => transport::check_protocol(policy, other),
    }
}

/// A fragment passes if the first one shows what it is and that it is harmless.
///
/// The first fragment is decided like a whole packet and must hold the transport header. Later ones carry no header; those of
/// a refused first one are caught by [`super::Fragments`]. DHCP has no reason to be fragmented and could hide its
/// operation in the second fragment, so that its ports are refused at once (RFC 2131 limits clients to 576 bytes).
#[inline(never)]
fn check_fragment(policy: Policy, frame: &Frame<'_>, packet: &Packet<'_>) -> Result<(), Refusal> {
    // All but the last carry a multiple of 8 bytes, and no packet is over 65,535 (RFC 791, 3.2).
    let end = usize::from(packet.fragment_offset())
        .saturating_mul(8)
        .saturating_add(packet.payload().len());
    if packet.payload().is_empty() || end > usize::from(u16::MAX) {
        return Err(Refusal::Ipv4Fragment);
    }
    if !packet.is_later_fragment() {
        return check_first_fragment(policy, frame, packet);
    }
    // A fragment at offset 8 could overwrite the end of the first fragment's header (RFC 3128).
    if packet.protocol() == protocol::TCP && packet.fragment_offset() < 3 {
        return Err(Refusal::Ipv4Fragment);
    }

    match packet.protocol() {
        protocol::UDP | protocol::TCP | protocol::ICMP => Ok(()),
        // Membership reports are never fragmented.
        protocol::IGMP => Err(Refusal::Ipv4Fragment),
        other => transport::check_protocol(policy, other),
    }
}

fn check_first_fragment(
    policy: Policy,
    frame: &Frame<'_>,
    packet: &Packet<'_>,
) -> Result<(), Refusal> {
    let bytes = packet.payload();
    match packet.protocol() {
        protocol::UDP => {
            if transport::is_dhcp_port(bytes) {
                return Err(Refusal::Ipv4Fragment);
            }
            transport::check_udp_fragment(frame, bytes)
        }
        protocol::TCP => transport::check_tcp(bytes),
        protocol::ICMP => check_icmp(bytes),
        protocol::IGMP => Err(Refusal::Ipv4Fragment),
        other => transport::check_protocol(policy, other),
    }
}

/// Walks the options for source routes (RFC 791, 3.1; RFC 7126 advises to drop them).
fn check_options(mut options: &[u8]) -> Result<(), Refusal> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;

    while let [kind, rest @ ..] = options {
        options = match *kind {
            END => return Ok(()),
            NO_OPERATION => rest,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Err(Refusal::Ipv4SourceRoute),
            _ => {
                let len = rest.first().copied().map_or(0, usize::from);
                match options.get(len..) {
                    Some(rest) if len >= 2 => rest,
                    _ => return Err(Refusal::Ipv4Malformed),
                }
            }
        };
    }

    Ok(())
}

/// Refuses what redirects (RFC 792) and what only routers say (RFC 1256).
pub(crate) fn check_icmp(bytes: &[u8]) -> Result<(), Refusal> {
    const REDIRECT: u8 = 5;
    const ROUTER_ADVERTISEMENT: u8 = 9;
    const MIN_LEN: usize = 8;

    match byte(bytes, 0) {
        Some(REDIRECT) => Err(Refusal::Redirect),
        Some(ROUTER_ADVERTISEMENT) => Err(Refusal::RouterAdvertisement),
        Some(_) if bytes.len() >= MIN_LEN => Ok(()),
        _ => Err(Refusal::TransportMalformed),
    }
}

/// Lets a host join and leave (RFC 1112, 2236, 3376), and nothing else.
fn check_igmp(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() < 8 {
        return Err(Refusal::TransportMalformed);
    }

    match byte(bytes, 0) {
        // Reports of versions 1, 2 and 3, and leave.
        Some(0x12 | 0x16 | 0x17 | 0x22) => Ok(()),
        Some(0x11) => Err(Refusal::MulticastQuery),
        // Multicast router discovery (RFC 4286), DVMRP, PIM version 1, traces.
        _ => Err(Refusal::MulticastRouter),
    }
}

/// The four numbers by which fragments of one packet are known (RFC 791, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FragmentKey {
    source: [u8; 4],
    destination: [u8; 4],
    protocol: u8,
    identification: u16,
}

/// Returns the key of a frame that is an IPv4 fragment, and whether it is a later one.
pub(super) fn fragment_key(frame: &Frame<'_>) -> Option<(FragmentKey, bool)> {
    // The fixed part alone, because a first fragment may have been refused for its lengths.
    let packet = Header::parse(frame.payload())?;
    packet.is_fragment().then(|| {
        let key = FragmentKey {
            source: packet.source(),
            destination: packet.destination(),
            protocol: packet.protocol(),
            identification: packet.identification(),
        };

        (key, packet.is_later_fragment())
    })
}
