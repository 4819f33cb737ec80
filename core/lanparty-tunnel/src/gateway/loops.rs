//! Loops: finding who closes one, and keeping them out for a while.
//!
//! Every second a client gets a probe through the tunnel and sends it out of its TAP. A bridge between that TAP and this LAN, over
//! whatever else joins them, brings the probe back to the LAN port, and the probe says through whom. Signs of presence go out of
//! the LAN port as often, and tell gateways of each other.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::time::{Duration, Instant};

use lanparty_proto::probe::{Probe, ProbeKind};
use lanparty_proto::{Frame, MacAddr, PeerId};
use lanparty_session::Neighbor;
use siphasher::sip::SipHasher24;

/// How often probes go out: a loop is found within this and one round trip.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The least time between probes when a storm asks for one at once: about the longest round trip to a player.
const HURRY: Duration = Duration::from_millis(50);

/// How many probes back one may still be believed: a frame is in no queue for longer.
const FRESH: u64 = 16;

/// The first block of a client.
const FIRST_BLOCK: Duration = Duration::from_mins(1);

/// The longest block; each is twice the last.
const LONGEST_BLOCK: Duration = Duration::from_mins(10);

/// How long after its block a client must have been good for its next to be a first one.
const FORGIVEN: Duration = Duration::from_mins(30);

/// How many clients have a record: more than a room has by default.
const MAX_RECORDS: usize = 256;

/// How often the operator is told the same about the LAN.
const QUIET: Duration = Duration::from_mins(10);

/// The keys of probes.
#[derive(Clone, Copy)]
pub struct ProbeKeys {
    /// Drawn at random at the start: nobody else can make a probe that names a client.
    pub own: [u8; 16],
    /// Equal for all gateways of a room, made of its code: tells gateways of the same room.
    pub room: [u8; 16],
    /// Drawn at random at the start: tells gateways from each other.
    pub instance: u64,
}

impl ProbeKeys {
    /// Makes the keys of a room from random bits and the room's code.
    pub fn new(random: [u64; 2], instance: u64, room: &str) -> Self {
        let half = |key: &[u8; 16]| {
            let mut hasher = SipHasher24::new_with_key(key);
            hasher.write(room.as_bytes());
            hasher.finish()
        };

        Self {
            own: key_of(random),
            room: key_of([half(b"softlan presence"), half(b"softlan room key")]),
            instance,
        }
    }

    fn tag(&self, probe: &Probe) -> u64 {
        let key = match probe.kind {
            ProbeKind::Tunnel => &self.own,
            ProbeKind::Presence | ProbeKind::Leaving => &self.room,
            ProbeKind::Blocked => return 0,
        };
        let mut hasher = SipHasher24::new_with_key(key);
        hasher.write(&probe.tagged());

        hasher.finish()
    }

    /// Returns whether a frame of the LAN is a sign of presence, and of whom.
    pub fn presence_of(&self, frame: &Frame<'_>) -> Option<Presence> {
        let probe = Probe::parse(frame)?;

        (probe.kind == ProbeKind::Presence).then(|| self.sender_of(&probe))
    }

    /// Returns whether a frame of the LAN is a sign of another gateway of the same room.
    pub(crate) fn neighbor_of(&self, frame: &Frame<'_>) -> Option<Neighbor> {
        let probe = Probe::parse(frame)?;
        let is_sign = matches!(probe.kind, ProbeKind::Presence | ProbeKind::Leaving);

        (is_sign && self.sender_of(&probe) == Presence::SameRoom).then(|| Neighbor {
            source: frame.source(),
            is_leaving: probe.kind == ProbeKind::Leaving,
        })
    }

    fn sender_of(&self, probe: &Probe) -> Presence {
        match probe.instance == self.instance {
            _ if probe.tag != self.tag(probe) => Presence::OtherRoom,
            true => Presence::Ourselves,
            false => Presence::SameRoom,
        }
    }
}

fn key_of([high, low]: [u64; 2]) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

impl std::fmt::Debug for ProbeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProbeKeys").finish_non_exhaustive()
    }
}

