//! What always holds, for any sequence.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_bounds::{AgeingMap, Rate, TokenBucket};
use proptest::prelude::*;

const CAPACITY: usize = 4;

#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn start() -> Instant {
    Instant::now()
}

/// Rates that divide a second, rates that do not, and rates of several tokens a nanosecond.
fn rates() -> impl Strategy<Value = Rate> {
    let per_second = prop_oneof![
        1..10_u64,
        Just(64),
        Just(312_500_000),
        3_000_000_000..u64::from(u32::MAX)
    ];

    (per_second, 0..5000_u64).prop_map(|(per_second, burst)| Rate { per_second, burst })
}

/// Pauses in nanoseconds, and amounts.
fn takes() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pause = prop_oneof![Just(0), 0..10_u64, 0..2_000_000_000_u64];

    prop::collection::vec((pause, 0..2000_u64), 1..200)
}

/// A deadline in milliseconds from now, a pause, a key, and whether a full map evicts.
fn inserts() -> impl Strategy<Value = Vec<(u64, u64, u8, bool)>> {
    prop::collection::vec((0..50_u64, 0..20_u64, 0..8_u8, any::<bool>()), 1..200)
}

proptest! {
    #[test]
    fn never_more_than_burst_plus_rate_times_time(rate in rates(), takes in takes()) {
        let mut bucket = TokenBucket::default();
        let (mut now, mut given, mut passed) = (start(), 0_u128, 0_u128);
        for (pause, amount) in takes {
            now += Duration::from_nanos(pause);
            passed += u128::from(pause);
            if bucket.take(rate, amount, now) {
                given += u128::from(amount);
            }

            let most = u128::from(rate.burst) * 1_000_000_000 + u128::from(rate.per_second) * passed;
            prop_assert!(given * 1_000_000_000 <= most);
        }
    }

    #[test]
    fn what_the_rate_allows_is_given(rate in rates(), takes in takes()) {
        // The same in whole tokens times nanoseconds, counted upwards.
        let full = u128::from(rate.burst) * 1_000_000_000;
        let mut bucket = TokenBucket::default();
        let (mut now, mut left) = (start(), full);
        for (pause, amount) in takes {
            now += Duration::from_nanos(pause);
            left = (left + u128::from(rate.per_second) * u128::from(pause)).min(full);
            let cost = u128::from(amount) * 1_000_000_000;

            prop_assert_eq!(bucket.has(rate, amount, now), cost <= left);
            prop_assert_eq!(bucket.is_full(rate, now), left == full);
            prop_assert_eq!(bucket.take(rate, amount, now), cost <= left);
            if cost <= left {
                left -= cost;
            }
        }
    }

    #[test]
    fn an_ageing_map_is_a_map_of_what_has_not_expired(inserts in inserts()) {
        let mut map: AgeingMap<u8, usize, CAPACITY> = AgeingMap::default();
        let mut model: BTreeMap<u8, (usize, Instant)> = BTreeMap::new();
        let mut now = start();
        for (number, (lifetime, pause, key, evicts)) in inserts.into_iter().enumerate() {
            now += Duration::from_millis(pause);
            let expires = now + Duration::from_millis(lifetime);
            model.retain(|_, (_, until)| *until > now);
            // Expired keys are told by the map only once it clears them.
            map.expire(now);
            if evicts && model.len() >= CAPACITY && !model.contains_key(&key) {
                let first = model.iter().min_by_key(|(_, (_, until))| *until);
                let first = first.map(|(key, _)| *key);
                model.remove(&first.unwrap());
            }
            if evicts {
                map.insert_evicting(key, number, expires, now);
            } else {
                let has_room = model.len() < CAPACITY || model.contains_key(&key);
                prop_assert_eq!(map.insert(key, number, expires, now), has_room);
            }
            if model.len() < CAPACITY || model.contains_key(&key) {
                model.insert(key, (number, expires));
            }

            prop_assert!(map.len() <= CAPACITY);
            let first = model.values().map(|(_, until)| *until).min();
            prop_assert!(map.poll_timeout() <= first || first.is_none());
            model.retain(|_, (_, until)| *until > now);
            let found: Vec<_> = map.iter(now).map(|(key, value)| (*key, *value)).collect();
            let expected: Vec<_> = model.iter().map(|(key, (value, _))| (*key, *value)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
