//! Clients that are kept out for a while because they close a loop.

use std::time::{Duration, Instant};

use lanparty_bounds::AgeingMap;
use lanparty_proto::MacAddr;

/// The first block of a client.
const FIRST_BLOCK: Duration = Duration::from_mins(1);

/// The longest block; each is twice the last.
const LONGEST_BLOCK: Duration = Duration::from_mins(10);

/// How long after its block a client must have been good for its next to be a first one.
const FORGIVEN: Duration = Duration::from_mins(30);

/// How many clients have a record: more than a room has by default.
const MAX_RECORDS: usize = 256;

/// A client's block, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SavedBlock {
    /// The client's MAC, printed.
    client: String,
    /// How long the block was, in seconds: the next may be twice as long.
    lasting: u64,
    /// How much of it is left, in milliseconds. Less than nothing if it is over.
    left_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    until: Instant,
    lasting: Duration,
    is_told_over: bool,
}

/// Who is blocked, or was and is not forgiven.
///
/// A record stays until its client is forgiven. A full table forgets the record whose block ends,
/// or ended, first.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    records: AgeingMap<MacAddr, Record, MAX_RECORDS>,
}

impl Blocks {
    /// Blocks a client. Returns for how long, or `None` if it is blocked already.
    pub(crate) fn block(&mut self, mac: MacAddr, now: Instant) -> Option<Duration> {
        if self.is_blocked(mac, now) {
            return None;
        }
        let lasting = match self.records.get(&mac, now) {
            Some(record) => (record.lasting * 2).min(LONGEST_BLOCK),
            None => FIRST_BLOCK,
        };
        let record = Record {
            until: now + lasting,
            lasting,
            is_told_over: false,
        };
        self.remember(mac, record, now);

        Some(lasting)
    }

    fn remember(&mut self, mac: MacAddr, record: Record, now: Instant) {
        let forgiven = record.until + FORGIVEN;
        self.records.insert_evicting(mac, record, forgiven, now);
    }

    /// Returns who is blocked, or was and is not forgiven, as plain data.
    pub(crate) fn save(&self, now: Instant) -> Vec<SavedBlock> {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let records = self.records.iter(now);

        records
            .map(|(mac, record)| SavedBlock {
                client: mac.to_string(),
                lasting: record.lasting.as_secs(),
                left_ms: millis(record.until.saturating_duration_since(now))
                    - millis(now.saturating_duration_since(record.until)),
            })
            .collect()
    }

    /// Takes over who is blocked, as far as the text is valid. A client that is
    /// blocked here already stays so for the longer time.
    pub(crate) fn restore(&mut self, blocks: &[SavedBlock], now: Instant) {
        for saved in blocks.iter().take(MAX_RECORDS) {
            let Ok(mac) = saved.client.parse::<MacAddr>() else {
                continue;
            };
            let lasting = Duration::from_secs(saved.lasting).min(LONGEST_BLOCK);
            let time = Duration::from_millis(saved.left_ms.unsigned_abs());
            let until = if saved.left_ms > 0 {
                now.checked_add(time.min(lasting))
            } else {
                now.checked_sub(time)
            };
            let known = self.records.get(&mac, now).map(|record| record.until);
            let Some(until) = until.filter(|until| known.is_none_or(|known| known < *until)) else {
                continue;
            };
            let record = Record {
                until,
                lasting,
                is_told_over: saved.left_ms <= 0,
            };
            self.remember(mac, record, now);
        }
    }

    /// Returns until when a client is blocked.
    pub(crate) fn blocked_until(&self, mac: MacAddr, now: Instant) -> Option<Instant> {
        let record = self.records.get(&mac, now)?;

        (record.until > now).then_some(record.until)
    }

    /// Returns whether a client is blocked.
    #[inline]
    pub(crate) fn is_blocked(&self, mac: MacAddr, now: Instant) -> bool {
        !self.records.is_empty() && self.blocked_until(mac, now).is_some()
    }

    /// Gives a client whose block has ended since the last call.
    pub(crate) fn take_over(&mut self, now: Instant) -> Option<MacAddr> {
        let mut records = self.records.iter_mut(now);
        let (&mac, record) =
            records.find(|(_, record)| record.until <= now && !record.is_told_over)?;
        record.is_told_over = true;

        Some(mac)
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
        Instant::now() + Duration::from_hours(1)
    }

    fn mac(number: usize) -> MacAddr {
        let [.., a, b] = number.to_be_bytes();
        MacAddr([2, 0, 0, 0, a, b])
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_block_goes_on_in_the_next_process_and_ends_when_it_would_have() {
        let (mut old, mut new, now) = (Blocks::default(), Blocks::default(), start());
        assert_eq!(old.block(mac(1), now), Some(MINUTE));

        let later = now + Duration::from_secs(20);
        new.restore(&old.save(later), later);
        // Once when it begins, and once when the other has left.
        new.restore(&old.save(later), later);

        let (just_before, end) = (now + Duration::from_millis(59_999), now + MINUTE);
        assert!(new.is_blocked(mac(1), just_before));
        assert_eq!(new.take_over(just_before), None);
        assert!(!new.is_blocked(mac(1), end));
        assert_eq!(new.take_over(end), Some(mac(1)), "it is told once");
        assert_eq!(new.take_over(end), None);
    }

    #[test]
    fn who_was_blocked_before_is_blocked_for_longer_by_the_next_process() {
        let (mut old, mut new, now) = (Blocks::default(), Blocks::default(), start());
        old.block(mac(1), now);
        let later = now + 2 * MINUTE;
        new.restore(&old.save(later), later);

        assert!(!new.is_blocked(mac(1), later));
        assert_eq!(new.take_over(later), None, "the old one has told");
        assert_eq!(new.block(mac(1), later), Some(2 * MINUTE));
        let forgiven = later + 2 * MINUTE + FORGIVEN;
        assert_eq!(new.save(forgiven), []);
    }

    #[test]
    fn what_is_handed_over_blocks_nobody_for_longer_than_any_block_and_fills_no_memory() {
        let (mut new, now) = (Blocks::default(), start());
        let saved = |number: usize| SavedBlock {
            client: mac(number).to_string(),
            lasting: u64::MAX,
            left_ms: i64::MAX,
        };
        let nobody = SavedBlock {
            client: "nobody".into(),
            ..saved(0)
        };
        let ancient = SavedBlock {
            left_ms: i64::MIN,
            ..saved(1)
        };
        new.restore(&[nobody, ancient], now);
        new.restore(&(2..1000).map(saved).collect::<Vec<_>>(), now);

        assert!(new.records.len() <= MAX_RECORDS);
        assert!(new.is_blocked(mac(2), now));
        assert!(!new.is_blocked(mac(2), now + LONGEST_BLOCK));
    }
}
