//! The TAP adapter and its place in the system, as the loop sees them.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::windows::io::{AsHandle as _, AsSocket as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanparty_client_tap::Tap;
use lanparty_device::Ready;
use lanparty_driver::{Port, PortError, Socket};
use lanparty_session::JoinInfo;
use lanparty_win32::{
    Event, Family, PreciseTimer, SocketsEvent, Win32Error, ignore_port_unreachable,
    set_unicast_interface, wait_any,
};

use crate::route_monitor::{Commands, OutgoingInterfaces, RouteCommand};

/// A TAP adapter, and who keeps routes and interfaces as it needs them.
#[derive(Debug)]
pub(crate) struct TapPort {
    tap: Tap,
    sockets: SocketsEvent,
    wake: Arc<Event>,
    commands: Commands,
    outgoing: Arc<OutgoingInterfaces>,
    /// Local ports of the sockets that leave by the interface with this index.
    bound: Vec<(u16, u32)>,
    /// `None` where the system has none: then the clock interrupt decides when a timer is due.
    timer: Option<PreciseTimer>,
}

impl TapPort {
    pub(crate) fn new(
        tap: Tap,
        wake: Arc<Event>,
        commands: Commands,
        outgoing: Arc<OutgoingInterfaces>,
    ) -> io::Result<Self> {
        Ok(Self {
            tap,
            sockets: SocketsEvent::new().map_err(io::Error::other)?,
            wake,
            commands,
            outgoing,
            bound: Vec::new(),
            timer: PreciseTimer::new()
                .inspect_err(
                    |error| tracing::info!(%error, "timers are as coarse as the system's clock"),
                )
                .ok(),
        })
    }

    /// Makes a socket that is new leave by the interface that leads to the relay, whatever the party's LAN says, and again when that
    /// interface is another one.
    fn bind(&mut self, socket: &UdpSocket) {
        let Ok(local) = socket.local_addr() else {
            return;
        };
        let family = if local.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        };
        let index = self.outgoing.index(family);
        let known = self.bound.iter().find(|(port, _)| *port == local.port());
        if known.is_some_and(|(_, bound)| *bound == index) {
            return;
        }
        if known.is_none()
            && let Err(error) = ignore_port_unreachable(socket.as_socket())
        {
            tracing::debug!(%error, "this system reports unreachable ports as errors of the socket");
        }
        match set_unicast_interface(socket.as_socket(), family, index) {
            Ok(()) => tracing::debug!(%local, index, "the socket leaves by this interface"),
            Err(error) => tracing::debug!(%local, %error, "the socket leaves as routes say"),
        }
        self.bound.retain(|(port, _)| *port != local.port());
        self.bound.push((local.port(), index));
    }

    /// Waits, for at most `timeout`, and returns 0 if it was woken by another thread.
    fn wait_for_handles(&self, timeout: Option<Duration>) -> Result<Option<usize>, Win32Error> {
        let wake = self.wake.as_handle();
        let sockets = self.sockets.ready();
        let tap = self.tap.readable();
        match (&self.timer, timeout) {
            (Some(timer), Some(soon)) if !soon.is_zero() && soon < COARSE => {
                timer.arm(soon);
                wait_any(&[wake, sockets, tap, timer.as_handle()], None)
            }
            _ => wait_any(&[wake, sockets, tap], timeout),
        }
    }
}

/// Longer waits may end a clock interrupt late, 15.6 ms: they are for keep-alives and lost connections, not for pacing.
const COARSE: Duration = Duration::from_millis(250);

/// How many sockets' interfaces are remembered: more than a member has at a time.
const MAX_BOUND: usize = 32;

impl Port for TapPort {
    type Device = Tap;

    const GONE: &'static str = "the TAP adapter is gone; was it disabled or removed?";

    fn device(&mut self) -> &mut Tap {
        &mut self.tap
    }

    fn wait(
        &mut self,
        sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        let failed = |what| move |error| PortError::new(what, io::Error::other(error));
        self.sockets.reset();
        for socket in sockets.iter().flatten() {
            self.bind(socket.udp);
            self.sockets
                .watch(socket.udp.as_socket(), socket.wants_write)
                .map_err(failed("cannot wait for the network"))?;
        }
        let forgotten = self.bound.len().saturating_sub(MAX_BOUND);
        drop(self.bound.drain(..forgotten));

        let deadline = [deadline, self.tap.poll_timeout()]
            .into_iter()
            .flatten()
            .min();
        let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let woken = self
            .wait_for_handles(timeout)
            .map_err(failed("cannot wait for network and TAP adapter"))?;
        if woken == Some(0) {
            self.wake.reset();
        }

        // One event is told of several; those behind it may have come at the same time.
        Ok(Ready::ANY)
    }

    fn handle_joined(&mut self, info: &JoinInfo) -> Result<(), PortError> {
        self.tap
            .set_up(true)
            .map_err(|error| PortError::new("cannot plug in the TAP adapter", error))?;
        self.commands.send(RouteCommand::Joined { mtu: info.mtu });

        Ok(())
    }

    fn handle_away(&mut self) {
        if let Err(error) = self.tap.set_up(false) {
            tracing::warn!(%error, "cannot unplug the TAP adapter");
        }
    }

    fn handle_relay(&mut self, addresses: &[SocketAddr]) {
        let addresses = addresses.iter().map(SocketAddr::ip).collect();
        self.commands.send(RouteCommand::Relay(addresses));
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.tap.addresses().unwrap_or_default()
    }

    fn has_routes(&self) -> Option<bool> {
        let mut families = [Family::V4, Family::V6].into_iter();

        Some(families.any(|family| self.outgoing.index(family) != 0))
    }
}
