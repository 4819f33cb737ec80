//! Where frames leave the tunnel: a TAP device or a packet socket, as the loop sees it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use lanparty_device::{FrameDevice, Ready};
use lanparty_proto::MacAddr;
use lanparty_session::JoinInfo;

/// A device with its place in the system: when it is up, what leads to it, and how to wait for it together with UDP sockets.
pub trait Port {
    /// What takes and gives the frames.
    type Device: FrameDevice;

    /// What a person is told when the device is gone, and what to do.
    const GONE: &'static str;

    /// Returns the device.
    fn device(&mut self) -> &mut Self::Device;

    /// Waits until a socket, the device or the mailbox has something, or `deadline` has come.
    ///
    /// # Errors
    ///
    /// Returns an error if the device is gone for good.
    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError>;

    /// The room was joined, or joined again: the device may carry frames of `info.mtu` now.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses MTU or state.
    fn handle_joined(&mut self, _info: &JoinInfo) -> Result<(), PortError> {
        Ok(())
    }

    /// The room has been out of reach for so long that applications should know: the device goes down until the next join.
    fn handle_away(&mut self) {}

    /// The set of remote clients changed.
    fn handle_remotes(&mut self, _remotes: &[MacAddr]) {}

    /// The relay's name stands for these addresses now: routes to them must not lead through the device.
    fn handle_relay(&mut self, _addresses: &[SocketAddr]) {}

    /// Another process shares the device: its frames are that one's to read while `reading` is off. At first it is on.
    fn set_reading(&mut self, _reading: bool) {}

    /// Returns the IP addresses of the device, to show one to a person.
    fn addresses(&self) -> Vec<IpAddr> {
        Vec::new()
    }

    /// Returns whether the system's routes are as the party needs them (on Windows: the relay's is pinned); `None` where none are
    /// needed.
    fn has_routes(&self) -> Option<bool> {
        None
    }
}

/// One UDP socket to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Socket<'a> {
    /// The socket.
    pub udp: &'a UdpSocket,
    /// Whether to wait until it is writable too.
    pub wants_write: bool,
}

/// Picks the address to show a person: a routable IPv4 address, then a routable IPv6 one, then link-local ones.
pub(crate) fn shown_address(addresses: impl IntoIterator<Item = IpAddr>) -> Option<IpAddr> {
    let rank = |address: &IpAddr| match address {
        IpAddr::V4(v4) if !v4.is_link_local() => 0,
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => 1,
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 3,
    };

    addresses.into_iter().min_by_key(rank)
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
    fn a_routable_ipv4_address_is_shown_first() {
        let shown = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|text| text.parse().unwrap());
            shown_address(addresses).map(|address| address.to_string())
        };

        let all = ["fe80::1", "169.254.1.1", "fd77::1", "192.168.77.5"];
        assert_eq!(shown(&all).as_deref(), Some("192.168.77.5"));
        assert_eq!(shown(&all[..3]).as_deref(), Some("fd77::1"));
        assert_eq!(shown(&all[..2]).as_deref(), Some("169.254.1.1"));
        assert_eq!(shown(&[]), None);
    }
}
