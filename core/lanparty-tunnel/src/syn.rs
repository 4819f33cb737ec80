//! Which frames may open a TCP connection, so that only they are copied to be changed.

use lanparty_proto::{EtherType, Frame, Kind};

const TCP: u8 = 6;
const SYN: u8 = 0x02;

/// Where the flags of a TCP header lie.
const FLAGS: usize = 13;

/// Returns whether `frame` is a SYN, or IPv6 with extension headers that may hide one.
#[inline]
pub(crate) fn may_be_syn(frame: &Frame<'_>) -> bool {
    let packet = frame.payload();
    let has_syn = |transport: usize| {
        (packet.get(transport.saturating_add(FLAGS))).is_some_and(|flags| flags & SYN != 0)
    };
    match frame.kind() {
        Kind::Type(EtherType::IPV4) => {
            let header = packet
                .first()
                .map_or(0, |byte| usize::from(byte & 0x0f) * 4);

            packet.get(9) == Some(&TCP) && has_syn(header)
        }
        Kind::Type(EtherType::IPV6) => match packet.get(6) {
            Some(&TCP) => has_syn(40),
            Some(0 | 43 | 60) => true,
            Some(_) | None => false,
        },
        Kind::Type(_) | Kind::Length(_) => false,
    }
}
