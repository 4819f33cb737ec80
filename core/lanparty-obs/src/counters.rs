//! Counters of a member or a relay.

use std::collections::BTreeMap;

use crate::DropReason;

/// Frames and their bytes, one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many frames.
    pub frames: u64,
    /// How many bytes they had, without FCS.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one frame of `len` bytes.
    pub const fn add(&mut self, len: usize) {
        self.add_many(1, len);
    }

    /// Counts `frames` frames with `len` bytes together.
    pub const fn add_many(&mut self, frames: usize, len: usize) {
        self.frames = self.frames.wrapping_add(frames as u64);
        self.bytes = self.bytes.wrapping_add(len as u64);
    }
}

/// Drops by reason. Holds at most one entry for each reason there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drops(BTreeMap<DropReason, u64>);

impl Drops {
    /// Counts one drop.
    pub fn add(&mut self, reason: DropReason) {
        self.add_many(reason, 1);
    }

    /// Counts `count` drops.
    pub fn add_many(&mut self, reason: DropReason, count: u64) {
        if count > 0 {
            let total = self.0.entry(reason).or_default();
            *total = total.wrapping_add(count);
        }
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (reason, count) in other.iter() {
            self.add_many(reason, count);
        }
    }

    /// Returns how often `reason` was counted.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    /// Returns how many drops there were.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Gives every reason that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }
}

/// What a member counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames from the TAP or LAN that went to the relay.
    pub up: Traffic,
    /// Frames from the relay that went to the TAP or LAN.
    pub down: Traffic,
    /// Broadcast and multicast frames among `down`: whether the party can be heard.
    pub broadcast_down: u64,
    /// What was dropped on the way up.
    pub drops_up: Drops,
    /// What was dropped on the way down.
    pub drops_down: Drops,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_drops_by_reason_and_together() {
        let mut drops = Drops::default();
        drops.add(DropReason::QueueFull);
        drops.add_many(DropReason::OwnFrame, 2);
        let mut sum = drops.clone();
        sum.merge(&drops);

        assert_eq!(drops.get(DropReason::OwnFrame), 2);
        assert_eq!(drops.get(DropReason::NoGateway), 0);
        assert_eq!(sum.total(), 6);
    }
}
