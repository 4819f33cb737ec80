//! What the LAN says: whose an address is, what its infrastructure is, and what its DHCP server gave to whom.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_proto::address_info::{AddressInfo, Dhcp, DhcpKind};
use lanparty_proto::{Frame, MacAddr};

use crate::Guard;
use crate::event::{Event, Origin, Role};
use crate::member::Binding;

/// How long an acknowledgement without a lease time counts (RFC 2131 requires one).
const DEFAULT_LEASE: Duration = Duration::from_hours(1);

impl Guard {
    /// Learns from a frame of the LAN.
    pub fn handle_lan(&mut self, frame: &Frame<'_>, now: Instant) {
        match AddressInfo::read(frame) {
            // A station that speaks for another one proves nothing.
            AddressInfo::Arp {
                hardware,
                sender,
                target,
            } if hardware == frame.source() => {
                if sender.is_unspecified() {
                    self.hear_intent(target.into(), hardware, now);
                } else {
                    self.hear(sender.into(), hardware, now);
                }
            }
            AddressInfo::Dhcp(dhcp) if dhcp.is_reply() => self.learn_dhcp(&dhcp, now),
            AddressInfo::Router { source } => {
                self.protect_learnt(source.into(), Role::Router, now);
                self.hear(source.into(), frame.source(), now);
            }
            AddressInfo::Neighbor {
                source,
                target,
                is_router,
            } if !source.is_unspecified() => {
                if is_router {
                    self.protect_learnt(target.into(), Role::Router, now);
                }
                self.hear(target.into(), frame.source(), now);
            }
            AddressInfo::Neighbor { target, .. } => {
                self.hear_intent(target.into(), frame.source(), now);
            }
            AddressInfo::Solicitation { source } => self.hear(source.into(), frame.source(), now),
            AddressInfo::Arp { .. }
            | AddressInfo::Dhcp(_)
            | AddressInfo::Ipv4 { .. }
            | AddressInfo::Ipv6 { .. }
            | AddressInfo::Nothing => {}
        }
    }

    /// Returns whether a station of the LAN has that MAC, as far as it said so lately by ARP, neighbour discovery or DHCP.
    pub fn is_station(&self, mac: MacAddr, now: Instant) -> bool {
        self.lan.has(mac, now)
    }

    /// Notes a station on the LAN. It wins over a member that came first, but not over a lease.
    fn hear(&mut self, address: IpAddr, station: MacAddr, now: Instant) {
        if self.members.contains_key(&station) {
            return;
        }
        match self.holder(address, now) {
            Some((_, Origin::Dhcp)) => {}
            Some((member, Origin::FirstCome)) => {
                self.take_away(member, address);
                self.lan.hear(address, station, now);
            }
            None => self.lan.hear(address, station, now),
        }
    }

    /// Notes a station on the LAN that asks whether an address is free (RFC 4862, 5.4; RFC 5227, 2.1) and takes it if nobody
    /// answers. Nobody may take it from there by answering; a member that has it already may, and must.
    fn hear_intent(&mut self, address: IpAddr, station: MacAddr, now: Instant) {
        if self.members.contains_key(&station) || self.holder(address, now).is_some() {
            return;
        }
        // Who has it is known better from what that one said itself.
        if self.lan.owner_of(address, now).is_none() {
            self.lan.hear(address, station, now);
        }
    }

    fn protect_learnt(&mut self, address: IpAddr, role: Role, now: Instant) {
        self.lan.protect(address, role, now);
        if let Some((member, Origin::FirstCome)) = self.holder(address, now) {
            self.take_away(member, address);
        }
    }

    /// Learns from what a DHCP server of the LAN says.
    fn learn_dhcp(&mut self, dhcp: &Dhcp<'_>, now: Instant) {
        let kind = dhcp.kind();
        if kind == DhcpKind::Nak {
            if let Some((member, _)) = self.members.get_mut(&dhcp.client()) {
                member.release();
            }
            return;
        }
        if !matches!(kind, DhcpKind::Offer | DhcpKind::Ack) {
            return;
        }

        self.protect_learnt(dhcp.source().into(), Role::DhcpServer, now);
        if let Some(server) = dhcp.server() {
            self.protect_learnt(server.into(), Role::DhcpServer, now);
        }
        for router in dhcp.routers() {
            self.protect_learnt(router.into(), Role::Router, now);
        }
        for resolver in dhcp.resolvers() {
            self.protect_learnt(resolver.into(), Role::Resolver, now);
        }
        if kind == DhcpKind::Ack && !dhcp.assigned().is_unspecified() {
            self.grant(dhcp, now);
        }
    }

    /// The server gave an address to a station; whoever had it before has it no more.
    fn grant(&mut self, dhcp: &Dhcp<'_>, now: Instant) {
        let address = IpAddr::V4(dhcp.assigned());
        if self.lan.role_of(address, now).is_some() {
            return;
        }
        if let Some((holder, _)) = self.holder(address, now)
            && holder != dhcp.client()
        {
            self.take_away(holder, address);
        }
        let Some((member, _)) = self.members.get_mut(&dhcp.client()) else {
            self.lan.hear(address, dhcp.client(), now);
            return;
        };

        let lease = dhcp
            .lease_seconds()
            .map_or(DEFAULT_LEASE, |seconds| Duration::from_secs(seconds.into()));
        let is_new = member
            .binding(address, now)
            .is_none_or(|binding| binding.origin != Origin::Dhcp);
        member.release();
        member.bind(
            Binding {
                address,
                origin: Origin::Dhcp,
                until: now + lease,
                firm: now,
            },
            now,
        );
        self.lan.forget(address);
        if is_new {
            self.push(Event::Bound {
                member: dhcp.client(),
                address,
                origin: Origin::Dhcp,
            });
        }
    }
}
