//! How much the LAN may say to a room.

use std::time::Instant;

use lanparty_bounds::{Rate, TokenBucket};

/// Broadcast and multicast frames from the LAN: 512 a second, and 96 at once.
///
/// A LAN of a hundred PCs has some fifty a second; at full size 512 are 6 Mbit/s, which is what a
/// DSL line can bear for a moment. The burst bounds what goes round in a loop before the loop is
/// found: at most 200 frames if that takes a fifth of a second.
const BROADCASTS: Rate = Rate {
    per_second: 512,
    burst: 96,
};

/// Beyond 32 at once and 250 a second there may be a loop, and probes go out at once: five times
/// what a large LAN says at rest.
const CALM: Rate = Rate {
    per_second: 250,
    burst: 32,
};

/// The rates of broadcast and multicast frames from the LAN.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    broadcasts: TokenBucket,
    calm: TokenBucket,
}

impl Limits {
    /// Counts a frame, and returns whether there are so many that there may be a loop.
    pub(crate) fn is_suspicious(&mut self, now: Instant) -> bool {
        !self.calm.take(CALM, 1, now)
    }

    /// Counts a frame, and returns whether it may pass.
    pub(crate) fn allow_broadcast(&mut self, now: Instant) -> bool {
        self.broadcasts.take(BROADCASTS, 1, now)
    }
}
