//! Later fragments of a refused first one.

use std::time::{Duration, Instant};

use super::Refusal;
use super::ipv4::{FragmentKey, fragment_key};
use crate::{EtherType, Frame, Kind};

/// How many refused first fragments are remembered.
///
/// A client that sends more than these in [`LIFETIME`] gets its oldest forgotten, which does no harm: without their first
/// fragment later ones cannot be reassembled.
const CAPACITY: usize = 32;

/// How long later fragments are refused.
const LIFETIME: Duration = Duration::from_secs(2);

/// Remembers which IPv4 packets lost their first fragment to the policy, so that the rest does not burden the LAN.
///
/// One per remote client. Holds no memory but its own: not an ageing map, because every fragment of a
/// client looks here, and a ring of 32 keys needs no allocation and no order.
#[derive(Debug, Default)]
pub struct Fragments {
    refused: [Option<(FragmentKey, Instant)>; CAPACITY],
    oldest: usize,
}

impl Fragments {
    /// Turns the policy's verdict about `frame` into the final one.
    ///
    /// # Errors
    ///
    /// Returns the policy's refusal, or [`Refusal::Ipv4Fragment`] for later fragments of a packet whose first was refused.
    #[inline]
    pub fn check(
        &mut self,
        frame: &Frame<'_>,
        verdict: Result<(), Refusal>,
        now: Instant,
    ) -> Result<(), Refusal> {
        if frame.kind() != Kind::Type(EtherType::IPV4) {
            return verdict;
        }
        let Some((key, is_later)) = fragment_key(frame) else {
            return verdict;
        };
        if let Err(refusal) = verdict {
            self.remember(key, now);
            return Err(refusal);
        }
        if is_later && self.is_refused(key, now) {
            return Err(Refusal::Ipv4Fragment);
        }

        Ok(())
    }

    fn is_refused(&self, key: FragmentKey, now: Instant) -> bool {
        self.refused
            .iter()
            .flatten()
            .any(|&(refused, at)| refused == key && now.saturating_duration_since(at) < LIFETIME)
    }

    fn remember(&mut self, key: FragmentKey, now: Instant) {
        if let Some(slot) = self.refused.get_mut(self.oldest) {
            *slot = Some((key, now));
        }
        self.oldest = self.oldest.wrapping_add(1) % CAPACITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::build::{frame, ipv4, ipv4_packet, udp};
    use crate::policy::{Direction, Policy, check};

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn decide(fragments: &mut Fragments, bytes: &[u8], now: Instant) -> Result<(), Refusal> {
        let Ok(frame) = Frame::parse(bytes) else {
            panic!("{bytes:?} is no frame");
        };
        let verdict = check(Policy::DEFAULT, Direction::FromRemote, &frame, 1500);

        fragments.check(&frame, verdict, now)
    }

    fn first(port: u16) -> Vec<u8> {
        frame(
            0x0800,
            &ipv4_packet(17, 0x2000, &[], &udp(4000, port, &[0; 8])),
        )
    }

    fn later() -> Vec<u8> {
        frame(0x0800, &ipv4_packet(17, 2, &[], &[0; 8]))
    }

    #[test]
    fn the_rest_of_a_refused_packet_is_refused_for_a_while() {
        let mut fragments = Fragments::default();
        let now = start();

        assert_eq!(decide(&mut fragments, &later(), now), Ok(()));
        assert_eq!(
            decide(&mut fragments, &first(68), now),
            Err(Refusal::Ipv4Fragment)
        );
        assert_eq!(
            decide(&mut fragments, &later(), now),
            Err(Refusal::Ipv4Fragment)
        );
        assert_eq!(decide(&mut fragments, &later(), now + LIFETIME), Ok(()));
    }

    #[test]
    fn a_packet_that_passed_keeps_its_rest() {
        let mut fragments = Fragments::default();
        let now = start();

        assert_eq!(decide(&mut fragments, &first(4001), now), Ok(()));
        assert_eq!(decide(&mut fragments, &later(), now), Ok(()));
    }

    #[test]
    fn a_refused_packet_that_is_whole_is_not_remembered() {
        let mut fragments = Fragments::default();
        let now = start();
        let whole = ipv4(17, &udp(67, 68, b"hello"));

        assert_eq!(
            decide(&mut fragments, &whole, now),
            Err(Refusal::DhcpServer)
        );
        assert_eq!(decide(&mut fragments, &later(), now), Ok(()));
    }

    #[test]
    fn the_oldest_is_forgotten_for_the_newest() {
        let mut fragments = Fragments::default();
        let now = start();
        for identification in 0..=u16::try_from(CAPACITY).unwrap() {
            let mut bytes = first(68);
            bytes[18..20].copy_from_slice(&identification.to_be_bytes());
            decide(&mut fragments, &bytes, now).unwrap_err();
        }
        let mut verdict = |identification: u8| {
            let mut bytes = later();
            bytes[18..20].copy_from_slice(&[0, identification]);
            decide(&mut fragments, &bytes, now)
        };

        assert_eq!(verdict(0), Ok(()));
        assert_eq!(verdict(1), Err(Refusal::Ipv4Fragment));
    }
}
