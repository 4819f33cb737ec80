//! DHCPv4 towards a player (RFC 2131, RFC 2132).

use std::ops::Range;

use super::PlayerPolicy;
use super::checksum::{self, Field};
use crate::Refusal;
use crate::checksum::ChecksumState;
use crate::ip::transport::UDP_HEADER_LEN;
use crate::policy::transport::{COOKIE, COOKIE_OFFSET};
use crate::read::{array, byte};

/// The fields that option 52 turns into more room for options (RFC 2131, 2).
const SNAME: Range<usize> = 44..108;
const FILE: Range<usize> = 108..COOKIE_OFFSET;

/// Where the options start, behind the cookie.
const OPTIONS: usize = COOKIE_OFFSET + COOKIE.len();

const PAD: u8 = 0;
const SUBNET_MASK: u8 = 1;
const OVERLOAD: u8 = 52;
const END: u8 = 255;

/// Takes out of a UDP datagram with a DHCP message what captures a player.
///
/// Each option becomes as many pad options, so that everything else stays where it is.
pub(super) fn clean(
    policy: PlayerPolicy,
    datagram: &mut [u8],
    state: ChecksumState,
) -> Result<(), Refusal> {
    checksum::keep(datagram, Field::Udp, state, |datagram| {
        let message = datagram
            .get_mut(UDP_HEADER_LEN..)
            .ok_or(Refusal::DhcpMalformed)?;
        if array(message, COOKIE_OFFSET) != Some(COOKIE) {
            return Err(Refusal::DhcpMalformed);
        }

        let overload = clean_area(policy, message.get_mut(OPTIONS..))?;
        if overload & 1 != 0 {
            clean_area(policy, message.get_mut(FILE))?;
        }
        if overload & 2 != 0 {
            clean_area(policy, message.get_mut(SNAME))?;
        }

        Ok(())
    })
}

/// Cleans one area of options and returns what its option 52 says.
fn clean_area(policy: PlayerPolicy, area: Option<&mut [u8]>) -> Result<u8, Refusal> {
    let mut rest = area.ok_or(Refusal::DhcpMalformed)?;
    let mut overload = 0;

    while let Some(code) = byte(rest, 0) {
        let len = match code {
            PAD => 1,
            END => {
                // Nobody may read on behind the end, and nobody finds anything there.
                rest.fill(PAD);
                if let Some(first) = rest.first_mut() {
                    *first = END;
                }
                break;
            }
            _ => usize::from(byte(rest, 1).ok_or(Refusal::DhcpMalformed)?).saturating_add(2),
        };
        let Some((option, behind)) = rest.split_at_mut_checked(len) else {
            return Err(Refusal::DhcpMalformed);
        };
        match (code, byte(option, 2)) {
            (OVERLOAD, Some(value)) => overload |= value,
            // A mask shorter than /8 would put half the Internet on this link; a client without one takes its class's.
            (SUBNET_MASK, Some(mask)) if mask != 255 && !policy.keeps_routes() => option.fill(PAD),
            _ if policy.strips_dhcp(code) => option.fill(PAD),
            _ => {}
        }
        rest = behind;
    }

    Ok(overload)
}
