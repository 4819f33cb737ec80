//! The maximum segment size of TCP connections, clamped as they are opened.

use lanparty_proto::checksum::{self, ChecksumState};

use lanparty_proto::Frame;
use lanparty_proto::ip::protocol::TCP;
use lanparty_proto::ip::transport::{TCP_HEADER_LEN, is_syn, tcp_header_len};
use lanparty_proto::ip::{Headers, Layout, Version};

use crate::bytewise::{put_u16, u8_at, u16_at};

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

/// Returns whether `frame` opens a TCP connection, so that only such a frame is copied for [`clamp`].
#[inline]
pub fn opens_connection(frame: &Frame<'_>) -> bool {
    Headers::of(frame)
        .is_some_and(|ip| ip.protocol == TCP && !ip.is_later_fragment && is_syn(ip.transport))
}

/// Lowers the MSS option of a SYN to what gives IP packets of at most `max_packet` bytes. Returns whether it was lowered.
///
/// Every other frame is left alone, also a SYN without the option: its peer then sends 536 or 1220 bytes (RFC 9293, 3.7.1).
pub fn clamp(frame: &mut [u8], max_packet: u16, state: ChecksumState) -> bool {
    let Some((layout, option)) = find(frame) else {
        return false;
    };
    let overhead = match layout.version {
        Version::V4 => OVERHEAD_V4,
        Version::V6 => OVERHEAD_V6,
    };
    let wanted = max_packet.saturating_sub(overhead).max(MIN_MSS);
    let Some(current) = u16_at(frame, option).filter(|current| *current > wanted) else {
        return false;
    };
    put_u16(frame, option, wanted);

    let field = layout.l4.saturating_add(16);
    if state == ChecksumState::Complete
        && let Some(before) = u16_at(frame, field)
    {
        // Behind a lone NOP the value lies across two words of the sum; its bytes then weigh the other way round.
        let odd = option.saturating_sub(layout.l4) % 2 == 1;
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
fn find(frame: &[u8]) -> Option<(Layout, usize)> {
    let layout = Layout::parse(frame)?;
    if layout.protocol != TCP || layout.is_later_fragment {
        return None;
    }
    let transport = layout.transport(frame);
    if !is_syn(transport) {
        return None;
    }
    let end = tcp_header_len(transport)?;
    let options = transport.get(..end)?;
    let mut at = TCP_HEADER_LEN;
    // Bounded: a header has at most 40 bytes of options, and each round moves on by at least one.
    while let Some(kind) = u8_at(options, at) {
        let len = match kind {
            END => return None,
            NO_OPERATION => 1,
            _ => usize::from(u8_at(options, at.checked_add(1)?)?),
        };
        if kind == MSS && len == 4 {
            let value = at.checked_add(2)?;
            return u16_at(options, value).and(Some((layout, layout.l4.checked_add(value)?)));
        }
        if len == 0 || (len == 1 && kind != NO_OPERATION) {
            return None;
        }
        at = at.checked_add(len)?;
    }

    None
}
