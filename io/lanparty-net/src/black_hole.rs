//! Notices that a path has shrunk: large packets vanish while small ones arrive (RFC 8899, 4.3).
//!
//! The library notices too, but only after four separate losses of large packets. The datagrams that it loses are nobody's to send
//! again but the applications', whose TCP doubles its patience each time: four losses are three seconds. Here two are enough, and
//! nobody has to wait for the second: the link sends something as large as what was lost ([`crate::question`]), which is the question
//! whether large packets arrive.

use std::collections::VecDeque;
use std::time::Instant;

/// What every path of QUIC carries, in bytes of UDP payload (RFC 9000, 14): longer packets are large.
pub(crate) const BASE: u64 = 1200;

/// Losses of large packets, none of which got through in between, that are a black hole: one may be chance.
const ENOUGH: u8 = 2;

/// How many trains of large packets are remembered. What is lost is known a round trip later; a lost train that has been
/// forgotten is only not suspected.
const REMEMBERED: usize = 64;

/// What a loss says about the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing: packets get lost.
    Nothing,
    /// Large packets may vanish, and what is on its way will tell.
    Suspicion,
    /// Large packets may vanish, and no other is on its way: another should be sent to find out.
    Question,
    /// The path is a black hole.
    BlackHole,
}

/// Watches which packets of one path arrive. Packets are known by when they were sent.
#[derive(Debug, Default)]
pub(crate) struct BlackHole {
    large: VecDeque<Instant>,
    newest_acked: Option<Instant>,
    newest_large_acked: Option<Instant>,
    last_suspicion: Option<Instant>,
    suspicions: u8,
}

impl BlackHole {
    /// Takes note of packets of up to `len` bytes that leave now.
    pub(crate) fn handle_sent(&mut self, now: Instant, len: u64) {
        if len <= BASE || self.large.back() == Some(&now) {
            return;
        }
        if self.large.len() >= REMEMBERED {
            self.large.pop_front();
        }
        self.large.push_back(now);
    }

    /// Takes when the newest packet and the newest large packet of those were sent that have just been acknowledged.
    pub(crate) fn handle_ack(&mut self, newest: Option<Instant>, newest_large: Option<Instant>) {
        self.newest_acked = self.newest_acked.max(newest);
        self.newest_large_acked = self.newest_large_acked.max(newest_large);
        if newest_large.is_some() && newest_large >= self.last_suspicion {
            self.suspicions = 0;
        }
    }

    /// Takes when the newest of those packets was sent that have just been found lost.
    pub(crate) fn handle_loss(&mut self, sent: Instant) -> Finding {
        let is_explained = !self.large.contains(&sent)
            || self.newest_large_acked >= Some(sent)
            || self.newest_acked < Some(sent);
        if is_explained || self.last_suspicion >= Some(sent) {
            return Finding::Nothing;
        }
        self.last_suspicion = Some(sent);
        self.suspicions = self.suspicions.saturating_add(1);
        if self.suspicions >= ENOUGH {
            *self = Self::default();
            return Finding::BlackHole;
        }
        if self.large.back() == Some(&sent) {
            Finding::Question
        } else {
            Finding::Suspicion
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Instants, a millisecond apart.
    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn two_losses_of_large_packets_that_small_ones_survive_are_a_black_hole() {
        let (mut path, start) = (BlackHole::default(), Instant::now());
        for (sent, small, finding) in [(0, 1, Finding::Question), (10, 11, Finding::BlackHole)] {
            path.handle_sent(at(start, sent), 1400);
            path.handle_ack(Some(at(start, small)), None);
            assert_eq!(path.handle_loss(at(start, sent)), finding);
        }
    }

    #[test]
    fn nothing_is_asked_while_another_large_packet_is_on_its_way() {
        let (mut path, start) = (BlackHole::default(), Instant::now());
        path.handle_sent(at(start, 0), 1400);
        path.handle_sent(at(start, 2), 1400);
        path.handle_ack(Some(at(start, 1)), None);

        assert_eq!(path.handle_loss(at(start, 0)), Finding::Suspicion);
    }

    #[test]
    fn large_packet_that_arrives_clears_the_path() {
        let (mut path, start) = (BlackHole::default(), Instant::now());
        for sent in [0, 10, 20, 30] {
            path.handle_sent(at(start, sent), 1400);
            path.handle_ack(Some(at(start, sent + 1)), None);
            assert_eq!(path.handle_loss(at(start, sent)), Finding::Question);
            path.handle_sent(at(start, sent + 2), 1400);
            let large = Some(at(start, sent + 2));
            path.handle_ack(large, large);
        }
    }

    #[test]
    fn congestion_is_no_black_hole() {
        let (mut path, start) = (BlackHole::default(), Instant::now());
        // A queue that is full loses some of many; later large ones have arrived when the loss is known.
        for sent in (0..100).step_by(2) {
            path.handle_sent(at(start, sent), 1400);
            path.handle_sent(at(start, sent + 1), 1400);
            let large = Some(at(start, sent + 1));
            path.handle_ack(large, large);
            assert_eq!(path.handle_loss(at(start, sent)), Finding::Nothing);
        }
    }

    #[test]
    fn outage_and_lost_small_packets_are_no_black_hole() {
        let (mut path, start) = (BlackHole::default(), Instant::now());
        for sent in 0..10 {
            path.handle_sent(at(start, sent), 1400);
            let finding = path.handle_loss(at(start, sent));
            assert_eq!(finding, Finding::Nothing, "nothing arrives at all");
        }
        for sent in 20..30 {
            path.handle_sent(at(start, sent), 60);
            path.handle_ack(Some(at(start, sent + 1)), None);
            let finding = path.handle_loss(at(start, sent));
            assert_eq!(finding, Finding::Nothing, "they were small");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (mut path, start) = (BlackHole::default(), Instant::now());
        for sent in 0..10_000 {
            path.handle_sent(at(start, sent), 1400);
        }

        assert_eq!(path.large.len(), REMEMBERED);
    }
}
