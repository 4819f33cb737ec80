//! TCP, UDP and the protocols over UDP that only infrastructure speaks.

use super::{Policy, ProtocolClass, Refusal};
use crate::Frame;
use crate::ip::transport::{UDP_HEADER_LEN, datagram, ports, tcp_header_len};
use crate::read::{array, be16, byte};

/// UDP ports (IANA "Service Name and Transport Protocol Port Number Registry").
pub(crate) mod port {
    pub(crate) const DHCP_SERVER: u16 = 67;
    pub(crate) const DHCP_CLIENT: u16 = 68;
    pub(crate) const RIP: u16 = 520;
    pub(crate) const RIPNG: u16 = 521;
    pub(crate) const DHCPV6_CLIENT: u16 = 546;
    pub(crate) const DHCPV6_SERVER: u16 = 547;
    pub(crate) const HSRP: u16 = 1985;
    pub(crate) const HSRP_IPV6: u16 = 2029;
    pub(crate) const GLBP: u16 = 3222;
}

/// A message from a client, and one from a server (RFC 951).
const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;

/// Where the magic cookie stands in a DHCP message, and what it is (RFC 2131, 3).
pub(crate) const COOKIE_OFFSET: usize = 236;
pub(crate) const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// The ports above which nothing is looked at: most games are there.
const HIGHEST_WATCHED: u16 = port::GLBP;

/// A whole TCP header, so that no later fragment can complete it.
#[inline]
pub(super) fn check_tcp(bytes: &[u8]) -> Result<(), Refusal> {
    tcp_header_len(bytes)
        .map(drop)
        .ok_or(Refusal::TransportMalformed)
}

/// A whole UDP datagram.
#[inline]
pub(super) fn check_udp(frame: &Frame<'_>, bytes: &[u8]) -> Result<(), Refusal> {
    let datagram = datagram(bytes).ok_or(Refusal::TransportMalformed)?;

    check_udp_fragment(frame, datagram)
}

/// A UDP datagram, or the beginning of one.
#[inline]
pub(super) fn check_udp_fragment(frame: &Frame<'_>, bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() < UDP_HEADER_LEN {
        return Err(Refusal::TransportMalformed);
    }
    let Some((source, destination)) = ports(bytes) else {
        return Err(Refusal::TransportMalformed);
    };
    if is_boot_reply(bytes) {
        return Err(Refusal::DhcpServer);
    }
    if source > HIGHEST_WATCHED && destination > HIGHEST_WATCHED {
        return Ok(());
    }

    check_ports(frame, source, destination, bytes)
}

/// Returns whether the bytes behind the UDP header are a server's DHCP message, whatever the ports.
#[inline]
pub(crate) fn is_boot_reply(bytes: &[u8]) -> bool {
    byte(bytes, UDP_HEADER_LEN) == Some(BOOTREPLY)
        && array(bytes, UDP_HEADER_LEN.saturating_add(COOKIE_OFFSET)) == Some(COOKIE)
}

#[inline(never)]
fn check_ports(
    frame: &Frame<'_>,
    source: u16,
    destination: u16,
    bytes: &[u8],
) -> Result<(), Refusal> {
    if source == port::DHCP_SERVER || destination == port::DHCP_CLIENT {
        return Err(Refusal::DhcpServer);
    }
    if source == port::DHCPV6_SERVER || destination == port::DHCPV6_CLIENT {
        return Err(Refusal::Dhcpv6Server);
    }

    match destination {
        port::DHCP_SERVER => check_dhcp_request(frame, bytes),
        port::DHCPV6_SERVER => check_dhcpv6_request(bytes),
        port::RIP | port::RIPNG => Err(Refusal::RoutingProtocol),
        port::HSRP | port::HSRP_IPV6 | port::GLBP => Err(Refusal::RouterRedundancy),
        _ => Ok(()),
    }
}

/// A client asks for its own hardware address, and for nobody else's (RFC 2131, 2).
fn check_dhcp_request(frame: &Frame<'_>, bytes: &[u8]) -> Result<(), Refusal> {
    /// `op` to `giaddr` and the six bytes of `chaddr` that Ethernet uses.
    const HEAD_LEN: usize = 34;

    let Some(head) = array::<HEAD_LEN>(bytes, UDP_HEADER_LEN) else {
        return Err(Refusal::DhcpMalformed);
    };
    let [
        op,
        hardware,
        length,
        _,
        ..,
        g0,
        g1,
        g2,
        g3,
        c0,
        c1,
        c2,
        c3,
        c4,
        c5,
    ] = head;
    if op != BOOTREQUEST {
        return Err(Refusal::DhcpServer);
    }
    let own = (hardware, length) == (1, 6) && [c0, c1, c2, c3, c4, c5] == frame.source().0;
    if !own || [g0, g1, g2, g3] != [0; 4] {
        return Err(Refusal::DhcpSender);
    }

    Ok(())
}

/// What clients send (RFC 8415, 7.3): all that servers and relay agents send has another number.
fn check_dhcpv6_request(bytes: &[u8]) -> Result<(), Refusal> {
    match byte(bytes, UDP_HEADER_LEN) {
        // Solicit, request, confirm, renew, rebind, release, decline, information-request.
        Some(1 | 3 | 4 | 5 | 6 | 8 | 9 | 11) => Ok(()),
        Some(_) => Err(Refusal::Dhcpv6Server),
        None => Err(Refusal::Dhcpv6Malformed),
    }
}

/// Returns whether a UDP header names a port of DHCPv4.
pub(crate) fn is_dhcp_port(bytes: &[u8]) -> bool {
    let dhcp = |at| matches!(be16(bytes, at), Some(port::DHCP_SERVER | port::DHCP_CLIENT));

    dhcp(0) || dhcp(2)
}

/// Decides about an IP protocol that has no parser here, over IPv4 and IPv6 alike.
#[inline(never)]
pub(super) fn check_protocol(policy: Policy, protocol: u8) -> Result<(), Refusal> {
    match protocol {
        // IPv4 in IP, IPv6 in IP, GRE, mobile and minimal encapsulation, IP-in-IP, EtherIP, IP encapsulation, L2TPv3, MPLS.
        4 | 41 | 47 | 55 | 94 | 97 | 98 | 115 | 137 => Err(Refusal::Tunnel),
        // GGP, EGP, IGP, EIGRP, OSPF, PIM, IS-IS over IPv4.
        3 | 8 | 9 | 88 | 89 | 103 | 124 => Err(Refusal::RoutingProtocol),
        112 => Err(Refusal::RouterRedundancy),
        // ICMP, IGMP, TCP and UDP of the other IP version, and AH, which hides them.
        0 | 1 | 2 | 6 | 17 | 43 | 44 | 51 | 58 | 59 | 60 => Err(Refusal::IpProtocol),
        _ if policy.allows(ProtocolClass::OtherIp) => Ok(()),
        _ => Err(Refusal::IpProtocol),
    }
}
