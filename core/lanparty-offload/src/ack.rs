//! Pure acknowledgements of TCP that say nothing which a newer one does not say.

use lanparty_proto::Frame;
use lanparty_proto::ethernet;
use lanparty_proto::ip::protocol::TCP;
use lanparty_proto::ip::transport::{TCP_HEADER_LEN, tcp_header_len};
use lanparty_proto::ip::{Headers, Layout, Version, ipv6};

use crate::bytewise::{u8_at, u16_at, u32_at};

/// The longest frame that [`supersedes`] looks at: every VLAN tag, IPv6, and TCP with all its options.
pub const MAX_LEN: usize = ethernet::MAX_HEADER_LEN + ipv6::HEADER_LEN + 60;

/// Flag bits of TCP (RFC 9293, 3.1): a pure acknowledgement has this one and no other.
const ACK: u8 = 0x10;

/// Kinds of TCP options (RFC 9293, 3.2; RFC 7323, 3).
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const TIMESTAMPS: u8 = 8;

/// Whether the frame `newer` makes `older` needless, if nothing came between them.
///
/// Both must be pure acknowledgements of one TCP connection, alike in everything but what they acknowledge, their window and their
/// timestamps, and `newer` must acknowledge more. Whatever has further flags (ECN, RFC 3168, 6.1) or options (SACK, RFC 2018; multipath
/// TCP, RFC 8684) stays, and so do duplicates, which are signs of loss (RFC 5681, 3.2). `cake`'s ack-filter does the same (tc-cake(8)).
pub fn supersedes(newer: &[u8], older: &[u8]) -> bool {
    newer.len() == older.len() && newer.len() <= MAX_LEN && compare(newer, older).unwrap_or(false)
}

fn compare(newer: &[u8], older: &[u8]) -> Option<bool> {
    let frame = Frame::parse(newer).ok()?;
    if !is_pure(newer.len(), &Headers::of(&frame)?) {
        return Some(false);
    }
    let layout = Layout::of(&frame)?;
    let l4 = layout.l4;
    // The same bytes before the transport header, but for an IPv4 packet's identification and checksum.
    let is_changing = |at: usize| {
        let at = at.wrapping_sub(layout.l3);
        layout.version == Version::V4 && matches!(at, 4 | 5 | 10 | 11)
    };
    let mut before = newer.get(..l4)?.iter().zip(older.get(..l4)?).enumerate();
    if before.any(|(at, (new, old))| new != old && !is_changing(at)) {
        return Some(false);
    }
    // Ports and sequence number, then length and flags.
    let same = |from: usize, to: usize| {
        let range = l4.checked_add(from)?..l4.checked_add(to)?;
        Some(newer.get(range.clone())? == older.get(range)?)
    };
    if !same(0, 8)? || !same(12, 14)? {
        return Some(false);
    }
    let acknowledged = l4.checked_add(8)?;
    let options = l4.checked_add(TCP_HEADER_LEN)?;
    let is_more = is_after(u32_at(newer, acknowledged)?, u32_at(older, acknowledged)?);
    let times = |frame| timestamp(frame, options, layout.end);
    let is_later = match (times(newer)?, times(older)?) {
        (Stamp::At(new), Stamp::At(old)) => new == old || is_after(new, old),
        (new, old) => new == old,
    };

    Some(is_more && is_later)
}

/// Whether the frame of `len` bytes with the packet `ip` is one that [`supersedes`] may say yes to.
pub(crate) fn is_pure(len: usize, ip: &Headers<'_>) -> bool {
    let segment = ip.transport;

    len <= MAX_LEN
        && ip.protocol == TCP
        && !ip.is_fragment
        && ip.is_whole
        && tcp_header_len(segment) == Some(segment.len())
        && u16_at(segment, 12).is_some_and(|flags| flags & 0x0fff == u16::from(ACK))
}

/// The timestamp among the options of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Absent,
    At(u32),
}

/// Returns the timestamp; nothing if there is any other option.
fn timestamp(frame: &[u8], mut at: usize, end: usize) -> Option<Stamp> {
    let mut stamp = Stamp::Absent;
    while at < end {
        let length = match u8_at(frame, at)? {
            END => break,
            NO_OPERATION => 1,
            TIMESTAMPS => {
                stamp = Stamp::At(u32_at(frame, at.checked_add(2)?)?);
                10
            }
            _ => return None,
        };
        at = at.checked_add(length)?;
    }

    Some(stamp)
}

