//! DHCPv6 towards a player (RFC 8415, RFC 3646).

use super::PlayerPolicy;
use super::checksum::{self, Field};
use crate::Refusal;
use crate::checksum::ChecksumState;
use crate::ip::transport::UDP_HEADER_LEN;
use crate::read::{be16, byte};

/// Message type and transaction id.
const MESSAGE_HEADER_LEN: usize = 4;

/// Relay messages have another header, and none is ever sent to a client (RFC 8415, 7.3).
const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;

/// Resolvers and search list (RFC 3646).
const DNS_SERVERS: u16 = 23;
const DOMAIN_LIST: u16 = 24;

/// A code that is not assigned, which clients ignore (RFC 8415, 16).
const IGNORED: u16 = 0xffff;

/// Code and length.
const OPTION_HEADER_LEN: usize = 4;

/// Takes resolvers and search lists out of a UDP datagram with a DHCPv6 message.
pub(super) fn clean(
    policy: PlayerPolicy,
    datagram: &mut [u8],
    state: ChecksumState,
) -> Result<(), Refusal> {
    checksum::keep(datagram, Field::Udp, state, |datagram| {
        let message = datagram
            .get_mut(UDP_HEADER_LEN..)
            .ok_or(Refusal::Dhcpv6Malformed)?;
        if matches!(byte(message, 0), None | Some(RELAY_FORWARD | RELAY_REPLY)) {
            return Err(Refusal::Dhcpv6Malformed);
        }
        let options = message
            .get_mut(MESSAGE_HEADER_LEN..)
            .ok_or(Refusal::Dhcpv6Malformed)?;

        clean_options(policy, options)
    })
}

fn clean_options(policy: PlayerPolicy, mut rest: &mut [u8]) -> Result<(), Refusal> {
    while !rest.is_empty() {
        let (Some(code), Some(len)) = (be16(rest, 0), be16(rest, 2)) else {
            return Err(Refusal::Dhcpv6Malformed);
        };
        let len = usize::from(len).saturating_add(OPTION_HEADER_LEN);
        let Some((option, behind)) = rest.split_at_mut_checked(len) else {
            return Err(Refusal::Dhcpv6Malformed);
        };
        if matches!(code, DNS_SERVERS | DOMAIN_LIST) && !policy.keep_ipv6_resolvers {
            erase(option);
        }
        rest = behind;
    }

    Ok(())
}

/// Makes an option one that clients ignore, of the same length.
fn erase(option: &mut [u8]) {
    if let Some((header, data)) = option.split_first_chunk_mut::<OPTION_HEADER_LEN>() {
        let [_, _, l0, l1] = *header;
        let [c0, c1] = IGNORED.to_be_bytes();
        *header = [c0, c1, l0, l1];
        data.fill(0);
    }
}
