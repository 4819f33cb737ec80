//! What an address, or a network, has of the relay, and may have.

use std::time::Instant;

use lanparty_bounds::{Rate, TokenBucket};

use super::pending::Pending;

/// What everybody in a group may have together.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// New connections.
    pub connects: Rate,
    /// Connections at a time; zero is no limit.
    pub connections: usize,
    /// Handshakes at a time whose address is not validated; beyond, addresses have to be.
    pub handshakes: usize,
}

/// What would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Connections at a time.
    Connections,
    /// New connections.
    Connects,
    /// Handshakes whose address is not validated.
    Handshakes,
}

/// What a group has.
///
/// Handshakes whose address is not validated count apart: a peer that writes somebody else's address on
/// its packets must not use up what that one may do.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Connections, but for handshakes whose address is not validated.
    connections: usize,
    /// Handshakes whose address is not validated.
    unvalidated: usize,
    /// New connections.
    connects: TokenBucket,
}

impl Share {
    /// Returns whether one more connection may come, whose address is validated or not.
    pub(super) fn check(
        &self,
        quota: &Quota,
        is_validated: bool,
        now: Instant,
    ) -> Result<(), Over> {
        if quota.connections > 0 && self.connections >= quota.connections {
            return Err(Over::Connections);
        }
        if !is_validated && self.unvalidated >= quota.handshakes {
            return Err(Over::Handshakes);
        }
        // A handshake is taken off the rate when it becomes a connection; one that never does costs
        // the group nothing.
        let coming = if is_validated {
            1
        } else {
            self.unvalidated + 1
        };
        let coming = u64::try_from(coming).unwrap_or(u64::MAX);
        if !self.connects.has(quota.connects, coming, now) {
            return Err(Over::Connects);
        }

        Ok(())
    }

    /// Counts a connection that may come.
    pub(super) fn enter(&mut self, quota: &Quota, is_validated: bool, now: Instant) {
        if is_validated {
            self.count(quota, now);
        } else {
            self.unvalidated += 1;
        }
    }

    /// Counts that a handshake is complete, which validates the address.
    pub(super) fn handle_connected(&mut self, quota: &Quota, pending: Pending, now: Instant) {
        if !pending.was_validated {
            self.unvalidated = self.unvalidated.saturating_sub(1);
            self.count(quota, now);
        }
    }

    /// Counts that a connection is gone.
    pub(super) const fn leave(&mut self, pending: Pending) {
        let count = if pending.is_connected || pending.was_validated {
            &mut self.connections
        } else {
            &mut self.unvalidated
        };
        *count = count.saturating_sub(1);
    }

    /// Returns whether it would make a difference to forget it.
    pub(super) fn is_needed(&self, quota: &Quota, now: Instant) -> bool {
        let is_rested = self.connects.is_full(quota.connects, now);

        self.connections > 0 || self.unvalidated > 0 || !is_rested
    }

    fn count(&mut self, quota: &Quota, now: Instant) {
        self.connections += 1;
        self.connects.charge(quota.connects, 1, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_share_is_not_needed_once_everything_is_earned_back() {
        let quota = Quota {
            connects: Rate {
                per_second: 10,
                burst: 20,
            },
            connections: 2,
            handshakes: 1,
        };
        let now = start();
        let mut share = Share::default();
        assert!(!share.is_needed(&quota, now));

        share.enter(&quota, true, now);
        share.leave(Pending {
            remote: (std::net::Ipv4Addr::LOCALHOST, 1).into(),
            was_validated: true,
            is_connected: true,
        });

        assert!(share.is_needed(&quota, now));
        assert!(!share.is_needed(&quota, now + Duration::from_millis(100)));
    }

    #[test]
    fn each_limit_has_its_name() {
        let quota = Quota {
            connects: Rate {
                per_second: 1,
                burst: 2,
            },
            connections: 3,
            handshakes: 1,
        };
        let now = start();
        let mut share = Share::default();

        share.enter(&quota, false, now);
        assert_eq!(share.check(&quota, false, now), Err(Over::Handshakes));
        share.enter(&quota, true, now);
        share.enter(&quota, true, now);
        assert_eq!(share.check(&quota, true, now), Err(Over::Connects));
        share.enter(&quota, true, now);
        assert_eq!(share.check(&quota, true, now), Err(Over::Connections));
    }
}
