//! What a frame says about addresses: who claims which, and what a DHCP server or router lets everybody know.
//!
//! [`AddressInfo::read`] decides nothing: what does not pass the strict validation of [`crate::ip`] says
//! nothing. The policy has refused by then what must not be said by a client at all.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::ip::transport::{UDP_HEADER_LEN, destination};
use crate::ip::{ipv4, ipv6, protocol};
use crate::policy::icmpv6::kind;
use crate::policy::transport::{COOKIE, COOKIE_OFFSET, port};
use crate::read::{array, byte};
use crate::{EtherType, Frame, Kind, MacAddr};

/// What a frame says about addresses.
#[derive(Debug, Clone, Copy)]
pub enum AddressInfo<'a> {
    /// ARP: the sender claims an address, which is 0.0.0.0 in a probe (RFC 5227).
    Arp {
        /// Who claims it.
        hardware: MacAddr,
        /// What is claimed.
        sender: Ipv4Addr,
        /// What is asked for, or in a probe: what the sender is about to use.
        target: Ipv4Addr,
    },
    /// IPv4: the sender uses an address.
    Ipv4 {
        /// The source of the packet.
        source: Ipv4Addr,
    },
    /// DHCPv4, either way.
    Dhcp(Dhcp<'a>),
    /// IPv6: the sender uses an address.
    Ipv6 {
        /// The source of the packet, unspecified while it has none.
        source: Ipv6Addr,
    },
    /// A neighbour solicitation of a sender that has an address.
    Solicitation {
        /// The source of the packet.
        source: Ipv6Addr,
    },
    /// A neighbour solicitation for a target while the sender has no address (duplicate detection), or an advertisement.
    Neighbor {
        /// The source of the packet, unspecified in duplicate detection.
        source: Ipv6Addr,
        /// What is claimed.
        target: Ipv6Addr,
        /// Whether the sender says that it is a router.
        is_router: bool,
    },
    /// A router advertisement.
    Router {
        /// The router's link-local address.
        source: Ipv6Addr,
    },
    /// Nothing about addresses.
    Nothing,
}

impl<'a> AddressInfo<'a> {
    /// Reads what `frame` says.
    pub fn read(frame: &Frame<'a>) -> Self {
        let said = match frame.kind() {
            Kind::Type(EtherType::ARP) => read_arp(frame.payload()),
            Kind::Type(EtherType::IPV4) => read_ipv4(frame.payload()),
            Kind::Type(EtherType::IPV6) => read_ipv6(frame.payload()),
            Kind::Type(_) | Kind::Length(_) => None,
        };

        said.unwrap_or(Self::Nothing)
    }
}

fn read_arp(payload: &[u8]) -> Option<AddressInfo<'_>> {
    let hardware = MacAddr(array(payload, 8)?);
    let sender = Ipv4Addr::from(array::<4>(payload, 14)?);
    let target = Ipv4Addr::from(array::<4>(payload, 24)?);

    Some(AddressInfo::Arp {
        hardware,
        sender,
        target,
    })
}

fn read_ipv4(payload: &[u8]) -> Option<AddressInfo<'_>> {
    let packet = ipv4::Packet::parse_whole(payload)?;
    let source = Ipv4Addr::from(packet.source());
    let is_dhcp = packet.protocol() == protocol::UDP
        && !packet.is_fragment()
        && matches!(
            destination(packet.payload()),
            Some(port::DHCP_SERVER | port::DHCP_CLIENT)
        );
    let dhcp = is_dhcp
        .then(|| Dhcp::parse(source, packet.payload()))
        .flatten();

    Some(dhcp.map_or(AddressInfo::Ipv4 { source }, AddressInfo::Dhcp))
}

