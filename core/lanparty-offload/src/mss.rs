//! The maximum segment size of TCP connections, clamped as they are opened.

use lanparty_proto::checksum::{self, ChecksumState};

use crate::bytewise::{put_u16, u8_at, u16_at};
use crate::headers::{Network, TCP, Version};
use crate::segment::transport_len;

/// Flag bits of TCP (RFC 9293, 3.1).
const SYN: u8 = 0x02;

/// Kinds of TCP options (RFC 9293, 3.2).
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;

/// IPv4 header and TCP header without options, which the MSS does not count (RFC 6691, 2).
const OVERHEAD_V4: u16 = 40;
/// The same with IPv6.
const OVERHEAD_V6: u16 = 60;

/// The smallest MSS we write: Linux sends no less (`TCP_MIN_MSS`, `net/tcp.h`), and no path of ours comes near it.
const MIN_MSS: u16 = 88;

/// Lowers the MSS option of a SYN to what gives IP packets of at most `max_packet` bytes. Returns whether it was lowered.
///
/// Every other frame is left alone, also a SYN without the option: its peer then sends 536 or 1220 bytes (RFC 9293, 3.7.1).
pub fn clamp(frame: &mut [u8], max_packet: u16, state: ChecksumState) -> bool {
    let Some((network, option)) = find(frame) else {
        return false;
    };
    let overhead = match network.version {
        Version::V4 => OVERHEAD_V4,
        Version::V6 => OVERHEAD_V6,
    };
    let wanted = max_packet.saturating_sub(overhead).max(MIN_MSS);
    let Some(current) = u16_at(frame, option).filter(|current| *current > wanted) else {
        return false;
    };
    put_u16(frame, option, wanted);

    let field = network.l4.saturating_add(16);
    if state == ChecksumState::Complete
        && let Some(before) = u16_at(frame, field)
    {
        // Behind a lone NOP the value lies across two words of the sum; its bytes then weigh the other way round.
        let odd = option.saturating_sub(network.l4) % 2 == 1;
        let (old, new) = if odd {
            (current.swap_bytes(), wanted.swap_bytes())
        } else {
            (current, wanted)
        };
        put_u16(frame, field, checksum::update(before, old, new));
    }

    true
}

/// Finds the value of the MSS option of a SYN.
fn find(frame: &[u8]) -> Option<(Network, usize)> {
    let network = Network::parse(frame)?;
    if network.protocol != TCP || network.later_fragment {
        return None;
    }
    let transport = frame.get(network.l4..network.end)?;
    if u8_at(transport, 13)? & SYN == 0 {
        return None;
    }
    let end = transport_len(transport, TCP)?;
    let options = transport.get(..end)?;
    let mut at = crate::headers::TCP_LEN;
    // Bounded: a header has at most 40 bytes of options, and each round moves on by at least one.
    while let Some(kind) = u8_at(options, at) {
        let len = match kind {
            END => return None,
            NO_OPERATION => 1,
            _ => usize::from(u8_at(options, at.checked_add(1)?)?),
        };
        if kind == MSS && len == 4 {
            let value = at.checked_add(2)?;
            return u16_at(options, value).and(Some((network, network.l4.checked_add(value)?)));
        }
        if len == 0 || (len == 1 && kind != NO_OPERATION) {
            return None;
        }
        at = at.checked_add(len)?;
    }

    None
}
