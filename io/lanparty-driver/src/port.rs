//! Where frames leave the tunnel: a TAP device or a packet socket, as the loop sees it.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use lanparty_offload::VnetHeader;
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_proto::MacAddr;
use lanparty_session::JoinInfo;

/// A TAP device or packet socket, and the system's way to wait for it together with UDP sockets.
pub trait Port {
    /// Waits until a socket, the port or the mailbox has something, or `deadline` has come.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is gone for good.
    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError>;

    /// Reads one batch of frames. Returns how many; none if nothing is there.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is gone for good.
    fn receive(&mut self) -> Result<usize, PortError>;

    /// Returns a frame of the last batch, and how the system left it.
    fn received(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])>;

    /// Queues one frame or super-frame for the system. What is not taken is counted, see [`Port::take_drops`].
    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]);

    /// Hands what was queued to the system.
    fn flush(&mut self);

    /// Returns what was dropped since the last call. May take a system call: not for every frame.
    fn take_drops(&mut self) -> PortDrops;

    /// Returns which frames the system takes merged, as super-frames; none unless the port says so.
    fn coalescing(&self) -> CoalesceOptions {
        CoalesceOptions::default()
    }

    /// The room was joined, or joined again: the port may carry frames of `info.mtu` now.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses MTU or state.
    fn handle_joined(&mut self, info: &JoinInfo) -> Result<(), PortError>;

    /// The room has been out of reach for so long that applications should know: the port goes down until the next join.
    fn handle_away(&mut self);

    /// The set of remote clients changed.
    fn handle_remotes(&mut self, remotes: &[MacAddr]);

    /// The relay's name stands for these addresses now: the way to them must not lead through the port.
    fn handle_relay(&mut self, _addresses: &[SocketAddr]) {}

    /// Another process shares the port: its frames are that one's to read while `reading` is off. At first it is on.
    fn set_reading(&mut self, _reading: bool) {}

    /// Returns what the system knows of the port now, for diagnostics.
    fn facts(&mut self) -> PortFacts;
}

/// One UDP socket to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Socket<'a> {
    /// The socket.
    pub udp: &'a UdpSocket,
    /// Whether to wait until it is writable too.
    pub wants_write: bool,
}

/// What a wait found; what is not ready costs no system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// A socket may have something, or take something again.
    pub network: bool,
    /// The port may have something.
    pub port: bool,
}

impl Ready {
    /// Anything may be: for systems that do not tell.
    pub const ANY: Self = Self {
        network: true,
        port: true,
    };
}

/// Frames and super-frames that a port dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortDrops {
    /// Not sent, because the system had no room.
    pub busy: u64,
    /// Not sent, because the interface was down.
    pub down: u64,
    /// Not sent, because the system cannot express them.
    pub refused: u64,
    /// Not received, because they came too fast or were too long.
    pub missed: u64,
}

impl PortDrops {
    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            busy: self.busy.saturating_add(other.busy),
            down: self.down.saturating_add(other.down),
            refused: self.refused.saturating_add(other.refused),
            missed: self.missed.saturating_add(other.missed),
        }
    }

    /// Takes sums since the start, and returns by how much they are more than the last ones, which they replace.
    #[must_use]
    pub const fn since(self, last: &mut Self) -> Self {
        let before = std::mem::replace(last, self);

        Self {
            busy: self.busy.saturating_sub(before.busy),
            down: self.down.saturating_sub(before.down),
            refused: self.refused.saturating_sub(before.refused),
            missed: self.missed.saturating_sub(before.missed),
        }
    }
}

/// What the system knows of a port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortFacts {
    /// The address to show a person: a routable IPv4 address if there is one.
    pub address: Option<IpAddr>,
    /// Frames that the system dropped before we could read them.
    pub kernel_drops: u64,
    /// Whether the port is on and takes frames.
    pub is_up: bool,
    /// Whether the system's routes are as the party needs them (on Windows: the relay's is pinned); `None` where none are needed.
    pub has_routes: Option<bool>,
}

impl PortFacts {
    /// Picks the address to show a person: a routable IPv4 address, then a routable IPv6 one, then link-local ones.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let rank = |address: &IpAddr| match address {
            IpAddr::V4(v4) if !v4.is_link_local() => 0,
            IpAddr::V6(v6) if !v6.is_unicast_link_local() => 1,
            IpAddr::V4(_) => 2,
            IpAddr::V6(_) => 3,
        };

        Self {
            address: addresses.into_iter().min_by_key(rank),
            ..Self::default()
        }
    }
}

/// Why a port is gone.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct PortError {
    /// What happened and what to do, for a person.
    pub what: String,
    /// What the system said.
    #[source]
    pub source: Option<std::io::Error>,
}

impl PortError {
    /// Says what happened and what to do.
    pub fn new(what: &str, source: std::io::Error) -> Self {
        Self {
            what: what.to_owned(),
            source: Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drop_is_told_once_and_by_its_reason() {
        let mut told = PortDrops::default();
        let sums = |busy, down| PortDrops {
            busy,
            down,
            refused: 1,
            missed: 2,
        };

        assert_eq!(sums(3, 4).since(&mut told), sums(3, 4));
        let news = sums(3, 9).since(&mut told);
        let expected = PortDrops {
            down: 5,
            ..PortDrops::default()
        };
        assert_eq!(news, expected);
    }

    #[test]
    fn a_routable_ipv4_address_is_shown_first() {
        let shown = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|text| text.parse().unwrap());
            PortFacts::of(addresses)
                .address
                .map(|address: IpAddr| address.to_string())
        };

        let all = ["fe80::1", "169.254.1.1", "fd77::1", "192.168.77.5"];
        assert_eq!(shown(&all).as_deref(), Some("192.168.77.5"));
        assert_eq!(shown(&all[..3]).as_deref(), Some("fd77::1"));
        assert_eq!(shown(&all[..2]).as_deref(), Some("169.254.1.1"));
        assert_eq!(shown(&[]), None);
    }
}