/// Which gateway is on this LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// This one: the LAN gives back what it is told.
    Ourselves,
    /// Another one of the same room.
    SameRoom,
    /// One of another room.
    OtherRoom,
}

/// What a probe on the LAN says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A probe came back that went out through this client.
    Returned(PeerId),
    /// A gateway is here, and nobody was told yet.
    Presence(Presence),
    /// Nothing that matters.
    Nothing,
}

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

/// Probes and blocks.
#[derive(Debug)]
pub(crate) struct Loops {
    keys: ProbeKeys,
    number: u64,
    due: Option<Instant>,
    last: Option<Instant>,
    records: BTreeMap<MacAddr, Record>,
    told: [Option<Instant>; 3],
}

impl Loops {
    pub(crate) const fn new(keys: ProbeKeys) -> Self {
        Self {
            keys,
            number: 0,
            due: None,
            last: None,
            records: BTreeMap::new(),
            told: [None; 3],
        }
    }

    pub(crate) const fn keys(&self) -> &ProbeKeys {
        &self.keys
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Takes whether there is a place in the room.
    pub(crate) fn set_active(&mut self, active: bool, now: Instant) {
        self.due = active.then(|| self.due.unwrap_or(now));
    }

    /// Asks for probes at once, because there is a storm.
    pub(crate) fn hurry(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| last + HURRY);
        self.due = self.due.map(|due| due.min(soonest));
    }

