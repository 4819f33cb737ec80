//! The groups that the door remembers, bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::group::Group;
use super::share::Share;

/// The most addresses and networks that are remembered. With 120 bytes each this is 7.5 MiB.
pub(super) const MAX_GROUPS: usize = 65_536;

/// How often the table is searched for groups that can be forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of everybody.
#[derive(Debug, Default)]
pub(super) struct Table {
    groups: BTreeMap<Group, Known>,
    swept: Option<Instant>,
}

/// What is known of a group.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) share: Share,
    /// Until when it is refused.
    pub(super) refused_until: Option<Instant>,
}

impl Known {
    /// Returns whether it is refused.
    pub(super) fn is_refused(&self, now: Instant) -> bool {
        self.refused_until.is_some_and(|until| now < until)
    }
}

impl Table {
    /// Returns what is known of a group.
    pub(super) fn get(&self, group: Group) -> Option<&Known> {
        self.groups.get(&group)
    }

    /// Returns what is known of a group, to change it.
    pub(super) fn get_mut(&mut self, group: Group) -> Option<&mut Known> {
        self.groups.get_mut(&group)
    }

    /// Returns what is known of a group, which is remembered from now on.
    pub(super) fn remember(&mut self, group: Group) -> &mut Known {
        self.groups.entry(group).or_default()
    }

    /// Returns whether `groups` can be remembered.
    pub(super) fn has_room(&mut self, groups: &[Group], now: Instant) -> bool {
        let new = groups
            .iter()
            .filter(|group| !self.groups.contains_key(group))
            .count();
        if new > 0 && self.groups.len() + new > MAX_GROUPS {
            self.sweep(now);
        }

        new == 0 || self.groups.len() + new <= MAX_GROUPS
    }

    /// Forgets groups that have no connection and nothing against them.
    fn sweep(&mut self, now: Instant) {
        let is_due = self
            .swept
            .is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_INTERVAL);
        if is_due {
            self.swept = Some(now);
            self.groups
                .retain(|_, known| known.share.is_needed(now) || known.is_refused(now));
        }
    }

    /// Returns how many groups are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
}
