//! What members say: whether a frame of a remote client may use the addresses that it speaks of.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_proto::address_info::{AddressInfo, Dhcp, DhcpKind};
use lanparty_proto::{Frame, MacAddr};

use crate::event::{Denial, Event, Origin, Owner};
use crate::member::{Binding, FIRST_COME_LIFETIME, Member};
use crate::{Guard, Presence};

/// How long the same claim is not reported again.
const CLAIM_QUIET: Duration = Duration::from_secs(10);

/// How many claims are remembered in order not to report them again.
pub(crate) const MAX_RECENT: usize = 64;

/// What a frame does with an address of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// It comes from there, which no neighbour remembers.
    Used,
    /// It tells neighbours whose it is.
    Announced,
}

impl Claim {
    const fn allow(self, is_proven: bool) -> Result<(), Denial> {
        match self {
            Self::Announced if !is_proven => Err(Denial::Unproven),
            Self::Announced | Self::Used => Ok(()),
        }
    }
}

impl Guard {
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

        let (address, claim) = match AddressInfo::read(frame) {
            AddressInfo::Arp { hardware, .. } if hardware != mac => {
                return Err(Denial::AddressClaim);
            }
            AddressInfo::Arp { sender, .. } => (IpAddr::V4(sender), Claim::Announced),
            AddressInfo::Ipv4 { source } => (IpAddr::V4(source), Claim::Used),
            AddressInfo::Dhcp(dhcp) => {
                check_dhcp(member, mac, &dhcp, now)?;
                (IpAddr::V4(dhcp.source()), Claim::Used)
            }
            AddressInfo::Ipv6 { source } => (IpAddr::V6(source), Claim::Used),
            AddressInfo::Solicitation { source } => (IpAddr::V6(source), Claim::Announced),
            // Duplicate detection asks, and tells nobody anything.
            AddressInfo::Neighbor { source, target, .. } if source.is_unspecified() => {
                (IpAddr::V6(target), Claim::Used)
            }
            AddressInfo::Neighbor { source, target, .. } => {
                self.claim(mac, source.into(), Claim::Announced, now)?;
                (IpAddr::V6(target), Claim::Announced)
            }
            // The policy refuses these; nobody's address is at stake without it.
            AddressInfo::Router { .. } => return Err(Denial::AddressClaim),
            AddressInfo::Nothing => return Ok(()),
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
            let is_proven = member
                .binding(address, now)
                .is_some_and(|binding| binding.is_proven);
            return claim.allow(is_proven);
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
        if self.inquiries.is_full() {
            return Err(Denial::Unproven);
        }
        if !member.take_new(now) {
            return Err(Denial::AddressClaim);
        }

        member.bind(
            Binding {
                address,
                origin: Origin::FirstCome,
                until: now + FIRST_COME_LIFETIME,
                is_proven: false,
            },
            now,
        );
        self.push(Event::Bound {
            member: mac,
            address,
            origin: Origin::FirstCome,
        });
        self.inquiries.begin(mac, address, now);

        claim.allow(false)
    }

    /// Returns the next address about which the LAN has to be asked, with an ARP probe or duplicate address detection (RFC 5227, 2.1;
    /// RFC 4862, 5.4): a station that has it and was silent so far answers, and keeps it.
    pub fn poll_probe(&mut self) -> Option<IpAddr> {
        self.inquiries.poll_probe()
    }

    /// Asks again about what nobody has answered for, and lets members announce what the LAN was
    /// asked about often enough.
    ///
    /// This is no question of what a clock says when a member claims: an answer that came in time
    /// may still wait to be read then.
    pub(crate) fn go_on_asking(&mut self, now: Instant) {
        while let Some(inquiry) = self.inquiries.take_due(now) {
            let member = self.members.get_mut(&inquiry.member);
            let binding = member.and_then(|(member, _)| member.binding_mut(inquiry.address, now));
            match binding {
                Some(binding) if inquiry.is_over() => {
                    binding.is_proven = true;
                    self.push(Event::Proven {
                        member: inquiry.member,
                        address: inquiry.address,
                    });
                }
                Some(_) => self.inquiries.ask_again(inquiry, now),
                // Somebody answered, or the member took too many others.
                None => {}
            }
        }
    }

    /// Takes that the LAN cannot be heard for a while: whatever it was being asked about is nobody's, and
    /// is asked about anew.
    pub fn handle_deaf(&mut self) {
        self.inquiries.clear();
        for (member, _) in self.members.values_mut() {
            member.forget_unproven();
        }
    }

    /// Returns who keeps `mac` from having an address.
    fn owner_of(&self, address: IpAddr, now: Instant) -> Option<Owner> {
        self.lan.owner_of(address, now).or_else(|| {
            self.holder(address, now)
                .map(|(holder, _)| Owner::Member(holder))
        })
    }

    fn report(&mut self, member: MacAddr, address: IpAddr, owner: Owner, now: Instant) {
        let claim = (member, address);
        let is_known = self.recent.contains(&claim, now);
        if is_known || !self.recent.insert(claim, (), now + CLAIM_QUIET, now) {
            return;
        }
        self.push(Event::Claim {
            member,
            address,
            owner,
        });
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
