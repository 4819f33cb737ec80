//! Clients that close a loop, as their room's gateway says.
//!
//! The gateway finds loops and names who closes them (`docs/protocol.md`, clause 9). It drops what such a client sends, and the client
//! is asked to keep still; that no other player hears it either is the relay's to see to.

use std::time::{Duration, Instant};

use lanparty_bounds::AgeingMap;
use lanparty_proto::MacAddr;

/// How many clients are remembered as blocked: four times what a room has by default, as at the gateway.
const MAX_BLOCKED: usize = 256;

/// The longest block that one notice brings: the longest that a gateway of ours gives. Notices repeat every second.
const MAX_LASTING: Duration = Duration::from_mins(10);

/// Who is blocked in one room, by MAC: whoever leaves and comes back is blocked still.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    blocked: AgeingMap<MacAddr, (), MAX_BLOCKED>,
    news: Option<(MacAddr, Duration)>,
}

impl Blocks {
    /// Blocks a client for `lasting` from now, whatever was said before.
    pub(crate) fn set(&mut self, mac: MacAddr, lasting: Duration, now: Instant) {
        let lasting = lasting.min(MAX_LASTING);
        let Some(until) = now.checked_add(lasting) else {
            return;
        };
        let is_new = !self.blocked.contains(&mac, now);
        self.blocked.insert_evicting(mac, (), until, now);
        if is_new {
            self.news = Some((mac, lasting));
        }
    }

    /// Returns for how long a client is blocked still.
    pub(crate) fn left(&self, mac: MacAddr, now: Instant) -> Option<Duration> {
        let until = self.blocked.expiry_of(&mac, now)?;

        Some(until.saturating_duration_since(now))
    }

    /// Returns whether a client is blocked.
    #[inline]
    pub(crate) fn is_on(&self, mac: MacAddr, now: Instant) -> bool {
        !self.blocked.is_empty() && self.left(mac, now).is_some()
    }

    /// Takes whom the last call of [`Blocks::set`] has blocked anew, and for how long.
    #[inline]
    pub(crate) const fn take_news(&mut self) -> Option<(MacAddr, Duration)> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn mac(number: usize) -> MacAddr {
        let [.., a, b] = number.to_be_bytes();
        MacAddr([2, 0, 0, 0, a, b])
    }

    #[test]
    fn a_block_ends_by_itself_and_is_news_once() {
        let mut blocks = Blocks::default();
        let now = start();
        let minute = Duration::from_mins(1);

        blocks.set(mac(1), minute, now);
        assert_eq!(blocks.take_news(), Some((mac(1), minute)));
        blocks.set(mac(1), minute, now + Duration::from_secs(1));
        assert_eq!(blocks.take_news(), None);

        assert!(blocks.is_on(mac(1), now + minute));
        assert!(!blocks.is_on(mac(1), now + minute + Duration::from_secs(1)));
        assert!(!blocks.is_on(mac(2), now));
    }

    #[test]
    fn no_notice_blocks_for_longer_than_ten_minutes_or_fills_the_memory() {
        let mut blocks = Blocks::default();
        let now = start();
        for number in 0..1000 {
            blocks.set(mac(number), Duration::MAX, now);
        }

        assert_eq!(blocks.blocked.len(), MAX_BLOCKED);
        assert!(blocks.is_on(mac(999), now));
        assert!(!blocks.is_on(mac(999), now + MAX_LASTING));
    }
}
