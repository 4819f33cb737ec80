//! Two machines with one identity.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many times a membership may go back to the address it was just taken from before it is refused.
const MAX_RETURNS: u32 = 2;

/// In what time those returns count, and for how long the loser is kept out.
const WINDOW: Duration = Duration::from_secs(30);

/// Notices that two machines take one membership from each other.
///
/// A player who changes networks goes from one address to another and stays there for a while. A copied disk or identity file
/// gives two machines that alternate: A, B, A, B. Whoever has the membership then keeps it, and the other is told why.
#[derive(Debug, Default)]
pub(crate) struct TakeoverGuard {
    previous: Option<IpAddr>,
    returns: u32,
    since: Option<Instant>,
    refused_until: Option<Instant>,
}

impl TakeoverGuard {
    /// Decides whether a live membership of `current` may be taken by `newcomer`.
    pub(crate) fn may_take(&mut self, current: IpAddr, newcomer: IpAddr, now: Instant) -> bool {
        if current == newcomer {
            return true;
        }
        if self.refused_until.is_some_and(|until| now < until) {
            return false;
        }

        let is_old = self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) > WINDOW);
        if is_old {
            self.since = Some(now);
            self.returns = 0;
        }
        if self.previous == Some(newcomer) {
            self.returns += 1;
        }
        if self.returns > MAX_RETURNS {
            self.refused_until = now.checked_add(WINDOW);
            return false;
        }
        self.previous = Some(current);

        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn one_machine_may_return_as_often_as_it_likes() {
        let mut takeover_guard = TakeoverGuard::default();

        assert!((0..10_000).all(|_| takeover_guard.may_take(HOME, HOME, start())));
    }

    #[test]
    fn two_machines_that_alternate_are_stopped_and_may_try_again_later() {
        let mut takeover_guard = TakeoverGuard::default();
        let now = start();
        let mut current = HOME;
        let mut swaps = 0;
        for newcomer in [AWAY, HOME].into_iter().cycle().take(20) {
            if newcomer != current && takeover_guard.may_take(current, newcomer, now) {
                current = newcomer;
                swaps += 1;
            }
        }
        assert_eq!(swaps, 3);

        let other = if current == HOME { AWAY } else { HOME };
        assert!(takeover_guard.may_take(current, other, now + WINDOW * 2));
    }
}
