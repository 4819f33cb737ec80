//! Address bindings at the gateway: which member may use which address on the LAN.
//!
//! A [`Guard`] does for a tunnel what DHCP snooping, dynamic ARP inspection and source address validation (RFC 6620, RFC 7513)
//! do for a switch. It listens to the LAN, and then decides about frames of remote clients that the safety policy let
//! pass:
//!
//! - The LAN's routers, DHCP servers and resolvers, learnt from DHCP and router advertisements, are nobody's to claim.
//! - An address that the LAN's DHCP server acknowledged belongs to the member it was acknowledged for, and that member uses
//!   no other one of its kind until the lease ends.
//! - Any other address belongs to who came first, be it a station on the LAN or a member. Before a member may announce one, the
//!   LAN is asked, because a station may be silent for long.
//!
//! Drive it like this:
//!
//! 1. [`Guard::handle_joined`] and [`Guard::handle_left`] as members come and go.
//! 2. [`Guard::handle_lan`] for every frame from the LAN that speaks of addresses, **before** it is rewritten for players.
//! 3. [`Guard::check_remote`] for every frame of a remote client; drop what it refuses.
//! 4. [`Guard::poll_probe`] until it returns `None`, and ask the LAN.
//! 5. [`Guard::poll_event`] until it returns `None`; [`Guard::handle_timeout`] once [`Guard::poll_timeout`] has come.
//! 6. [`Guard::snapshot`] now and then, and [`Guard::restore`] after a restart, so that bindings hold from the first frame.

mod event;
mod lan;
mod member;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_proto::claims::{Dhcp, DhcpKind, Said};
use lanparty_proto::{Frame, MacAddr};

pub use self::event::{Denial, Event, Origin, Owner, Role};
pub use self::snapshot::{SavedBinding, SavedProtection, Snapshot};

use self::lan::Lan;
use self::member::{Binding, FIRST_COME_LIFETIME, Member};

/// Most members that are remembered, those that left included: more than a room has clients.
pub const MAX_MEMBERS: usize = 256;

/// Most events waiting to be polled; more are not worth an operator's reading.
const MAX_EVENTS: usize = 64;

/// How long the same claim is not reported again.
const CLAIM_QUIET: Duration = Duration::from_secs(10);

/// How many claims are remembered in order not to report them again.
const MAX_RECENT: usize = 64;

/// How often tables are cleared of what has expired; expired entries never count, so this only bounds memory.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// How long an acknowledgement without a lease time counts (RFC 2131 requires one).
const DEFAULT_LEASE: Duration = Duration::from_hours(1);

/// Most addresses waiting to be asked about; they are taken in the turn in which they come.
const MAX_PROBES: usize = 64;

/// How long the LAN has to answer for an address before a member may announce it (RFC 6620, 3.2.5: `TENT_LT`).
pub const PROBE_WAIT: Duration = Duration::from_millis(500);

/// What a frame does with an address of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It comes from there, which no neighbour remembers.
    Used,
    /// It tells neighbours whose it is.
    Announced,
}

impl Claim {
    const fn allow(self, is_firm: bool) -> Result<(), Denial> {
        match self {
            Self::Announced if !is_firm => Err(Denial::Unproven),
            Self::Announced | Self::Used => Ok(()),
        }
    }
}

/// Which member may use which address.
#[derive(Debug, Default)]
pub struct Guard {
    lan: Lan,
    members: BTreeMap<MacAddr, (Member, Presence)>,
    events: VecDeque<Event>,
    recent: VecDeque<(MacAddr, IpAddr, Instant)>,
    probes: VecDeque<IpAddr>,
    next_expiry: Option<Instant>,
}

/// Whether a member is in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Left,
}

impl Guard {
    /// Protects an address for ever that the operator names.
    pub fn protect(&mut self, address: IpAddr, now: Instant) {
        self.lan.protect(address, Role::Operator, now);
    }

    /// Protects the addresses of the gateway box itself, in place of those of the last call. A member that has one loses it.
    pub fn protect_own(&mut self, addresses: &[IpAddr], now: Instant) {
        self.lan.set_own(addresses);
        for &address in addresses {
            if let Some((member, _)) = self.holder(address, now) {
                self.take_away(member, address);
            }
        }
    }