fn read_ipv6(payload: &[u8]) -> Option<AddressInfo<'_>> {
    let packet = ipv6::Packet::parse_whole(payload)?;
    let source = Ipv6Addr::from(packet.source());
    let plain = AddressInfo::Ipv6 { source };
    if matches!(packet.next_header(), protocol::TCP | protocol::UDP) {
        return Some(plain);
    }
    let Some(upper) = packet.upper_strict() else {
        return Some(plain);
    };
    if upper.is_later_fragment || upper.protocol != protocol::ICMPV6 {
        return Some(plain);
    }

    let target = array::<16>(upper.bytes, 8).map(Ipv6Addr::from);
    Some(match (byte(upper.bytes, 0), target) {
        (Some(kind::ROUTER_ADVERTISEMENT), _) => AddressInfo::Router { source },
        (Some(kind::NEIGHBOR_SOLICITATION), Some(target)) if source.is_unspecified() => {
            AddressInfo::Neighbor {
                source,
                target,
                is_router: false,
            }
        }
        (Some(kind::NEIGHBOR_SOLICITATION), _) => AddressInfo::Solicitation { source },
        (Some(kind::NEIGHBOR_ADVERTISEMENT), Some(target)) => AddressInfo::Neighbor {
            source,
            target,
            is_router: byte(upper.bytes, 4).is_some_and(|flags| flags & 0x80 != 0),
        },
        _ => plain,
    })
}

/// What kind of message a DHCPv4 message is (RFC 2132, 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpKind {
    /// A server offers an address.
    Offer,
    /// A client says that an address is in use by somebody else.
    Decline,
    /// A server grants an address.
    Ack,
    /// A server refuses an address.
    Nak,
    /// A client gives its address back.
    Release,
    /// Any other.
    Other,
}

/// A DHCPv4 message (RFC 2131).
#[derive(Debug, Clone, Copy)]
pub struct Dhcp<'a> {
    source: Ipv4Addr,
    head: [u8; 34],
    options: &'a [u8],
}

impl<'a> Dhcp<'a> {
    /// Reads the message in a UDP datagram from `source`.
    fn parse(source: Ipv4Addr, datagram: &'a [u8]) -> Option<Self> {
        let message = datagram.get(UDP_HEADER_LEN..)?;
        let head = array(message, 0)?;
        let (cookie, options) = message.get(COOKIE_OFFSET..)?.split_first_chunk()?;

        (*cookie == COOKIE).then_some(Self {
            source,
            head,
            options,
        })
    }

    /// Returns the source of the packet.
    pub const fn source(&self) -> Ipv4Addr {
        self.source
    }

    /// Returns whether a server says it.
    pub const fn is_reply(&self) -> bool {
        let [op, ..] = self.head;

        op == 2
    }

    /// Returns the hardware address that the message is about.
    pub fn client(&self) -> MacAddr {
        self.head
            .last_chunk()
            .map_or(MacAddr::ZERO, |&bytes| MacAddr(bytes))
    }

    /// Returns the address that the server gives the client.
    pub fn assigned(&self) -> Ipv4Addr {
        array::<4>(&self.head, 16).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from)
    }

    /// Returns what kind of message it is.
    pub fn kind(&self) -> DhcpKind {
        match self.option(53) {
            Some([2]) => DhcpKind::Offer,
            Some([4]) => DhcpKind::Decline,
            Some([5]) => DhcpKind::Ack,
            Some([6]) => DhcpKind::Nak,
            Some([7]) => DhcpKind::Release,
            _ => DhcpKind::Other,
        }
    }

    /// Returns the lease time in seconds.
    pub fn lease_seconds(&self) -> Option<u32> {
        self.option(51)
            .and_then(|data| array(data, 0))
            .map(u32::from_be_bytes)
    }

    /// Returns the server's own name for itself.
    pub fn server(&self) -> Option<Ipv4Addr> {
        self.addresses(54).next()
    }

    /// Returns the routers.
    pub fn routers(&self) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        self.addresses(3)
    }

    /// Returns the resolvers.
    pub fn resolvers(&self) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        self.addresses(6)
    }

    fn addresses(&self, code: u8) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        let data = self.option(code).unwrap_or_default();

        data.chunks_exact(4)
            .filter_map(|bytes| array::<4>(bytes, 0).map(Ipv4Addr::from))
    }

    /// Returns the data of the first option with `code`.
    fn option(&self, code: u8) -> Option<&'a [u8]> {
        const PAD: u8 = 0;
        const END: u8 = 255;

        let mut rest = self.options;
        loop {
            let (&found, behind) = rest.split_first()?;
            match found {
                PAD => rest = behind,
                END => return None,
                _ => {
                    let (&len, behind) = behind.split_first()?;
                    let (data, behind) = behind.split_at_checked(usize::from(len))?;
                    if found == code {
                        return Some(data);
                    }
                    rest = behind;
                }
            }
        }
    }
}
