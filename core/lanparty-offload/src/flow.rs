//! Who queues with whom: a hash over the inner flow, and the few frames that never wait.

use lanparty_proto::ip::Headers;
use lanparty_proto::ip::protocol::{ICMPV6, TCP, UDP};
use lanparty_proto::ip::transport::destination;
use lanparty_proto::{EtherType, Frame, Kind, TrafficClass};

use crate::ack;

/// What a queue has to know of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Which frames it queues with. Good for choosing a queue, not for a dictionary.
    pub hash: u64,
    /// How it is to wait.
    pub class: TrafficClass,
}

/// Tells flows apart, with a seed so that nobody outside can aim at one queue.
#[derive(Debug, Clone, Copy)]
pub struct FlowHasher {
    seed: u64,
}

/// Odd constants without structure (the fractional digits of the golden ratio and of the square root of 3).
const MIX_A: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX_B: u64 = 0xbb67_ae85_84ca_a73b;

impl FlowHasher {
    /// Takes a seed that was drawn at random.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Reads the headers of `frame`, once for everything that a queue asks.
    ///
    /// The hash is over the MAC addresses and, of an IP packet, addresses, protocol and ports; otherwise the EtherType.
    /// All fragments of a packet have one hash, which leaves the ports out.
    #[inline]
    pub fn read(self, bytes: &[u8]) -> Flow {
        match Frame::parse(bytes) {
            Ok(frame) => self.read_frame(&frame),
            Err(_) => Flow {
                hash: mix(self.hash_macs(bytes), 0),
                class: TrafficClass::Normal,
            },
        }
    }

    /// Does what [`FlowHasher::read`] does, where the Ethernet header has been read.
    pub fn read_frame(self, frame: &Frame<'_>) -> Flow {
        let macs = self.hash_macs(frame.bytes());
        let Some(ip) = Headers::of(frame) else {
            return Flow {
                hash: mix(macs, frame.type_or_length().into()),
                class: class_of_type(frame),
            };
        };

        Flow {
            hash: hash_ip(macs, &ip),
            class: class_of_ip(frame.bytes().len(), &ip).unwrap_or(TrafficClass::Normal),
        }
    }

    fn hash_macs(self, frame: &[u8]) -> u64 {
        let state = self.seed ^ MIX_A;
        let Some((first, rest)) = frame.split_first_chunk() else {
            // No frame, and nobody forwards it.
            return state;
        };
        let state = mix(state, u64::from_le_bytes(*first));
        let last = rest
            .first_chunk()
            .map_or(0, |last| u32::from_le_bytes(*last));

        mix(state, last.into())
    }
}

/// Tells the few frames that must not wait behind others, without a hash.
pub fn is_control(frame: &Frame<'_>) -> bool {
    let class = match Headers::of(frame) {
        Some(ip) => class_of_ip(frame.bytes().len(), &ip),
        None => Some(class_of_type(frame)),
    };

    class == Some(TrafficClass::Control)
}

#[inline]
fn hash_ip(macs: u64, ip: &Headers<'_>) -> u64 {
    // Two addresses are whole words in either version.
    let (words, _) = ip.addresses.as_chunks();
    let state = (words.iter()).fold(macs, |state, word| mix(state, u64::from_le_bytes(*word)));
    let ports = match ip.protocol {
        TCP | UDP if !ip.is_fragment => ip
            .transport
            .first_chunk()
            .map_or(0, |ports| u32::from_le_bytes(*ports)),
        _ => 0,
    };

    mix(state, u64::from(ip.protocol) << 32 | u64::from(ports))
}

fn class_of_type(frame: &Frame<'_>) -> TrafficClass {
    if frame.kind() == Kind::Type(EtherType::ARP) {
        TrafficClass::Control
    } else {
        TrafficClass::Normal
    }
}

/// Returns nothing if the transport header is not all there.
#[inline]
fn class_of_ip(len: usize, ip: &Headers<'_>) -> Option<TrafficClass> {
    if ip.is_fragment {
        return Some(TrafficClass::Normal);
    }
    let is_control = match ip.protocol {
        // BOOTP and DHCP (RFC 2131), DHCPv6 (RFC 8415, 7.2).
        UDP => matches!(destination(ip.transport)?, 67 | 68 | 546 | 547),
        // Router and neighbour discovery and redirect (RFC 4861, 4).
        ICMPV6 => matches!(ip.transport.first()?, 133..=137),
        TCP if ack::is_pure(len, ip) => return Some(TrafficClass::Acknowledgement),
        _ => false,
    };

    Some(if is_control {
        TrafficClass::Control
    } else {
        TrafficClass::Normal
    })
}

