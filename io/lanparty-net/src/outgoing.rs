//! A datagram on its way out, as the queue sees it.

use bytes::Bytes;
use lanparty_offload::ack;
use lanparty_queue::QueueItem;

/// Where the frame begins in an overlay datagram, its EtherType, and the IP header of an untagged one.
const FRAME_AT: usize = lanparty_proto::overlay::HEADER_LEN;
const ETHER_TYPE_AT: usize = FRAME_AT + 12;
const IP_AT: usize = ETHER_TYPE_AT + 2;

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
        let [t0, t1] = *self.0.get(ETHER_TYPE_AT..)?.first_chunk()?;
        let packet = self.0.get(IP_AT..).filter(|_| is_whole)?;
        let [first, second, ..] = *packet else {
            return None;
        };
        match u16::from_be_bytes([t0, t1]) {
            0x0800 if matches!(second & 3, 1 | 2) => {
                let [c0, c1] = *packet.get(10..)?.first_chunk()?;
                let mut bytes = self.0.to_vec();
                let ip = bytes.get_mut(IP_AT..)?;
                *ip.get_mut(1)? = second | 3;
                let checksum = updated(
                    u16::from_be_bytes([c0, c1]),
                    [first, second],
                    [first, second | 3],
                );
                ip.get_mut(10..12)?.copy_from_slice(&checksum.to_be_bytes());

                Some(bytes)
            }
            // The traffic class straddles the first two bytes; its ECN bits are bits 4 and 5 of the second (RFC 8200, 3).
            0x86dd if matches!(second >> 4 & 3, 1 | 2) => {
                let mut bytes = self.0.to_vec();
                *bytes.get_mut(IP_AT + 1)? = second | 0x30;

                Some(bytes)
            }
            _ => None,
        }
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
        let halves = (
            self.0.split_at_checked(FRAME_AT),
            older.0.split_at_checked(FRAME_AT),
        );
        let (Some((header, frame)), Some((older_header, older_frame))) = halves else {
            return false;
        };

        header == older_header && ack::supersedes(frame, older_frame)
    }
}

/// Updates an Internet checksum for two bytes that changed (RFC 1624, equation 3).
fn updated(checksum: u16, old: [u8; 2], new: [u8; 2]) -> u16 {
    let mut sum = u32::from(!checksum)
        + u32::from(!u16::from_be_bytes(old))
        + u32::from(u16::from_be_bytes(new));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }

    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use lanparty_proto::{PeerId, RoomId, overlay};

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

    fn sum(header: &[u8]) -> u16 {
        let mut sum: u32 = header
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }

        u16::try_from(sum).unwrap()
    }

    #[test]
    fn marks_an_ipv4_packet_that_can_carry_it_and_keeps_its_checksum_right() {
        let mut header = [
            0x45, 0x02, 0, 20, 1, 2, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        let checksum = !sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        let mut item = datagram([8, 0], &header);

        assert!(item.mark_ce());
        let bytes = item.into_bytes();
        assert_eq!(bytes[IP_AT + 1], 0x03);
        assert_eq!(sum(&bytes[IP_AT..]), 0xffff);
    }

    #[test]
    fn marks_an_ipv6_packet() {
        let mut item = datagram([0x86, 0xdd], &[0x60, 0x10, 0, 0]);

        assert!(item.mark_ce());
        assert_eq!(item.into_bytes()[IP_AT + 1], 0x30);
    }

    #[test]
    fn leaves_alone_what_cannot_carry_a_mark() {
        assert!(!datagram([8, 0], &[0x45, 0x00, 0, 20]).mark_ce());
        assert!(!datagram([8, 6], &[0x45, 0x02, 0, 20]).mark_ce());
        assert!(!Outgoing::new(Bytes::from_static(&[1, 1, 0])).mark_ce());
    }
}
