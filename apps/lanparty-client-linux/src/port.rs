//! The TAP device and its place in the system, as the loop sees them.

use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::time::Instant;

use lanparty_client_tap::{RouteGuard, Tap};
use lanparty_device::Ready;
use lanparty_driver::{Port, PortError, Socket};
use lanparty_linux::{WakeFd, wait};
use lanparty_session::JoinInfo;

use crate::dhcp::DhcpClient;

/// A TAP device, the routes that belong to it while the room is joined, and the DHCP client on it.
#[derive(Debug)]
pub(crate) struct TapPort {
    // Dropped in this order: the DHCP client says goodbye and the routes go while there still is an interface.
    dhcp: Option<DhcpClient>,
    routes: Option<RouteGuard>,
    tap: Tap,
    wake: WakeFd,
}

impl TapPort {
    pub(crate) fn new(tap: Tap, wake: WakeFd, dhcp: Option<DhcpClient>) -> Self {
        Self {
            dhcp,
            routes: None,
            tap,
            wake,
        }
    }
}

impl Port for TapPort {
    type Device = Tap;

    const GONE: &'static str = "the TAP device is gone; was it deleted by another program?";

    fn device(&mut self) -> &mut Tap {
        &mut self.tap
    }

    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        let sockets = sockets.iter().flatten();
        let sockets = sockets.map(|socket| (socket.udp.as_fd(), socket.wants_write));
        wait(sockets, Some(self.tap.as_fd()), &self.wake, deadline)
            .map_err(|error| PortError::new("cannot wait for the TAP device", error))
    }

    fn handle_joined(&mut self, info: &JoinInfo) -> Result<(), PortError> {
        let configure = |error| PortError::new("cannot switch on the TAP device", error);
        self.tap.set_mtu(info.mtu).map_err(configure)?;
        self.tap.set_up(true).map_err(configure)?;
        if self.routes.is_none() {
            match RouteGuard::add(self.tap.index()) {
                Ok(routes) => self.routes = Some(routes),
                Err(error) => {
                    tracing::warn!(error = %error, "games that announce themselves by broadcast may leave by another interface");
                }
            }
        }
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.start(self.tap.name());
        }

        Ok(())
    }

    fn handle_away(&mut self) {
        self.routes = None;
        if let Err(error) = self.tap.set_up(false) {
            tracing::warn!(%error, "cannot switch off the TAP device");
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.tap.addresses().unwrap_or_default()
    }

    fn has_routes(&self) -> Option<bool> {
        Some(self.routes.is_some())
    }
}
