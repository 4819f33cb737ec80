//! Who queues with whom: a hash over the inner flow, and the few frames that never wait.

use lanparty_proto::EtherType;

use crate::bytewise::{u8_at, u16_at};
use crate::headers::{ICMPV6, Network, TCP, UDP, Version, ether_type};

/// How urgent a frame is by its nature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowClass {
    /// ARP, DHCP and neighbour discovery: without them nothing else moves, and there is little of it.
    Control,
    /// Everything else.
    Normal,
}

/// Hashes flows, with a seed so that nobody outside can aim at one queue.
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

    /// Hashes the MAC addresses and, of an IP packet, addresses, protocol and ports; otherwise the EtherType.
    ///
    /// All fragments of a packet have one hash, which leaves the ports out. Good for choosing a queue, not for a dictionary.
    pub fn hash(self, frame: &[u8]) -> u64 {
        let mut state = self.seed ^ MIX_A;
        let (macs, _) = frame.split_at(frame.len().min(12));
        state = mix_bytes(state, macs);
        let Some(network) = Network::parse(frame) else {
            let kind = ether_type(frame).map_or(0, |(kind, _)| kind.0);
            return mix(state, u64::from(kind));
        };
        let (start, end) = match network.version {
            Version::V4 => (12, 20),
            Version::V6 => (8, 40),
        };
        let addresses = frame
            .get(network.l3.saturating_add(start)..network.l3.saturating_add(end))
            .unwrap_or_default();
        state = mix_bytes(state, addresses);
        let ports = match network.protocol {
            TCP | UDP if !network.fragment => frame
                .get(network.l4..)
                .and_then(|transport| transport.first_chunk::<4>())
                .map_or(0, |ports| u32::from_le_bytes(*ports)),
            _ => 0,
        };

        mix(state, u64::from(network.protocol) << 32 | u64::from(ports))
    }
}

/// Tells the few frames that must not wait behind others.
pub fn classify(frame: &[u8]) -> FlowClass {
    if is_control(frame).unwrap_or(false) {
        FlowClass::Control
    } else {
        FlowClass::Normal
    }
}

fn is_control(frame: &[u8]) -> Option<bool> {
    if ether_type(frame)?.0 == EtherType::ARP {
        return Some(true);
    }
    let network = Network::parse(frame)?;
    if network.fragment {
        return Some(false);
    }

    Some(match network.protocol {
        // BOOTP and DHCP (RFC 2131), DHCPv6 (RFC 8415, 7.2).
        UDP => matches!(
            u16_at(frame, network.l4.checked_add(2)?)?,
            67 | 68 | 546 | 547
        ),
        // Router and neighbour discovery and redirect (RFC 4861, 4).
        ICMPV6 => matches!(u8_at(frame, network.l4)?, 133..=137),
        _ => false,
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

fn mix_bytes(mut state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }

    mix(state, u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
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

        assert_ne!(hasher.hash(&a), hasher.hash(&b));
        assert_ne!(hasher.hash(&a), FlowHasher::new(8).hash(&a));
        let [first, later] = [(a, 0x20), (b, 0x01)].map(|(mut frame, flags)| {
            frame[20] = flags;
            hasher.hash(&frame)
        });
        assert_eq!(first, later);
    }

    #[test]
    fn address_protocols_never_wait() {
        assert_eq!(classify(&udp([0, 68, 0, 67])), FlowClass::Control);
        assert_eq!(classify(&udp([0, 53, 0, 54])), FlowClass::Normal);
        let mut arp = vec![0xff; 12];
        arp.extend([8, 6]);
        assert_eq!(classify(&arp), FlowClass::Control);
        assert_eq!(classify(&[]), FlowClass::Normal);
    }
}
