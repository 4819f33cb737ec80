//! Router advertisements towards a player (RFC 4861, 4.2; RFC 4191; RFC 8106).

use super::PlayerPolicy;
use super::checksum::{self, Field};
use crate::Refusal;
use crate::checksum::ChecksumState;
use crate::read::array;

/// Bytes in front of the options.
const HEADER_LEN: usize = 16;

/// The preference bits among the flags; they must be 0 with a lifetime of 0 (RFC 4191, 2.2).
const PREFERENCE: u8 = 0x18;

/// Options of neighbour discovery (IANA "IPv6 Neighbor Discovery Option Formats").
mod option {
    pub(super) const PREFIX: u8 = 3;
    pub(super) const ROUTE: u8 = 24;
    pub(super) const RESOLVERS: u8 = 25;
    pub(super) const SEARCH_LIST: u8 = 31;
    pub(super) const CAPTIVE_PORTAL: u8 = 37;
    pub(super) const NAT64_PREFIX: u8 = 38;
    /// For experiments (RFC 4727), so that receivers ignore it (RFC 4861, 4.6).
    pub(super) const IGNORED: u8 = 253;
}

/// The flag of a prefix that says its addresses are on this link (RFC 4861, 4.6.2).
const ON_LINK: u8 = 0x80;

/// The prefix length of a link (RFC 4291, 2.5.4); a shorter one would pull in other people's networks.
const LINK_PREFIX_LEN: u8 = 64;

/// Makes an advertisement one of prefixes and parameters, and of no router.
pub(super) fn clean(
    policy: PlayerPolicy,
    message: &mut [u8],
    state: ChecksumState,
) -> Result<(), Refusal> {
    checksum::keep(message, Field::Icmpv6, state, |message| {
        let Some((header, options)) = message.split_first_chunk_mut::<HEADER_LEN>() else {
            return Err(Refusal::NdMalformed);
        };
        if !policy.keep_router {
            let [_, _, _, _, _, flags, lifetime_high, lifetime_low, ..] = header;
            *flags &= !PREFERENCE;
            (*lifetime_high, *lifetime_low) = (0, 0);
        }

        clean_options(policy, options)
    })
}

fn clean_options(policy: PlayerPolicy, mut rest: &mut [u8]) -> Result<(), Refusal> {
    while !rest.is_empty() {
        let Some([kind, units]) = array(rest, 0) else {
            return Err(Refusal::NdMalformed);
        };
        let len = usize::from(units).saturating_mul(8);
        let Some((option, behind)) = rest.split_at_mut_checked(len).filter(|_| len > 0) else {
            return Err(Refusal::NdMalformed);
        };
        match kind {
            option::ROUTE | option::NAT64_PREFIX if !policy.keep_router => erase(option),
            option::PREFIX if !policy.keep_router => keep_to_the_link(option),
            option::RESOLVERS | option::SEARCH_LIST | option::CAPTIVE_PORTAL
                if !policy.keep_ipv6_resolvers =>
            {
                erase(option);
            }
            _ => {}
        }
        rest = behind;
    }

    Ok(())
}

/// Makes an option one that receivers ignore, of the same length.
fn erase(option: &mut [u8]) {
    if let Some(([kind, _], data)) = option.split_first_chunk_mut::<2>() {
        *kind = option::IGNORED;
        data.fill(0);
    }
}

/// Takes the on-link flag from a prefix that is wider than a link.
fn keep_to_the_link(option: &mut [u8]) {
    if let [_, _, prefix_len, flags, ..] = option
        && *prefix_len < LINK_PREFIX_LEN
    {
        *flags &= !ON_LINK;
    }
}
