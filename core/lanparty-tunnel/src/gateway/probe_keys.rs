//! The keys of loop probes, and whose a probe is.

use std::hash::Hasher as _;

use lanparty_proto::Frame;
use lanparty_proto::probe::{Probe, ProbeKind};
use lanparty_session::Neighbor;
use siphasher::sip::SipHasher24;

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

    pub(crate) fn tag(&self, probe: &Probe) -> u64 {
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