    /// Returns whether probes are due, and begins the next round.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.number += 1;
            self.last = Some(now);
            self.due = Some(now + PROBE_INTERVAL);
        }

        is_due
    }

    /// Returns the probe of this round for a client, or the sign of presence for the LAN.
    pub(crate) fn probe(&self, kind: ProbeKind, peer: PeerId) -> Probe {
        let probe = Probe {
            kind,
            peer,
            instance: self.keys.instance,
            number: self.number,
            tag: 0,
        };

        Probe {
            tag: self.keys.tag(&probe),
            ..probe
        }
    }

    /// Returns the notice that a client is blocked, if it is.
    pub(crate) fn notice(&self, peer: PeerId, mac: MacAddr, now: Instant) -> Option<Probe> {
        let record = self.records.get(&mac).filter(|record| record.until > now)?;
        let left = record.until.saturating_duration_since(now);

        Some(Probe {
            kind: ProbeKind::Blocked,
            peer,
            instance: self.keys.instance,
            number: left.as_secs().saturating_add(1),
            tag: 0,
        })
    }

    /// Takes a frame of the LAN port.
    pub(crate) fn handle_lan(&mut self, frame: &Frame<'_>, now: Instant) -> Heard {
        let Some(probe) = Probe::parse(frame) else {
            return Heard::Nothing;
        };
        match probe.kind {
            ProbeKind::Tunnel => {
                let is_ours = probe.instance == self.keys.instance
                    && probe.tag == self.keys.tag(&probe)
                    && self.number.saturating_sub(probe.number) < FRESH;
                if is_ours {
                    return Heard::Returned(probe.peer);
                }
                Heard::Nothing
            }
            ProbeKind::Presence => match self.keys.presence_of(frame) {
                Some(presence) if self.is_news(presence, now) => Heard::Presence(presence),
                _ => Heard::Nothing,
            },
            ProbeKind::Blocked | ProbeKind::Leaving => Heard::Nothing,
        }
    }

    fn is_news(&mut self, presence: Presence, now: Instant) -> bool {
        let [ourselves, same, other] = &mut self.told;
        let told = match presence {
            Presence::Ourselves => ourselves,
            Presence::SameRoom => same,
            Presence::OtherRoom => other,
        };
        let is_news = told.is_none_or(|told| now.saturating_duration_since(told) >= QUIET);
        if is_news {
            *told = Some(now);
        }

        is_news
    }

    /// Blocks a client. Returns for how long, or `None` if it is blocked already.
    pub(crate) fn block(&mut self, mac: MacAddr, now: Instant) -> Option<Duration> {
        if self.is_blocked(mac, now) {
            return None;
        }
        let lasting = match self.records.get(&mac) {
            Some(record) if now.saturating_duration_since(record.until) < FORGIVEN => {
                (record.lasting * 2).min(LONGEST_BLOCK)
            }
            _ => FIRST_BLOCK,
        };
        let record = Record {
            until: now + lasting,
            lasting,
            is_told_over: false,
        };
        self.remember(mac, record);

        Some(lasting)
    }

    /// Takes a record. If there are too many, the one whose block ends or ended first goes for it.
    fn remember(&mut self, mac: MacAddr, record: Record) {
        if self.records.len() >= MAX_RECORDS && !self.records.contains_key(&mac) {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.until);
            let oldest = oldest.map(|(&mac, _)| mac);
            oldest.and_then(|oldest| self.records.remove(&oldest));
        }
        self.records.insert(mac, record);
    }

    /// Returns who is blocked, or was and is not forgiven.
    pub(crate) fn blocks(&self, now: Instant) -> Vec<SavedBlock> {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let records = self.records.iter();
        let records =
            records.filter(|(_, record)| now.saturating_duration_since(record.until) < FORGIVEN);

        records
            .map(|(mac, record)| SavedBlock {
                client: mac.to_string(),
                lasting: record.lasting.as_secs(),
                left_ms: millis(record.until.saturating_duration_since(now))
                    - millis(now.saturating_duration_since(record.until)),
            })
            .collect()
    }

    /// Takes over who is blocked, as far as the text is valid. Whoever is blocked here already is for the longer time.
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
            let known = self.records.get(&mac).map(|record| record.until);
            let Some(until) = until.filter(|until| known.is_none_or(|known| known < *until)) else {
                continue;
            };
            let record = Record {
                until,
                lasting,
                is_told_over: saved.left_ms <= 0,
            };
            self.remember(mac, record);
        }
    }

    /// Returns whether a client is blocked.
    #[inline]
    pub(crate) fn is_blocked(&self, mac: MacAddr, now: Instant) -> bool {
        !self.records.is_empty()
            && self
                .records
                .get(&mac)
                .is_some_and(|record| record.until > now)
    }

    /// Gives a client whose block has ended since the last call.
    pub(crate) fn take_over(&mut self, now: Instant) -> Option<MacAddr> {
        let (&mac, record) = self
            .records
            .iter_mut()
            .find(|(_, record)| record.until <= now && !record.is_told_over)?;
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

    fn loops() -> Loops {
        Loops::new(ProbeKeys::new([1, 2], 3, "PARTY"))
    }

    fn mac(number: usize) -> MacAddr {
        let [.., a, b] = number.to_be_bytes();
        MacAddr([2, 0, 0, 0, a, b])
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_block_goes_on_in_the_next_process_and_ends_when_it_would_have() {
        let (mut old, mut new, now) = (loops(), loops(), start());
        assert_eq!(old.block(mac(1), now), Some(MINUTE));

        let later = now + Duration::from_secs(20);
        new.restore(&old.blocks(later), later);
        // Once when it begins, and once when the other has left.
        new.restore(&old.blocks(later), later);

        let (just_before, end) = (now + Duration::from_millis(59_999), now + MINUTE);
        assert!(new.is_blocked(mac(1), just_before));
        assert_eq!(new.take_over(just_before), None);
        assert!(!new.is_blocked(mac(1), end));
        assert_eq!(new.take_over(end), Some(mac(1)), "it is told once");
        assert_eq!(new.take_over(end), None);
    }

    #[test]
    fn who_was_blocked_before_is_blocked_for_longer_by_the_next_process() {
        let (mut old, mut new, now) = (loops(), loops(), start());
        old.block(mac(1), now);
        let later = now + 2 * MINUTE;
        new.restore(&old.blocks(later), later);

        assert!(!new.is_blocked(mac(1), later));
        assert_eq!(new.take_over(later), None, "the old one has told");
        assert_eq!(new.block(mac(1), later), Some(2 * MINUTE));
        let forgiven = later + 2 * MINUTE + FORGIVEN;
        assert_eq!(new.blocks(forgiven), []);
    }

    #[test]
    fn what_is_handed_over_blocks_nobody_for_longer_than_any_block_and_fills_no_memory() {
        let (mut new, now) = (loops(), start());
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
