//! Explicit congestion notification in the IP header (RFC 3168).

use super::{Layout, Version};
use crate::checksum;
use crate::read::array;

/// Returns whether the packet in `frame` says that its sender understands marks, and has none yet.
pub fn can_mark(frame: &[u8]) -> bool {
    Layout::parse(frame)
        .and_then(|layout| marked(frame, &layout))
        .is_some()
}

/// Marks the packet in `frame` with "congestion experienced", and keeps its checksum right.
///
/// Returns whether the packet was marked; see [`can_mark`].
pub fn mark(frame: &mut [u8]) -> bool {
    let Some(layout) = Layout::parse(frame) else {
        return false;
    };
    let Some((old, new)) = marked(frame, &layout) else {
        return false;
    };
    put(frame, layout.l3, new);
    if layout.version == Version::V4 {
        let field = layout.l3.saturating_add(10);
        let sum = array(frame, field).map_or(0, u16::from_be_bytes);
        let sum = checksum::update(sum, u16::from_be_bytes(old), u16::from_be_bytes(new));
        put(frame, field, sum.to_be_bytes());
    }

    true
}

/// Returns the first two bytes of an IP header as they are, and with a mark.
fn marked(frame: &[u8], layout: &Layout) -> Option<([u8; 2], [u8; 2])> {
    let [first, second] = array(frame, layout.l3)?;
    // The traffic class of IPv6 straddles the two bytes: its ECN field is bits 4 and 5 of the second
    // (RFC 8200, 3).
    let shift = match layout.version {
        Version::V4 => 0,
        Version::V6 => 4,
    };

    matches!(second >> shift & 3, 1 | 2).then_some(([first, second], [first, second | 3 << shift]))
}

fn put(bytes: &mut [u8], at: usize, value: [u8; 2]) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}
