//! IPv4 packets that do not fit and may be fragmented (RFC 791, 2.3 and 3.2).

use lanparty_proto::{EtherType, Frame, Kind};

use lanparty_proto::ip::ipv4::{MIN_HEADER_LEN, Packet};

use crate::bytewise::{put_u16, saturate_u16, u16_at};
use lanparty_proto::checksum;

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// The longest IPv4 header (RFC 791, 3.1: IHL of 15 words).
const MAX_HEADER: usize = 60;

/// Why a packet cannot be fragmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FragmentRefusal {
    /// Not IPv4, or its header is broken.
    NotIpv4,
    /// The packet says "don't fragment".
    DontFragment,
    /// Less room than a header and eight bytes (RFC 791, 3.2: every module must carry 68 bytes).
    LimitTooSmall,
}

impl FragmentRefusal {
    /// Returns the stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotIpv4 => "not_ipv4",
            Self::DontFragment => "dont_fragment",
            Self::LimitTooSmall => "limit_too_small",
        }
    }
}

/// Cuts the IPv4 packet in `frame` into fragments of at most `max_packet` bytes. Its checksums must be complete.
///
/// # Errors
///
/// Returns why the packet has to stay whole.
pub fn fragment(frame: &[u8], max_packet: usize) -> Result<Fragments<'_>, FragmentRefusal> {
    let (link, packet) = read(frame).ok_or(FragmentRefusal::NotIpv4)?;
    let header_len = packet.header_len();
    let header = frame
        .get(link..link.saturating_add(header_len))
        .ok_or(FragmentRefusal::NotIpv4)?;
    let payload = packet.payload();
    let flags = u16_at(header, 6).ok_or(FragmentRefusal::NotIpv4)?;
    if packet.dont_fragment() {
        return Err(FragmentRefusal::DontFragment);
    }
    if max_packet < header_len.saturating_add(8) {
        return Err(FragmentRefusal::LimitTooSmall);
    }
    let mut later = [0; MAX_HEADER];
    let later_len = later_header(header, &mut later);

    Ok(Fragments {
        link: frame.get(..link).unwrap_or_default(),
        first: header,
        later,
        later_len,
        payload,
        flags,
        max_packet,
        done: 0,
        finished: false,
    })
}

/// Copies the header that later fragments have: options only with their copy flag (RFC 791, 3.1). Returns its length.
fn later_header(header: &[u8], later: &mut [u8; MAX_HEADER]) -> usize {
    let (fixed, mut options) = header.split_at(header.len().min(MIN_HEADER_LEN));
    let mut len = 0_usize;
    let mut push = |bytes: &[u8]| {
        let end = len.saturating_add(bytes.len());
        if let Some(place) = later.get_mut(len..end) {
            place.copy_from_slice(bytes);
            len = end;
        }
    };
    push(fixed);
    // End of list is 0, no operation 1; neither has a length, and padding replaces them.
    while let [kind, rest @ ..] = options {
        if *kind == 0 {
            break;
        }
        if *kind == 1 {
            options = rest;
            continue;
        }
        let option_len = rest.first().copied().map_or(0, usize::from);
        if option_len < 2 {
            break;
        }
        let Some((option, after)) = options.split_at_checked(option_len) else {
            break;
        };
        if kind & 0x80 != 0 {
            push(option);
        }
        options = after;
    }
    // What was not written is zero: end of list, and padding up to a whole word.
    let len = len.next_multiple_of(4);
    if let Some(first) = later.first_mut() {
        *first = 0x40 | u8::try_from(len / 4).unwrap_or(5);
    }

    len
}

/// The fragments of a packet, in order.
#[derive(Debug, Clone)]
pub struct Fragments<'a> {
    link: &'a [u8],
    first: &'a [u8],
    later: [u8; MAX_HEADER],
    later_len: usize,
    payload: &'a [u8],
    flags: u16,
    max_packet: usize,
    done: usize,
    finished: bool,
}

impl Fragments<'_> {
    /// Writes the next fragment as a whole frame to the start of `out` and returns its length.
    ///
    /// Returns `None` when there are no more, or if `out` is too short.
    pub fn write_next(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.finished {
            return None;
        }
        let header: &[u8] = if self.done == 0 {
            self.first
        } else {
            self.later.get(..self.later_len)?
        };
        let rest = self.payload.get(self.done..)?;
        let room = self.max_packet.saturating_sub(header.len());
        let last = rest.len() <= room;
        let take = if last { rest.len() } else { room & !7 };
        let payload = rest.get(..take)?;

        let l3 = self.link.len();
        let l4 = l3.checked_add(header.len())?;
        let len = l4.checked_add(take)?;
        let out = out.get_mut(..len)?;
        out.get_mut(..l3)?.copy_from_slice(self.link);
        out.get_mut(l3..l4)?.copy_from_slice(header);
        out.get_mut(l4..)?.copy_from_slice(payload);

        let packet = out.get_mut(l3..)?;
        let total = saturate_u16(packet.len());
        put_u16(packet, 2, total);
        put_u16(packet, 6, self.position(last));
        put_u16(packet, 10, 0);
        let checksum = checksum::of(packet.get(..header.len())?);
        put_u16(packet, 10, checksum);

        self.done = self.done.saturating_add(take);
        self.finished = last;

        Some(len)
    }

    /// Returns flags and offset of the next fragment; the packet may have been a fragment before.
    fn position(&self, last: bool) -> u16 {
        let before = self.flags & OFFSET;
        let offset = before.saturating_add(saturate_u16(self.done / 8)) & OFFSET;
        let more = if last {
            self.flags & MORE_FRAGMENTS
        } else {
            MORE_FRAGMENTS
        };

        self.flags & 0x8000 | more | offset
    }
}

/// Reads the IPv4 packet in `frame`, and where it begins.
fn read(frame: &[u8]) -> Option<(usize, Packet<'_>)> {
    let frame = Frame::parse(frame).ok()?;
    if frame.kind() != Kind::Type(EtherType::IPV4) {
        return None;
    }

    Some((frame.header_len(), Packet::parse(frame.payload())?))
}

/// Returns whether the packet in `frame` forbids fragmentation; `None` if it is no IPv4 packet.
pub fn dont_fragment(frame: &[u8]) -> Option<bool> {
    read(frame).map(|(_, packet)| packet.dont_fragment())
}