/// Whether `a` comes after `b` in the arithmetic of sequence numbers (RFC 9293, 3.4).
const fn is_after(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 1];

    fn frame(ether_type: [u8; 2], ip: &[u8], ack: u32, flags: u8, tail: &[u8]) -> Vec<u8> {
        let mut frame = [&[2; 12][..], &ether_type, ip].concat();
        frame.extend([0, 80, 0, 81, 0, 0, 0, 1]);
        frame.extend(ack.to_be_bytes());
        let words = u8::try_from(5 + tail.len() / 4).unwrap();
        frame.extend([words << 4, flags, 1, 0, 0, 0, 0, 0]);
        frame.extend(tail);

        frame
    }

    fn v4(id: u8, ack: u32, flags: u8, tail: &[u8]) -> Vec<u8> {
        let total = u8::try_from(40 + tail.len()).unwrap();
        let ip = [0x45, 0, 0, total, 0, id, 0, 0, 64, TCP, id, id, 10, 0, 0, 1];
        frame(
            [8, 0],
            &[&ip[..], &[10, 0, 0, 2]].concat(),
            ack,
            flags,
            tail,
        )
    }

    fn v6(source: u8, ack: u32) -> Vec<u8> {
        let mut ip = [source; 40];
        ip[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 32, TCP, 64]);
        frame([0x86, 0xdd], &ip, ack, ACK, &STAMPS)
    }

    #[test]
    fn an_acknowledgement_of_more_makes_the_one_before_needless() {
        assert!(supersedes(
            &v4(2, 200, ACK, &STAMPS),
            &v4(1, 100, ACK, &STAMPS)
        ));
        assert!(supersedes(&v4(2, 200, ACK, &[]), &v4(1, 100, ACK, &[])));
        assert!(supersedes(&v4(2, 5, ACK, &[]), &v4(1, u32::MAX, ACK, &[])));
        assert!(supersedes(&v6(1, 200), &v6(1, 100)));
    }

    #[test]
    fn duplicates_older_ones_and_other_connections_stay() {
        for (newer, older) in [(100, 100), (100, 200)] {
            assert!(!supersedes(
                &v4(2, newer, ACK, &[]),
                &v4(1, older, ACK, &[])
            ));
        }
        assert!(!supersedes(&v6(2, 200), &v6(1, 100)));
        let mut other_port = v4(2, 200, ACK, &[]);
        other_port[35] = 9;
        assert!(!supersedes(&other_port, &v4(1, 100, ACK, &[])));
    }

    #[test]
    fn whatever_says_more_stays() {
        for flags in [0x11, 0x12, 0x14, 0x18, 0x30, 0x50, 0x90, 0] {
            assert!(!supersedes(
                &v4(2, 200, flags, &[]),
                &v4(1, 100, flags, &[])
            ));
            assert!(!supersedes(&v4(2, 200, ACK, &[]), &v4(1, 100, flags, &[])));
        }
        let sack = [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        assert!(!supersedes(
            &v4(2, 200, ACK, &sack),
            &v4(1, 100, ACK, &sack)
        ));
        assert!(!supersedes(
            &v4(2, 200, ACK, &STAMPS),
            &v4(1, 100, ACK, &sack)
        ));
        assert!(!supersedes(
            &v4(2, 200, ACK, &[]),
            &v4(1, 100, ACK, &STAMPS)
        ));
        // An older timestamp is the sign of a reordered segment.
        let mut earlier = STAMPS;
        earlier[7] = 8;
        assert!(!supersedes(
            &v4(2, 200, ACK, &earlier),
            &v4(1, 100, ACK, &STAMPS)
        ));
        // Data, though it acknowledges as well.
        let mut data = v4(2, 200, ACK, &STAMPS);
        data[46] = 5 << 4;
        assert!(!supersedes(&data, &data));
        // A mark of congestion.
        let mut marked = v4(2, 200, ACK, &[]);
        marked[15] = 3;
        assert!(!supersedes(&marked, &v4(1, 100, ACK, &[])));
    }

    #[test]
    fn every_cut_is_refused() {
        let (newer, older) = (v4(2, 200, ACK, &STAMPS), v4(1, 100, ACK, &STAMPS));
        for len in 0..newer.len() {
            assert!(!supersedes(&newer[..len], &older[..len]));
        }
    }
}
