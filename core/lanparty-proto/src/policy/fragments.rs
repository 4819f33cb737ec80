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
/// One per remote client. Holds no memory but its own.
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
