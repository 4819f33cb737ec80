//! What an address, or a network, has of the relay, and may have.

use std::time::{Duration, Instant};

use lanparty_net::PendingConnection;
use lanparty_switch::Rate;

/// What everybody in a group may have together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// New connections.
    pub(crate) connects: Rate,
    /// Connections at a time; zero is no limit.
    pub(crate) connections: usize,
    /// Handshakes at a time that are not proved; beyond, addresses have to be.
    pub(crate) handshakes: usize,
}

/// What would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Connections at a time.
    Connections,
    /// New connections.
    Connects,
    /// Handshakes that are not proved.
    Handshakes,
}

/// What a group has.
///
/// What is not proved is counted apart: whoever writes somebody else's address on packets must not use up what that one may do.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Connections, but for handshakes that are not proved.
    connections: usize,
    /// Handshakes of which it is not proved that they are its own.
    unproved: usize,
    spent: Spent,
}

/// Until when a rate is used up.
#[derive(Debug, Default, Clone, Copy)]
struct Spent(Option<Instant>);

impl Share {
    /// Returns whether one more connection may come, whose address is proved or not.
    pub(super) fn check(&self, quota: &Quota, is_proved: bool, now: Instant) -> Result<(), Over> {
        if quota.connections > 0 && self.connections >= quota.connections {
            return Err(Over::Connections);
        }
        if !is_proved && self.unproved >= quota.handshakes {
            return Err(Over::Handshakes);
        }
        // What becomes a connection is taken off the rate then; what never does costs the group nothing.
        let coming = if is_proved { 1 } else { self.unproved + 1 };
        if !self.spent.has_room(quota.connects, coming, now) {
            return Err(Over::Connects);
        }

        Ok(())
    }

    /// Counts a connection that may come.
    pub(super) fn enter(&mut self, quota: &Quota, is_proved: bool, now: Instant) {
        if is_proved {
            self.count(quota, now);
        } else {
            self.unproved += 1;
        }
    }

    /// Counts that a handshake is complete, which proves the address.
    pub(super) fn handle_connected(
        &mut self,
        quota: &Quota,
        guest: PendingConnection,
        now: Instant,
    ) {
        if !guest.was_validated {
            self.unproved = self.unproved.saturating_sub(1);
            self.count(quota, now);
        }
    }

    /// Counts that a connection is gone.
    pub(super) const fn leave(&mut self, guest: PendingConnection) {
        let count = if guest.is_connected || guest.was_validated {
            &mut self.connections
        } else {
            &mut self.unproved
        };
        *count = count.saturating_sub(1);
    }

    /// Returns whether it would make a difference to forget it.
    pub(super) fn is_needed(&self, now: Instant) -> bool {
        self.connections > 0 || self.unproved > 0 || self.spent.0.is_some_and(|until| now < until)
    }

    fn count(&mut self, quota: &Quota, now: Instant) {
        self.connections += 1;
        self.spent.take(quota.connects, now);
    }
}

impl Spent {
    /// Returns whether `count` more are within the rate.
    fn has_room(&self, rate: Rate, count: usize, now: Instant) -> bool {
        let Some(one) = interval(rate) else {
            return true;
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let until = self.from(now) + one.saturating_mul(count);

        until.saturating_duration_since(now) <= one.saturating_mul(u32_of(rate.burst))
    }

    /// Takes one off the rate.
    fn take(&mut self, rate: Rate, now: Instant) {
        if let Some(one) = interval(rate) {
            self.0 = Some(self.from(now) + one);
        }
    }

    fn from(&self, now: Instant) -> Instant {
        self.0.map_or(now, |until| until.max(now))
    }
}

/// Returns the time in which one of `rate` is earned, unless there is no limit.
fn interval(rate: Rate) -> Option<Duration> {
    Duration::from_secs(1).checked_div(u32_of(rate.per_second))
}

fn u32_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let now = Instant::now();
        let mut share = Share::default();
        assert!(!share.is_needed(now));

        share.enter(&quota, true, now);
        share.leave(PendingConnection {
            remote: (std::net::Ipv4Addr::LOCALHOST, 1).into(),
            was_validated: true,
            is_connected: true,
        });

        assert!(share.is_needed(now));
        assert!(!share.is_needed(now + Duration::from_millis(100)));
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
        let now = Instant::now();
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
