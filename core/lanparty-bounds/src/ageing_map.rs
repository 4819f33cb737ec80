//! A map whose entries expire.

use std::collections::BTreeMap;
use std::time::Instant;

/// A map of at most `CAPACITY` entries, each with a deadline. An entry is there before its
/// deadline and gone from its deadline on.
///
/// The caller chooses what a full map does with a new key: [`AgeingMap::insert`] refuses it, and
/// [`AgeingMap::insert_evicting`] forgets the entry that would expire first. Refuse where a crowd
/// of new keys must not push out the old ones; evict where the newest matter most.
///
/// Memory is freed by [`AgeingMap::expire`], which inserting into a full map calls by itself. It
/// looks at entries only if one can have expired: a full map of fresh entries refuses cheaply.
///
/// ```
/// # use std::time::{Duration, Instant};
/// use lanparty_bounds::AgeingMap;
///
/// # let now = Instant::now();
/// let mut seen: AgeingMap<&str, u16, 2> = AgeingMap::default();
/// let minute = Duration::from_secs(60);
///
/// assert!(seen.insert("alice", 1, now + minute, now));
/// assert!(seen.insert("bob", 2, now + 2 * minute, now));
/// assert!(!seen.insert("carol", 3, now + minute, now), "the map is full");
/// assert_eq!(seen.get(&"alice", now), Some(&1));
///
/// let later = seen.poll_timeout().unwrap();
/// assert_eq!(seen.get(&"alice", later), None);
/// assert!(seen.insert("carol", 3, later + minute, later), "alice's entry has expired");
/// ```
#[derive(Debug, Clone)]
pub struct AgeingMap<K, V, const CAPACITY: usize> {
    entries: BTreeMap<K, Entry<V>>,
    /// No entry expires before this.
    first_expiry: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Entry<V> {
    value: V,
    expires: Instant,
}

impl<K, V, const CAPACITY: usize> Default for AgeingMap<K, V, CAPACITY> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            first_expiry: None,
        }
    }
}

impl<K: Ord + Clone, V, const CAPACITY: usize> AgeingMap<K, V, CAPACITY> {
    /// Remembers `value` until `expires`, in place of what the key had. Returns `false` if the key
    /// is new and the map is full.
    pub fn insert(&mut self, key: K, value: V, expires: Instant, now: Instant) -> bool {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(&key) {
            self.expire(now);
            if self.entries.len() >= CAPACITY {
                return false;
            }
        }
        self.put(key, value, expires);

        true
    }

    /// Remembers `value` until `expires`, in place of what the key had. If the key is new and the
    /// map is full, the entry that expires first goes for it.
    pub fn insert_evicting(&mut self, key: K, value: V, expires: Instant, now: Instant) {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(&key) {
            self.expire(now);
            if self.entries.len() >= CAPACITY {
                let first = self.entries.iter().min_by_key(|(_, entry)| entry.expires);
                if let Some(first) = first.map(|(key, _)| key.clone()) {
                    self.entries.remove(&first);
                }
            }
        }
        self.put(key, value, expires);
    }

    fn put(&mut self, key: K, value: V, expires: Instant) {
        self.note_expiry(expires);
        self.entries.insert(key, Entry { value, expires });
    }

    fn note_expiry(&mut self, expires: Instant) {
        self.first_expiry = Some(self.first_expiry.map_or(expires, |at| at.min(expires)));
    }

    /// Moves the deadline of a key, whether or not it has passed. Returns `false` if the map does
    /// not hold the key.
    pub fn refresh(&mut self, key: &K, expires: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        let is_earlier = expires < entry.expires;
        entry.expires = expires;
        if is_earlier {
            self.note_expiry(expires);
        }

        true
    }

    /// Returns what a key has, unless that has expired.
    pub fn get(&self, key: &K, now: Instant) -> Option<&V> {
        let entry = self.entries.get(key)?;

        (entry.expires > now).then_some(&entry.value)
    }

    /// Returns what a key has, to change it, unless that has expired.
    pub fn get_mut(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;

        (entry.expires > now).then_some(&mut entry.value)
    }

    /// Returns when a key expires, unless it has.
    pub fn expiry_of(&self, key: &K, now: Instant) -> Option<Instant> {
        let entry = self.entries.get(key)?;

        (entry.expires > now).then_some(entry.expires)
    }

