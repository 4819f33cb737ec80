//! A datagram on its way out, as the queue sees it.

use bytes::Bytes;
use lanparty_offload::ack;
use lanparty_proto::ip::ecn;
use lanparty_queue::QueueItem;

/// Where the frame begins in an overlay datagram.
const FRAME_AT: usize = lanparty_proto::overlay::HEADER_LEN;

/// An overlay datagram that waits in a link's queue.
#[derive(Debug)]
pub(crate) struct Outgoing(Bytes);

impl Outgoing {
    pub(crate) const fn new(datagram: Bytes) -> Self {
        Self(datagram)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Returns the datagram with its inner packet marked, if that packet can carry a mark and has none.
    fn marked(&self) -> Option<Vec<u8>> {
        let is_whole = lanparty_proto::Overlay::parse(&self.0, false).is_ok();
        let frame = self.0.get(FRAME_AT..).filter(|_| is_whole)?;
        if !ecn::can_mark(frame) {
            return None;
        }
        let mut bytes = self.0.to_vec();

        ecn::mark(bytes.get_mut(FRAME_AT..)?).then_some(bytes)
    }
}

impl QueueItem for Outgoing {
    fn wire_len(&self) -> usize {
        self.0.len()
    }

    /// Marks rarely happen, so the copy that a shared buffer needs is made here.
    fn mark_ce(&mut self) -> bool {
        self.marked().is_some_and(|bytes| {
            self.0 = bytes.into();
            true
        })
    }

    /// Only among small datagrams of one sender, so that others cost no more than the look at their length.
    fn supersedes(&self, older: &Self) -> bool {
        if self.len() > FRAME_AT + ack::MAX_LEN {
            return false;
        }
        let parts = (
            self.0.split_at_checked(FRAME_AT),
            older.0.split_at_checked(FRAME_AT),
        );
        let (Some((header, frame)), Some((older_header, older_frame))) = parts else {
            return false;
        };

        header == older_header && ack::supersedes(frame, older_frame)
    }
}

#[cfg(test)]
mod tests {
    use lanparty_proto::{PeerId, RoomId, checksum, overlay};

    use super::*;

    fn datagram(ether_type: [u8; 2], packet: &[u8]) -> Outgoing {
        let frame = [&[2; 12][..], &ether_type, packet].concat();
        let header = overlay::header(
            RoomId(1),
            PeerId(1),
            false,
            u16::try_from(frame.len()).unwrap(),
        );

        Outgoing::new([&header[..], &frame].concat().into())
    }

    const UNMARKED: [u8; 20] = [
        0x45, 0x02, 0, 20, 1, 2, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];

    /// Where the IP header of an untagged frame begins.
    const IP_AT: usize = FRAME_AT + 14;

    #[test]
    fn marks_an_ipv4_packet_that_can_carry_it_and_keeps_its_checksum_right() {
        let mut header = UNMARKED;
        let sum = checksum::of(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        let tagged = [&[0, 7, 8, 0][..], &header].concat();
        for (mut item, at) in [
            (datagram([8, 0], &header), IP_AT),
            (datagram([0x81, 0], &tagged), IP_AT + 4),
        ] {
            assert!(item.mark_ce());
            let bytes = item.into_bytes();
            assert_eq!(bytes[at + 1], 0x03);
            assert_eq!(checksum::of(&bytes[at..]), 0);
        }
    }

    #[test]
    fn marks_an_ipv6_packet() {
        let mut header = [0; 40];
        header[..8].copy_from_slice(&[0x60, 0x10, 0, 0, 0, 0, 59, 64]);
        let mut item = datagram([0x86, 0xdd], &header);

        assert!(item.mark_ce());
        assert_eq!(item.into_bytes()[IP_AT + 1], 0x30);
    }

    #[test]
    fn leaves_alone_what_cannot_carry_a_mark() {
        let mut without_ecn = UNMARKED;
        without_ecn[1] = 0;
        assert!(!datagram([8, 0], &without_ecn).mark_ce());
        assert!(!datagram([8, 6], &UNMARKED).mark_ce());
        assert!(!datagram([8, 0], &UNMARKED[..19]).mark_ce());
        assert!(!Outgoing::new(Bytes::from_static(&[1, 1, 0])).mark_ce());
    }
}
