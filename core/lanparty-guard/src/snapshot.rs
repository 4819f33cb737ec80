//! What a gateway keeps over a restart.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;

use crate::event::{Origin, Role};
use crate::member::{Binding, Member};
use crate::{EXPIRY_INTERVAL, Guard, Presence};

/// The bindings and protected addresses of a [`Guard`], as plain data.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// The members' addresses.
    pub bindings: Vec<SavedBinding>,
    /// The protected addresses that were learnt.
    pub protected: Vec<SavedProtection>,
}

/// A member's address.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedBinding {
    /// The member's MAC, printed.
    pub member: String,
    /// The address.
    pub address: IpAddr,
    /// How the member came to it.
    pub origin: Origin,
    /// How long it was still to last, in seconds.
    pub seconds_left: u64,
}

/// A protected address.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedProtection {
    /// The address.
    pub address: IpAddr,
    /// What it is protected for.
    pub role: Role,
}

impl Guard {
    /// Returns what should outlive this process.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let bindings = self.members.iter().flat_map(|(mac, (member, _))| {
            member
                .bindings()
                .iter()
                .filter(|binding| binding.until > now)
                .map(|binding| SavedBinding {
                    member: mac.to_string(),
                    address: binding.address,
                    origin: binding.origin,
                    seconds_left: binding.until.saturating_duration_since(now).as_secs(),
                })
        });
        let protected = self
            .lan
            .learnt()
            .map(|(address, role)| SavedProtection { address, role });

        Snapshot {
            bindings: bindings.collect(),
            protected: protected.collect(),
        }
    }

    /// Takes over what a snapshot holds, as far as its text is valid and there is room.
    ///
    /// The members in it count as having left until [`Self::handle_joined`] says otherwise. Time that passed without a
    /// gateway does not shorten the bindings, which errs on the safe side.
    pub fn restore(&mut self, snapshot: &Snapshot, now: Instant) {
        for saved in &snapshot.protected {
            self.lan.protect(saved.address, saved.role, now);
        }
        for saved in &snapshot.bindings {
            let Ok(mac) = saved.member.parse::<MacAddr>() else {
                continue;
            };
            // A lease time has 32 bits; a file may hold anything.
            let seconds = saved.seconds_left.min(u32::MAX.into());
            let is_taken = self.holder(saved.address, now).is_some()
                || self.lan.role_of(saved.address, now).is_some();
            if is_taken || (!self.members.contains_key(&mac) && !self.make_room()) {
                continue;
            }
            let (member, _) = self
                .members
                .entry(mac)
                .or_insert_with(|| (Member::default(), Presence::Left));
            member.bind(
                Binding {
                    address: saved.address,
                    origin: saved.origin,
                    until: now + Duration::from_secs(seconds),
                    firm: now,
                },
                now,
            );
        }
        self.next_expiry.get_or_insert(now + EXPIRY_INTERVAL);
    }
}
