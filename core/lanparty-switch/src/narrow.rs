//! Members whose connections carry less than others': in full-frame mode their datagrams are split, in native mode everybody is told.

use bytes::{Bytes, BytesMut};
use lanparty_ctrl::{Message, Mode, RoomBudget};
use lanparty_proto::fragment::{self, RELAY_SEQUENCE};
use lanparty_proto::overlay::{self, Overlay};

use crate::admission::needed_budget;
use crate::room::Room;
use crate::switch::{Output, Switch};

/// Returns the length of the longer fragment for a datagram of `len` bytes with a whole frame.
pub(crate) const fn half_len(len: usize) -> usize {
    fragment::datagram_len(len.saturating_sub(overlay::HEADER_LEN))
}

/// Makes the two fragments of `datagram`, which carries a whole frame.
///
/// Returns `None` if it does not.
pub fn split_datagram(datagram: &[u8], sequence: u32) -> Option<[Bytes; 2]> {
    let whole = Overlay::parse(datagram, false).ok()?;
    let total = u16::try_from(whole.payload.len()).ok()?;
    let mut both = BytesMut::zeroed(fragment::datagrams_len(whole.payload.len()));
    let copy = |place: &mut [u8]| place.copy_from_slice(whole.payload);
    fragment::write((whole.room, whole.source), sequence, total, &mut both, copy);
    let second = both.split_off(fragment::datagram_len(whole.payload.len()));

    Some([both.freeze(), second.freeze()])
}

impl Room {
    /// Returns a new number for fragments that the relay makes of a frame of the member on `seat`.
    pub(crate) fn next_split_sequence(&mut self, seat: usize) -> u32 {
        let Some(member) = self.roster.get_mut(seat) else {
            return RELAY_SEQUENCE;
        };
        member.split_sequence = member.split_sequence.wrapping_add(1);

        RELAY_SEQUENCE | member.split_sequence
    }
}

impl Switch {
    /// Tells the members of a native room what fits the connections of all, if that changed (`docs/protocol.md`, 5.5).
    ///
    /// A native room's MTU fits everybody when they join. A path that shrinks later would silently lose what senders still take for
    /// fitting; told, they fragment it or answer "packet too big".
    pub(crate) fn tell_budget(&mut self, slot: usize) {
        let Some(room) = self.rooms.get_mut(slot) else {
            return;
        };
        let connected = (room.roster.iter()).filter(|(_, member)| member.conn.is_some());
        let least = connected.map(|(_, member)| member.budget).min();
        let needed = needed_budget(room.mode, room.mtu);
        let narrowest = least
            .filter(|least| room.mode == Mode::Native && *least < needed)
            .and_then(|least| u16::try_from(least).ok());
        if std::mem::replace(&mut room.narrowest, narrowest) == narrowest {
            return;
        }
        let message = Message::RoomBudget(RoomBudget { budget: narrowest });
        let hearing = (room.roster.iter()).filter(|(_, member)| member.hears_budget);
        let messages = hearing
            .flat_map(|(_, member)| member.listeners())
            .map(|conn| Output::Send {
                conn,
                message: message.clone(),
            });
        self.outputs.extend(messages);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use lanparty_proto::fragment::{Fragment, Reassembled, ReassemblyTable};
    use lanparty_proto::{PeerId, RoomId};

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn fragments_that_the_relay_makes_join_to_the_frame() {
        let frame: Vec<u8> = (0..=255).cycle().take(1401).collect();
        let length = u16::try_from(frame.len()).unwrap();
        let header = overlay::header(RoomId(7), PeerId(9), false, length);
        let datagram = [&header[..], &frame].concat();

        let [first, second] = split_datagram(&datagram, RELAY_SEQUENCE | 5).unwrap();
        let mut table = ReassemblyTable::default();
        let now = Instant::now();
        for (half, is_last) in [(&first, false), (&second, true)] {
            assert!(half.len() <= half_len(datagram.len()));
            let overlay = Overlay::parse(half, true).unwrap();
            assert_eq!((overlay.room, overlay.source), (RoomId(7), PeerId(9)));
            let fragment = Fragment::parse(overlay.payload).unwrap();
            let joined = table.handle_fragment(overlay.source, &fragment, now);
            assert_eq!(joined == Reassembled::Frame(&frame), is_last);
        }
    }
}
