//! The addresses and networks that admission control remembers, bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::group::Group;
use super::share::{Quota, Share};

/// The most addresses and networks that are remembered. With 120 bytes each this is 7.5 MiB.
pub const MAX_GROUPS: usize = 65_536;

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
    /// Until when it is banned.
    pub(super) banned_until: Option<Instant>,
}

impl Known {
    /// Returns whether it is banned.
    pub(super) fn is_banned(&self, now: Instant) -> bool {
        self.banned_until.is_some_and(|until| now < until)
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

    /// Returns whether an address and its network can be remembered.
    pub(super) fn has_room(&mut self, groups: &[(Group, Quota); 2], now: Instant) -> bool {
        let is_new = |(group, _): &&(Group, Quota)| !self.groups.contains_key(group);
        let new = groups.iter().filter(is_new).count();
        if new > 0 && self.groups.len() + new > MAX_GROUPS {
            self.sweep(groups, now);
        }

        new == 0 || self.groups.len() + new <= MAX_GROUPS
    }

    /// Forgets groups that have no connection and nothing against them.
    fn sweep(&mut self, [(_, address), (_, network)]: &[(Group, Quota); 2], now: Instant) {
        let is_due = self
            .swept
            .is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_INTERVAL);
        if is_due {
            self.swept = Some(now);
            self.groups.retain(|group, known| {
                let quota = match group {
                    Group::Address(_) => address,
                    Group::Network(_) => network,
                };

                known.share.is_needed(quota, now) || known.is_banned(now)
            });
        }
    }

    /// Returns how many groups are remembered.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
}
