//! Why the policy refuses a frame.

use std::fmt;

/// Writes the enum, its names and its list from one table, so that they cannot differ.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// Why the policy refuses a frame.
        ///
        /// A refusal is a value to count and not an error to report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Refusal {
            /// Every refusal, in the order of [`Self::index`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name used by logs, metrics and tests.
            ///
            /// Dashboards depend on these: add, but do not rename.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns what it means, in one sentence.
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+
                }
            }
        }
    };
}

refusals! {
    /// The source MAC is a group address or zero.
    InvalidSource => "invalid_source",
    /// Longer than 1514 bytes (VLAN tags apart) or than the room's MTU allows.
    Jumbo => "jumbo",
    /// No payload at all, or no destination.
    Runt => "runt",
    /// A VLAN tag from a remote client, priority tags (VLAN 0) included.
    VlanTag => "vlan_tag",
    /// More than two VLAN tags.
    VlanStack => "vlan_stack",
    /// To a group address that IEEE 802.1Q tables 8-1 to 8-3 or IEEE 1588 reserve for bridges.
    ReservedGroup => "reserved_group",
    /// To a group address that a vendor's switches talk over (CDP, VTP, DTP, UDLD, PVST+, EDP, RRCP and their like).
    VendorControl => "vendor_control",
    /// A bridge protocol data unit, whatever its destination.
    SpanningTree => "spanning_tree",
    /// MAC control: PAUSE and priority flow control, whatever the destination.
    MacControl => "mac_control",
    /// Slow protocols: LACP, link OAM, synchronous Ethernet.
    SlowProtocol => "slow_protocol",
    /// LLDP.
    Lldp => "lldp",
    /// IEEE 802.1X: EAPOL, MACsec key agreement, pre-authentication.
    Eapol => "eapol",
    /// MACsec.
    Macsec => "macsec",
    /// Precision time: a tunnel's delay would harm the LAN's clocks.
    Ptp => "ptp",
    /// Registration protocols between bridges: MVRP, MMRP, MSRP, GARP.
    Mrp => "mrp",
    /// Connectivity fault management.
    Cfm => "cfm",
    /// Loop detection of switches (ECTP, MikroTik and others): their answer to a tunnel would be to close a port.
    LoopProtocol => "loop_protocol",
    /// Realtek's remote control of switches.
    Rrcp => "rrcp",
    /// The EtherType of the gateway's own probes (0x88B5), by which loops and other gateways are found.
    GatewayProbe => "gateway_probe",
    /// PPPoE, discovery or session.
    Pppoe => "pppoe",
    /// An EtherType that is not on the allow-list.
    EtherType => "ether_type",
    /// An 802.3 length that is not the length of the payload.
    LengthField => "length_field",
    /// IP, ARP, IPv6 or a VLAN tag inside 802.2 LLC or SNAP, where other filters do not look.
    LlcIp => "llc_ip",
    /// An 802.2 service access point or SNAP protocol that is not on the allow-list.
    Llc => "llc",
    /// ARP that is truncated or not for Ethernet and IPv4.
    ArpMalformed => "arp_malformed",
    /// An ARP operation that is neither request nor reply.
    ArpOperation => "arp_operation",
    /// ARP in the name of another station, or for an address that no station has.
    ArpSender => "arp_sender",
    /// An IPv4 header that is truncated or lies about lengths.
    Ipv4Malformed => "ipv4_malformed",
    /// IPv4 source routing.
    Ipv4SourceRoute => "ipv4_source_route",
    /// An IPv4 fragment that hides what it carries.
    Ipv4Fragment => "ipv4_fragment",
    /// An IPv6 header that is truncated or lies about its length.
    Ipv6Malformed => "ipv6_malformed",
    /// A chain of IPv6 extension headers that is truncated, too long, out of order or not understood.
    Ipv6Chain => "ipv6_chain",
    /// An IPv6 fragment, atomic ones included.
    Ipv6Fragment => "ipv6_fragment",
    /// A source or destination address that never appears on a wire.
    IpAddress => "ip_address",
    /// An IP protocol that is not on the allow-list.
    IpProtocol => "ip_protocol",
    /// A tunnel inside IP: IP in IP, 6in4, GRE, EtherIP, L2TPv3.
    Tunnel => "tunnel",
    /// A routing protocol: RIP, OSPF, EIGRP, PIM, IS-IS and others.
    RoutingProtocol => "routing_protocol",
    /// A protocol by which routers share an address: VRRP, CARP, HSRP, GLBP.
    RouterRedundancy => "router_redundancy",
    /// A TCP, UDP or ICMP header that is truncated or lies about lengths.
    TransportMalformed => "transport_malformed",
    /// What only a DHCPv4 server sends.
    DhcpServer => "dhcp_server",
    /// A DHCPv4 request for another station's hardware address, or from a relay agent.
    DhcpSender => "dhcp_sender",
    /// A DHCPv4 message that cannot be read to its end.
    DhcpMalformed => "dhcp_malformed",
    /// What only a DHCPv6 server or relay agent sends.
    Dhcpv6Server => "dhcpv6_server",
    /// A DHCPv6 message that cannot be read to its end.
    Dhcpv6Malformed => "dhcpv6_malformed",
    /// A router advertisement (ICMPv6 134, ICMPv4 9).
    RouterAdvertisement => "router_advertisement",
    /// A redirect (ICMPv6 137, ICMPv4 5).
    Redirect => "redirect",
    /// A multicast query (IGMP, MLD), which only a router sends.
    MulticastQuery => "multicast_query",
    /// Multicast router discovery and other IGMP messages between routers.
    MulticastRouter => "multicast_router",
    /// An ICMPv6 message that no ordinary host sends.
    Icmpv6Type => "icmpv6_type",
    /// Neighbour discovery that is truncated or has been forwarded (hop limit not 255).
    NdMalformed => "nd_malformed",
    /// Neighbour discovery in the name of another station.
    NdSender => "nd_sender",
    /// A neighbour advertisement that claims to be a router.
    NdRouter => "nd_router",
}

impl Refusal {
    /// How many refusals there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns whether no option lifts it: what it refuses would let a remote player break or take over the LAN, or hides what it is.
    ///
    /// The others only say that a kind of protocol is not on the allow-list.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::EtherType | Self::Llc | Self::IpProtocol)
    }

    /// Returns a dense number, from 0 to one less than [`Self::COUNT`], for tables of counters.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn indexes_are_dense_and_in_order() {
        for (index, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(refusal.index(), index);
        }
    }

    #[test]
    fn names_are_unique_and_fit_a_label() {
        let names: BTreeSet<_> = Refusal::ALL
            .iter()
            .map(|refusal| refusal.as_str())
            .collect();

        assert_eq!(names.len(), Refusal::COUNT);
        for name in names {
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
        }
    }
}
