//! One member, and the frames that it sends: they say when.

use std::time::Duration;

use lanparty_ctrl::{Decoder, MAX_ADMITTED};
use lanparty_proto::{MacAddr, PeerId, RoomId, overlay};

/// EtherType of IPX, which the safety policy lets pass.
const IPX: [u8; 2] = [0x81, 0x37];

/// Where the time of sending stands in a frame: behind Ethernet and IPX headers.
const STAMP_AT: usize = 14 + 30;

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u32,
    pub(super) decoder: Decoder,
    pub(super) ids: Option<(RoomId, PeerId)>,
    pub(super) sent: u32,
}

impl Member {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            decoder: Decoder::new(MAX_ADMITTED),
            ids: None,
            sent: 0,
        }
    }

    /// A frame of `len` bytes that is sent at `stamp`, in a datagram.
    pub(super) fn datagram(&self, to: MacAddr, len: u16, stamp: Duration) -> Option<Vec<u8>> {
        let (room, peer) = self.ids?;
        let mut datagram = overlay::header(room, peer, false, len).to_vec();
        datagram.extend_from_slice(&to.0);
        datagram.extend_from_slice(&mac(self.number).0);
        datagram.extend_from_slice(&IPX);
        // No checksum, and a length that leaves the rest as padding.
        datagram.extend_from_slice(&[0xff, 0xff, 0, 30]);
        datagram.resize(overlay::HEADER_LEN + STAMP_AT, 0);
        let nanos = u64::try_from(stamp.as_nanos()).unwrap_or(u64::MAX);
        datagram.extend_from_slice(&nanos.to_be_bytes());
        datagram.resize(overlay::HEADER_LEN + usize::from(len), 0);

        Some(datagram)
    }
}

/// Returns how long a datagram was under way that arrived at `now`, in milliseconds.
pub(super) fn delay(datagram: &[u8], now: Duration) -> Option<f64> {
    let stamp = datagram.get(overlay::HEADER_LEN + STAMP_AT..)?;
    let nanos = u64::from_be_bytes(*stamp.first_chunk()?);

    Some(
        now.saturating_sub(Duration::from_nanos(nanos))
            .as_secs_f64()
            * 1e3,
    )
}

/// Returns the MAC of a member.
pub(super) fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();

    MacAddr([2, 1, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use lanparty_proto::{Frame, Overlay};

    use super::*;

    #[test]
    fn neighbours_talk_to_each_other_in_frames_that_parse() {
        let mut member = Member::new(6);
        member.ids = Some((RoomId(1), PeerId(7)));
        let sent = Duration::from_millis(30);
        let datagram = member.datagram(mac(7), 200, sent).unwrap();
        assert_eq!(delay(&datagram, Duration::from_millis(35)), Some(5.0));
        let frame = Frame::parse(Overlay::parse(&datagram, false).unwrap().payload).unwrap();

        assert_eq!(frame.destination(), mac(7));
        assert_eq!(frame.source(), mac(6));
        assert_eq!(frame.bytes().len(), 200);
    }
}