    /// Lets a member in. What it had when it left is its own again, as far as it has not expired.
    pub fn handle_joined(&mut self, mac: MacAddr, now: Instant) {
        if let Some((_, presence)) = self.members.get_mut(&mac) {
            *presence = Presence::Here;
            return;
        }
        if self.make_room() {
            self.members.insert(mac, (Member::new(now), Presence::Here));
        }
        self.next_expiry.get_or_insert(now + EXPIRY_INTERVAL);
    }

    /// Lets a member go. Its bindings stay until they expire, because it may come back.
    pub fn handle_left(&mut self, mac: MacAddr) {
        if let Some((_, presence)) = self.members.get_mut(&mac) {
            *presence = Presence::Left;
        }
    }

    /// Makes room for one member, by forgetting one that left, and returns whether there is room.
    fn make_room(&mut self) -> bool {
        if self.members.len() >= MAX_MEMBERS {
            let left = self
                .members
                .iter()
                .find(|(_, (_, presence))| *presence == Presence::Left)
                .map(|(&mac, _)| mac);
            if let Some(mac) = left {
                self.members.remove(&mac);
            }
        }

        self.members.len() < MAX_MEMBERS
    }

    /// Learns from a frame of the LAN.
    pub fn handle_lan(&mut self, frame: &Frame<'_>, now: Instant) {
        match Said::read(frame) {
            // A station that speaks for another one proves nothing.
            Said::Arp {
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
            Said::Dhcp(dhcp) if dhcp.is_reply() => self.learn_dhcp(&dhcp, now),
            Said::Router { source } => {
                self.protect_learnt(source.into(), Role::Router, now);
                self.hear(source.into(), frame.source(), now);
            }
            Said::Neighbor {
                source,
                target,
                is_router,
            } if !source.is_unspecified() => {
                if is_router {
                    self.protect_learnt(target.into(), Role::Router, now);
                }
                self.hear(target.into(), frame.source(), now);
            }
            Said::Neighbor { target, .. } => {
                self.hear_intent(target.into(), frame.source(), now);
            }
            Said::Solicitation { source } => self.hear(source.into(), frame.source(), now),
            Said::Arp { .. }
            | Said::Dhcp(_)
            | Said::Ipv4 { .. }
            | Said::Ipv6 { .. }
            | Said::Nothing => {}
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

    fn take_away(&mut self, member: MacAddr, address: IpAddr) {
        if let Some((had, _)) = self.members.get_mut(&member)
            && had.unbind(address)
        {
            self.push(Event::Lost { member, address });
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

    /// Decides about a frame of the remote client whose MAC is its source.
    ///
    /// # Errors
    ///
    /// Returns why the frame must not reach the LAN or another member.
    pub fn check_remote(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), Denial> {
        let mac = frame.source();
        let Some((member, Presence::Here)) = self.members.get_mut(&mac) else {
            return Err(Denial::UnknownMember);
        };

        let (address, claim) = match Said::read(frame) {
            Said::Arp { hardware, .. } if hardware != mac => return Err(Denial::AddressClaim),
            Said::Arp { sender, .. } => (IpAddr::V4(sender), Claim::Announced),
            Said::Ipv4 { source } => (IpAddr::V4(source), Claim::Used),
            Said::Dhcp(dhcp) => {
                check_dhcp(member, mac, &dhcp, now)?;
                (IpAddr::V4(dhcp.source()), Claim::Used)
            }
            Said::Ipv6 { source } => (IpAddr::V6(source), Claim::Used),
            Said::Solicitation { source } => (IpAddr::V6(source), Claim::Announced),
            // Duplicate detection asks, and tells nobody anything.
            Said::Neighbor { source, target, .. } if source.is_unspecified() => {
                (IpAddr::V6(target), Claim::Used)
            }
            Said::Neighbor { source, target, .. } => {
                self.claim(mac, source.into(), Claim::Announced, now)?;
                (IpAddr::V6(target), Claim::Announced)
            }
            // The policy refuses these; nobody's address is at stake without it.
            Said::Router { .. } => return Err(Denial::AddressClaim),
            Said::Nothing => return Ok(()),
        };

        self.claim(mac, address, claim, now)
    }

    /// Decides whether a member may use an address, and makes it the member's if it is nobody's.
    fn claim(
        &mut self,
        mac: MacAddr,
        address: IpAddr,
        claim: Claim,
        now: Instant,
    ) -> Result<(), Denial> {
        // A probe, or a station that has no address yet.
        if address.is_unspecified() {
            return Ok(());
        }
        let Some((member, _)) = self.members.get_mut(&mac) else {
            return Err(Denial::UnknownMember);
        };
        if member.uses(address, now) {
            let is_firm = member
                .binding(address, now)
                .is_some_and(|binding| binding.firm <= now);
            return claim.allow(is_firm);
        }
        if let Some(owner) = self.owner_of(address, now) {
            self.report(mac, address, owner, now);
            return Err(Denial::AddressClaim);
        }
        let is_addressable = !address.is_multicast()
            && !address.is_loopback()
            && address != IpAddr::V4(Ipv4Addr::BROADCAST);
        let Some((member, _)) = self.members.get_mut(&mac).filter(|_| is_addressable) else {
            return Err(Denial::AddressClaim);
        };
        if !member.take_new(now) {
            return Err(Denial::AddressClaim);
        }

        member.bind(
            Binding {
                address,
                origin: Origin::FirstCome,
                until: now + FIRST_COME_LIFETIME,
                firm: now + PROBE_WAIT,
            },
            now,
        );
        self.push(Event::Bound {
            member: mac,
            address,
            origin: Origin::FirstCome,
        });
        if self.probes.len() < MAX_PROBES {
            self.probes.push_back(address);
        }

        claim.allow(false)
    }

    /// Returns the next address about which the LAN has to be asked, with an ARP probe or duplicate address detection (RFC 5227, 2.1;
    /// RFC 4862, 5.4): a station that has it and was silent so far answers, and keeps it.
    pub fn poll_probe(&mut self) -> Option<IpAddr> {
        self.probes.pop_front()
    }

    /// Returns who keeps `mac` from having an address.
    fn owner_of(&self, address: IpAddr, now: Instant) -> Option<Owner> {
        self.lan.owner_of(address, now).or_else(|| {
            self.holder(address, now)
                .map(|(holder, _)| Owner::Member(holder))
        })
    }

    /// Returns the member that has an address, and how it came to it.
    fn holder(&self, address: IpAddr, now: Instant) -> Option<(MacAddr, Origin)> {
        self.members.iter().find_map(|(&mac, (member, _))| {
            let binding = member.binding(address, now)?;
            Some((mac, binding.origin))
        })
    }

    fn report(&mut self, member: MacAddr, address: IpAddr, owner: Owner, now: Instant) {
        self.recent
            .retain(|&(_, _, at)| now.saturating_duration_since(at) < CLAIM_QUIET);
        let is_known = self
            .recent
            .iter()
            .any(|&(who, what, _)| (who, what) == (member, address));
        if is_known || self.recent.len() >= MAX_RECENT {
            return;
        }
        self.recent.push_back((member, address, now));
        self.push(Event::Claim {
            member,
            address,
            owner,
        });
    }

    fn push(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// Returns the next event for the operator's log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns when [`Self::handle_timeout`] wants to be called.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// Forgets what has expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_expiry.is_none_or(|due| due > now) {
            return;
        }
        self.lan.expire(now);
        for (member, _) in self.members.values_mut() {
            member.expire(now);
        }
        self.members.retain(|_, (member, presence)| {
            *presence == Presence::Here || !member.bindings().is_empty()
        });
        self.next_expiry = Some(now + EXPIRY_INTERVAL);
    }
}

/// A client speaks for itself, as often as a client needs to, and may give its lease back.
fn check_dhcp(
    member: &mut Member,
    mac: MacAddr,
    dhcp: &Dhcp<'_>,
    now: Instant,
) -> Result<(), Denial> {
    if dhcp.is_reply() || dhcp.client() != mac {
        return Err(Denial::DhcpSender);
    }
    if !member.take_dhcp(now) {
        return Err(Denial::RateDhcp);
    }
    let given_back = matches!(dhcp.kind(), DhcpKind::Release | DhcpKind::Decline);
    let source = IpAddr::V4(dhcp.source());
    if given_back && (source.is_unspecified() || member.uses(source, now)) {
        member.release();
    }

    Ok(())
}
