//! Which stations were seen on a room's LAN.

use std::time::{Duration, Instant};

use lanparty_bounds::AgeingMap;
use lanparty_proto::MacAddr;

/// How long a silent LAN station is remembered (IEEE 802.1Q-2018, 8.8.3: the default ageing time).
const LIFETIME: Duration = Duration::from_mins(5);

/// How many stations of one LAN are remembered: the largest parties have 3,000 slots. With map overhead about 150 KiB.
const MAX_STATIONS: usize = 4096;

/// Which stations were seen on a room's LAN.
///
/// A client's frame for one of them is known unicast, which no rate limits; for any other it is
/// unknown. A table full of fresh stations learns no more: a hostile LAN cannot push out the server
/// that everybody plays on.
#[derive(Debug, Default)]
pub(crate) struct Stations {
    seen: AgeingMap<MacAddr, (), MAX_STATIONS>,
}

impl Stations {
    /// Remembers that `mac` sent a frame.
    pub(crate) fn learn(&mut self, mac: MacAddr, now: Instant) {
        let expires = now + LIFETIME;
        if !self.seen.refresh(&mac, expires) {
            self.seen.insert(mac, (), expires, now);
        }
    }

    /// Returns whether `mac` was seen on the LAN lately.
    pub(crate) fn knows(&self, mac: MacAddr, now: Instant) -> bool {
        self.seen.contains(&mac, now)
    }

    /// Gives every station that was seen lately.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = MacAddr> + '_ {
        self.seen.iter(now).map(|(mac, ())| *mac)
    }

    /// Forgets every station, when the LAN's gateway has left.
    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }

    /// Returns how many stations are remembered.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
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
