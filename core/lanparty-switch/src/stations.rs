//! Which stations were seen on a room's LAN.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;

/// How long a silent LAN station is remembered (IEEE 802.1Q-2018, 8.8.3: the default ageing time).
const LIFETIME: Duration = Duration::from_mins(5);

/// How many stations of one LAN are remembered: the largest parties have 3,000 seats. With map overhead about 150 KiB.
const MAX_STATIONS: usize = 4096;

/// How often a full table is searched for stations that are too old.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Which stations were seen on a room's LAN.
///
/// A client's frame for one of them is known unicast, which no rate limits; for any other it is unknown. A table full of fresh
/// stations learns no more: a hostile LAN cannot push out the server that everybody plays on.
#[derive(Debug, Default)]
pub(crate) struct Stations {
    seen: BTreeMap<MacAddr, Instant>,
    swept: Option<Instant>,
}

impl Stations {
    /// Remembers that `mac` sent a frame.
    pub(crate) fn learn(&mut self, mac: MacAddr, now: Instant) {
        if let Some(seen) = self.seen.get_mut(&mac) {
            *seen = now;
            return;
        }
        if self.seen.len() >= MAX_STATIONS {
            self.sweep(now);
        }
        if self.seen.len() < MAX_STATIONS {
            self.seen.insert(mac, now);
        }
    }

    /// Returns whether `mac` was seen on the LAN lately.
    pub(crate) fn knows(&self, mac: MacAddr, now: Instant) -> bool {
        self.seen
            .get(&mac)
            .is_some_and(|seen| now.saturating_duration_since(*seen) < LIFETIME)
    }

    /// Gives every station that was seen lately.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = MacAddr> + '_ {
        let is_fresh = move |seen: Instant| now.saturating_duration_since(seen) < LIFETIME;

        (self.seen.iter()).filter_map(move |(mac, seen)| is_fresh(*seen).then_some(*mac))
    }

    /// Forgets every station, when the LAN's gateway has left.
    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }

    /// Returns how many stations are remembered.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    fn sweep(&mut self, now: Instant) {
        let due = self
            .swept
            .is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_INTERVAL);
        if due {
            self.swept = Some(now);
            self.seen
                .retain(|_, seen| now.saturating_duration_since(*seen) < LIFETIME);
        }
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

    fn mac(number: u32) -> MacAddr {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddr([0, 0, a, b, c, d])
    }

    #[test]
    fn a_full_table_keeps_what_it_has_and_learns_again_when_stations_fall_silent() {
        let now = start();
        let mut stations = Stations::default();
        for number in 0..5000 {
            stations.learn(mac(number), now);
        }
        assert_eq!(stations.len(), MAX_STATIONS);
        assert!(stations.knows(mac(0), now));
        assert!(!stations.knows(mac(4999), now));

        let later = now + LIFETIME;
        stations.learn(mac(4999), later);

        assert!(!stations.knows(mac(0), later));
        assert!(stations.knows(mac(4999), later));
    }
}