fn mix(state: u64, value: u64) -> u64 {
    let product = u128::from(state ^ value ^ MIX_B) * u128::from(MIX_A ^ value.rotate_left(32));
    let bytes = product.to_le_bytes();
    let (halves, _) = bytes.as_chunks::<8>();

    halves.iter().fold(state.rotate_left(23), |hash, half| {
        hash ^ u64::from_le_bytes(*half)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use lanparty_proto::ip::{Layout, Version};

    use super::*;

    fn udp(ports: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 28];
        frame.extend([0, 1, 0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(ports);
        frame.extend([0, 8, 0, 0]);

        frame
    }

    #[test]
    fn flows_have_different_hashes_and_fragments_share_one() {
        let hasher = FlowHasher::new(7);
        let (a, b) = (udp([1, 1, 1, 1]), udp([1, 1, 1, 2]));

        let hash = |frame: &[u8]| hasher.read(frame).hash;
        assert_ne!(hash(&a), hash(&b));
        assert_ne!(hash(&a), FlowHasher::new(8).read(&a).hash);
        let [first, later] = [(a, 0x20), (b, 0x01)].map(|(mut frame, flags)| {
            frame[20] = flags;
            hash(&frame)
        });
        assert_eq!(first, later);
    }

    #[test]
    fn address_protocols_never_wait() {
        let class = |frame: &[u8]| FlowHasher::new(7).read(frame).class;
        assert_eq!(class(&udp([0, 68, 0, 67])), TrafficClass::Control);
        assert_eq!(class(&udp([0, 53, 0, 54])), TrafficClass::Normal);
        let mut arp = vec![0xff; 12];
        arp.extend([8, 6]);
        assert_eq!(class(&arp), TrafficClass::Control);
        assert_eq!(class(&[]), TrafficClass::Normal);
    }

    /// The hash of one value after the other, each read where the frame's own headers say.
    fn hash_afresh(seed: u64, frame: &[u8]) -> u64 {
        let word =
            |bytes: &[u8]| (bytes.iter().rev()).fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mut values = vec![word(&frame[..8]), word(&frame[8..12])];
        match Layout::parse(frame) {
            None => values.push(number_of(frame).into()),
            Some(layout) => {
                let addresses = match layout.version {
                    Version::V4 => &frame[layout.l3 + 12..][..8],
                    Version::V6 => &frame[layout.l3 + 8..][..32],
                };
                values.extend(addresses.chunks(8).map(word));
                let has_ports = matches!(layout.protocol, TCP | UDP) && !layout.is_fragment;
                let ports = frame[layout.l4..layout.end].get(..4).filter(|_| has_ports);
                values.push(u64::from(layout.protocol) << 32 | ports.map_or(0, word));
            }
        }

        values.into_iter().fold(seed ^ MIX_A, mix)
    }

    fn number_of(frame: &[u8]) -> u16 {
        Frame::parse(frame).map_or(0, |frame| frame.type_or_length())
    }

    fn is_control_afresh(frame: &[u8]) -> bool {
        let Some(layout) = Layout::parse(frame) else {
            return number_of(frame) == EtherType::ARP.0;
        };
        let transport = frame[layout.l4..layout.end].iter().copied().take(4);
        let transport: Vec<u8> = transport.collect();
        match (layout.is_fragment, layout.protocol, transport.as_slice()) {
            (false, UDP, [_, _, port @ ..]) => {
                matches!(port, [0, 67 | 68] | [2, 34 | 35])
            }
            (false, ICMPV6, [kind, ..]) => (133..=137).contains(kind),
            _ => false,
        }
    }

    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let tag = prop_oneof![Just(vec![]), Just(vec![0x81, 0, 0, 1])];
        let head = prop_oneof![
            Just(vec![8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64]),
            Just(vec![8, 0, 0x46]),
            Just(vec![0x86, 0xdd, 0x60, 0, 0, 0, 0, 24]),
            Just(vec![8, 6]),
            Just(vec![]),
        ];
        let protocol = prop_oneof![Just(TCP), Just(UDP), Just(ICMPV6), Just(44), any::<u8>()];
        let small = prop_oneof![
            Just(0),
            Just(2),
            Just(0x10),
            Just(0x50),
            30..70_u8,
            any::<u8>()
        ];
        let rest = proptest::collection::vec(small, 0..130);

        (any::<[u8; 12]>(), tag, head, protocol, rest).prop_map(
            |(macs, tag, head, protocol, rest)| {
                [&macs[..], &tag, &head, &[protocol], &rest].concat()
            },
        )
    }

    proptest! {
        #[test]
        fn one_reading_says_what_single_readings_say(frame in frames(), seed: u64) {
            let flow = FlowHasher::new(seed).read(&frame);

            prop_assert_eq!(flow.hash, hash_afresh(seed, &frame));
            prop_assert_eq!(flow.class == TrafficClass::Control, is_control_afresh(&frame));
            let is_control = Frame::parse(&frame).is_ok_and(|frame| is_control(&frame));
            prop_assert_eq!(is_control, is_control_afresh(&frame));
        }

        #[test]
        fn only_acknowledgements_make_others_needless(
            frame in frames(),
            at in 0..130_usize,
            byte: u8,
        ) {
            let mut older = frame.clone();
            if let Some(place) = older.get_mut(at) {
                *place = byte;
            }
            if ack::supersedes(&frame, &older) {
                let flow = FlowHasher::new(7).read(&frame);
                prop_assert_eq!(flow.class, TrafficClass::Acknowledgement);
            }
        }
    }
}
