//! The TAP device as the member's loop sees it.

use std::io::IoSlice;
use std::os::fd::AsFd as _;
use std::time::Instant;

use lanparty_client_tap::{LinkState, RouteGuard, Tap};
use lanparty_driver::unix::{self, WakeFd};
use lanparty_driver::{Port, PortDrops, PortError, PortFacts, Ready, Socket};
use lanparty_offload::VnetHeader;
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_proto::MacAddr;
use lanparty_session::JoinInfo;

use crate::dhcp::DhcpClient;

/// A TAP device, the routes that belong to it while the room is joined, and the DHCP client on it.
#[derive(Debug)]
pub(crate) struct TapPort {
    // Dropped in this order: the DHCP client says goodbye and the routes go while there still is an interface.
    dhcp: Option<DhcpClient>,
    routes: Option<RouteGuard>,
    tap: Tap,
    /// Whether the device is switched on, and took a frame when it was last given one.
    is_up: bool,
    wake: WakeFd,
    /// What the loop was told of drops.
    told: PortDrops,
}

impl TapPort {
    pub(crate) fn new(tap: Tap, wake: WakeFd, dhcp: Option<DhcpClient>) -> Self {
        Self {
            dhcp,
            routes: None,
            tap,
            is_up: false,
            wake,
            told: PortDrops::default(),
        }
    }
}

impl Port for TapPort {
    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        unix::wait(sockets, Some(self.tap.as_fd()), &self.wake, deadline)
            .map_err(|error| PortError::new("cannot wait for the TAP device", error))
    }

    fn receive(&mut self) -> Result<usize, PortError> {
        self.tap.receive().map_err(|error| {
            PortError::new(
                "the TAP device is gone; was it deleted by another program?",
                error,
            )
        })
    }

    fn received(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        self.tap.received_mut(index)
    }

    fn send(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) {
        // What was not taken is in the counters.
        self.is_up = self.tap.send(vnet, pieces) == LinkState::Up;
    }

    fn flush(&mut self) {
        let _state = self.tap.flush();
    }

    fn take_drops(&mut self) -> PortDrops {
        let statistics = self.tap.statistics();
        let sums = PortDrops {
            busy: statistics.send_busy,
            down: statistics.send_down,
            refused: statistics.send_refused,
            missed: statistics.truncated,
        };

        sums.since(&mut self.told)
    }

    fn handle_joined(&mut self, info: &JoinInfo) -> Result<(), PortError> {
        let configure = |error| PortError::new("cannot switch on the TAP device", error);
        self.tap.set_mtu(info.mtu).map_err(configure)?;
        self.tap.set_up(true).map_err(configure)?;
        self.is_up = true;
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
        self.is_up = false;
        self.routes = None;
        if let Err(error) = self.tap.set_up(false) {
            tracing::warn!(%error, "cannot switch off the TAP device");
        }
    }

    fn coalescing(&self) -> CoalesceOptions {
        let can = self.tap.capabilities();

        CoalesceOptions {
            tcp: can.tcp,
            udp: can.udp,
        }
    }

    fn handle_remotes(&mut self, _remotes: &[MacAddr]) {}

    fn facts(&mut self) -> PortFacts {
        PortFacts {
            is_up: self.is_up,
            has_routes: Some(self.routes.is_some()),
            ..PortFacts::of(self.tap.addresses().unwrap_or_default())
        }
    }
}
