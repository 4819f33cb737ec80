//! The addresses of one member.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_bounds::{Rate, TokenBucket};

use crate::event::Origin;

/// Most IPv4 addresses of a member: a lease, the one before it, and a static one or two that a player set by hand.
pub(crate) const MAX_IPV4: usize = 4;

/// Most IPv6 addresses of a member: link-local, stable and temporary ones of two prefixes (RFC 8981 keeps several).
pub(crate) const MAX_IPV6: usize = 8;

/// How long an address that was taken first come stays the member's without being used.
pub(crate) const FIRST_COME_LIFETIME: Duration = Duration::from_hours(1);

/// DHCP messages of one member: five a second, and ten at once.
///
/// A client sends four to get its lease, and repeats after seconds (RFC 2131, 4.1).
const DHCP: Rate = Rate {
    per_second: 5,
    burst: 10,
};

/// Addresses that one member may take first come: 16 at once, a few more than the 13 it may have
/// side by side, then one in ten seconds. A system makes a new temporary address in hours (RFC
/// 8981); who takes one after the other is after those that the LAN has free.
const NEW: Rate = Rate {
    per_second: 1,
    burst: 16 * NEW_COST,
};

/// Tokens for one address, which makes one a second one in ten seconds.
const NEW_COST: u64 = 10;

/// An address and until when it is the member's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) address: IpAddr,
    pub(crate) origin: Origin,
    pub(crate) until: Instant,
    /// From when on the member may tell others that the address is its own.
    pub(crate) firm: Instant,
}

/// The kinds of addresses that a member may have side by side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Ipv4,
    /// 169.254.0.0/16 (RFC 3927), which some systems keep beside a lease.
    Ipv4LinkLocal,
    Ipv6,
}

impl Slot {
    const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) if address.is_link_local() => Self::Ipv4LinkLocal,
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    const fn size(self) -> usize {
        match self {
            Self::Ipv4 => MAX_IPV4,
            Self::Ipv4LinkLocal => 1,
            Self::Ipv6 => MAX_IPV6,
        }
    }
}

/// One member.
#[derive(Debug, Default)]
pub(crate) struct Member {
    /// At most [`MAX_IPV4`], one link-local address of IPv4, and [`MAX_IPV6`]. Not an ageing map:
    /// each kind has a bound of its own, and a lease goes after what nobody gave.
    bindings: Vec<Binding>,
    dhcp: TokenBucket,
    new: TokenBucket,
}

impl Member {
    /// Returns whether an address is the member's, and notes that it is in use.
    pub(crate) fn uses(&mut self, address: IpAddr, now: Instant) -> bool {
        let Some(binding) = self
            .bindings
            .iter_mut()
            .find(|binding| binding.address == address && binding.until > now)
        else {
            return false;
        };
        if binding.origin == Origin::FirstCome {
            binding.until = now + FIRST_COME_LIFETIME;
        }

        true
    }

    /// Returns the member's binding of an address.
    pub(crate) fn binding(&self, address: IpAddr, now: Instant) -> Option<&Binding> {
        self.bindings
            .iter()
            .find(|binding| binding.address == address && binding.until > now)
    }

    /// Gives the member an address, in place of another if there is no room: first of those that nobody gave it, then of leases, the one
    /// whose time ends first.
    pub(crate) fn bind(&mut self, new: Binding, now: Instant) {
        let slot = Slot::of(new.address);
        self.bindings
            .retain(|binding| binding.until > now && binding.address != new.address);
        let of_slot = |binding: &&Binding| Slot::of(binding.address) == slot;
        if self.bindings.iter().filter(of_slot).count() >= slot.size() {
            let oldest = self
                .bindings
                .iter()
                .filter(of_slot)
                .min_by_key(|binding| (binding.origin == Origin::Dhcp, binding.until))
                .map(|binding| binding.address);
            self.bindings
                .retain(|binding| Some(binding.address) != oldest);
        }
        self.bindings.push(new);
    }

    /// Takes an address away, and returns whether the member had it.
    pub(crate) fn unbind(&mut self, address: IpAddr) -> bool {
        let before = self.bindings.len();
        self.bindings.retain(|binding| binding.address != address);

        self.bindings.len() < before
    }

    /// Takes away what DHCP gave.
    pub(crate) fn release(&mut self) {
        self.bindings
            .retain(|binding| binding.origin != Origin::Dhcp);
    }

    /// Takes one DHCP message from the member's rate, if there is one left.
    pub(crate) fn take_dhcp(&mut self, now: Instant) -> bool {
        self.dhcp.take(DHCP, 1, now)
    }

    /// Takes one new address from the member's rate, if there is one left.
    pub(crate) fn take_new(&mut self, now: Instant) -> bool {
        self.new.take(NEW, NEW_COST, now)
    }

    /// Forgets what has expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.bindings.retain(|binding| binding.until > now);
    }

    pub(crate) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
}