    /// Returns whether the map has a key that has not expired.
    pub fn contains(&self, key: &K, now: Instant) -> bool {
        self.expiry_of(key, now).is_some()
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.first_expiry = None;
    }

    /// Gives what has not expired, in the order of the keys.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.entries.iter();

        entries.filter_map(move |(key, entry)| (entry.expires > now).then_some((key, &entry.value)))
    }

    /// Gives what has not expired, to change it, in the order of the keys.
    pub fn iter_mut(&mut self, now: Instant) -> impl Iterator<Item = (&K, &mut V)> {
        let entries = self.entries.iter_mut();

        entries.filter_map(move |(key, entry)| {
            (entry.expires > now).then_some((key, &mut entry.value))
        })
    }

    /// Returns how many entries are held, those included that have expired and were not cleared.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no entry is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns an instant no later than the first deadline: [`Self::expire`] has nothing to do
    /// before it.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.first_expiry
    }

    /// Forgets what has expired.
    pub fn expire(&mut self, now: Instant) {
        if self.first_expiry.is_none_or(|first| first > now) {
            return;
        }
        self.entries.retain(|_, entry| entry.expires > now);
        self.first_expiry = self.entries.values().map(|entry| entry.expires).min();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    type Map = AgeingMap<u8, u8, 3>;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    /// A full map whose keys 1, 2 and 3 expire after 2, 1 and 3 seconds.
    fn full(now: Instant) -> Map {
        let mut map = Map::default();
        for (key, seconds) in [(1, 2), (2, 1), (3, 3)] {
            assert!(map.insert(key, key, now + SECOND * seconds, now));
        }

        map
    }

    #[test]
    fn a_full_map_refuses_a_new_key_until_one_has_expired() {
        let now = start();
        let mut map = full(now);

        assert!(!map.insert(4, 4, now + SECOND * 9, now));
        assert!(
            map.insert(1, 9, now + SECOND * 2, now),
            "a known key passes"
        );
        let later = now + SECOND;
        assert!(map.insert(4, 4, later + SECOND, later));
        let keys: Vec<_> = map.iter(later).map(|(key, value)| (*key, *value)).collect();
        assert_eq!(keys, [(1, 9), (3, 3), (4, 4)]);
    }

    #[test]
    fn a_full_map_that_evicts_forgets_what_expires_first() {
        let now = start();
        let mut map = full(now);
        map.insert_evicting(4, 4, now + SECOND * 9, now);

        assert_eq!(map.len(), 3);
        assert!(!map.contains(&2, now));
        assert!(map.contains(&4, now));
    }

    #[test]
    fn an_entry_is_gone_from_its_deadline_on_and_can_be_refreshed() {
        let now = start();
        let mut map = full(now);
        assert_eq!(map.expiry_of(&2, now), Some(now + SECOND));
        assert!(map.refresh(&2, now + SECOND * 2));
        assert!(!map.refresh(&7, now + SECOND * 2));

        let (just_before, later) = (now + Duration::from_nanos(1_999_999_999), now + SECOND * 2);
        assert_eq!(map.get(&2, just_before), Some(&2));
        assert_eq!(map.get(&2, later), None);
        assert_eq!(map.get_mut(&2, later), None);
        assert_eq!(map.iter_mut(later).count(), 1);
    }

    #[test]
    fn the_timeout_is_never_after_a_deadline_and_nothing_is_left_after_the_last() {
        let now = start();
        let mut map = full(now);
        assert!(
            map.refresh(&3, now + SECOND / 2),
            "a deadline that comes closer"
        );
        let mut expired = 0;
        while let Some(at) = map.poll_timeout() {
            let before = map.len();
            map.expire(at);
            expired += before - map.len();
            assert!(map.iter(at).count() == map.len());
        }

        assert_eq!(expired, 3);
        assert!(map.is_empty());
    }

    #[test]
    fn what_is_removed_or_cleared_is_gone() {
        let now = start();
        let mut map = full(now);
        map.remove(&1);
        assert!(!map.contains(&1, now));
        map.clear();

        assert!(map.is_empty());
        assert_eq!(map.poll_timeout(), None);
    }
}
