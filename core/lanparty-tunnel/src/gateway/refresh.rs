//! Keeping remote MACs in the tables of the LAN's switches (SPEC G7).

use std::time::{Duration, Instant};

use lanparty_proto::ethernet::{HEADER_LEN, MIN_WIRE_LEN};
use lanparty_proto::{EtherType, MacAddr};

/// How often every remote MAC is refreshed. Switches forget a silent station after 300 s by default (IEEE 802.1Q-2018, table 8-6), so
/// four refreshes may be lost.
pub const REFRESH_INTERVAL: Duration = Duration::from_mins(1);

/// What logs call the occasion of a frame for somebody who just came (SPEC G7).
pub(crate) const PEER_JOINED: &str = "peer_joined";

/// The same for somebody who came back after a broken connection.
pub(crate) const PEER_RESUMED: &str = "peer_resumed";

/// The same for those that are due every [`REFRESH_INTERVAL`] (SPEC G7).
pub(crate) const PERIODIC: &str = "periodic";

/// When remote MACs are due.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    due: Option<Instant>,
    is_paused: bool,
}

impl Refresh {
    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        if self.is_paused { None } else { self.due }
    }

    /// Takes that there are remote MACs, or none.
    pub(crate) fn set_active(&mut self, active: bool, now: Instant) {
        self.due = active.then(|| self.due.unwrap_or(now + REFRESH_INTERVAL));
    }

    /// Takes whether another gateway may have taken over. What is missed meanwhile is due at once
    /// afterwards, so that no row of short doubts lets a switch forget.
    pub(crate) const fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Returns whether all are due, and waits for the next time.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.poll_timeout().is_some_and(|due| due <= now);
        if is_due {
            self.due = Some(now + REFRESH_INTERVAL);
        }

        is_due
    }
}

/// Returns a frame from `remote` to the gateway's own interface: every switch between learns the remote MAC, no host but us sees it.
pub(crate) fn frame(remote: MacAddr, interface: MacAddr) -> [u8; MIN_WIRE_LEN] {
    let mut bytes = [0; MIN_WIRE_LEN];
    let header: [&[u8]; 3] = [
        &interface.0,
        &remote.0,
        &EtherType::LOCAL_EXPERIMENTAL.0.to_be_bytes(),
    ];
    for (place, byte) in bytes
        .iter_mut()
        .take(HEADER_LEN)
        .zip(header.into_iter().flatten())
    {
        *place = *byte;
    }

    bytes
}
