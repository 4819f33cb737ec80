//! The data path of a member: frames of a port into datagrams, and back.
//!
//! A [`DataPath`] decides and never acts, allocates no memory per frame and formats nothing. Drive it like this:
//!
//! 1. [`DataPath::handle_session`] for every output of the [`Session`](lanparty_session::Session), before any frame of the same turn (SPEC G8).
//! 2. [`DataPath::handle_local`] for every frame of the port, [`DataPath::handle_datagram`] for every datagram.
//! 3. [`DataPath::handle_timeout`] once the time in [`DataPath::poll_timeout`] has come.
//! 4. After a batch of any of these, send what the [`Outbox`] holds and empty it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_obs::{Counters, DropReason, FrameEvent, StatusLine};
use lanparty_offload::{VnetHeader, mss};
use lanparty_proto::{ChecksumState, Frame, MacAddr};
use lanparty_queue::TrafficClass;

use lanparty_session::{Neighbor, Output};

use crate::Tunnel;

/// How a datagram asks to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Equal for the datagrams whose order matters.
    pub id: u32,
    /// How urgent it is.
    pub class: TrafficClass,
}

/// What a data path wants sent. The owner empties it after every batch and uses it again.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Overlay datagrams for the relay.
    pub up: Vec<(Bytes, Flow)>,
    /// Ordinary frames with complete checksums for the port.
    pub local: Vec<Bytes>,
}

impl Outbox {
    /// Forgets what was sent and keeps the memory.
    pub fn clear(&mut self) {
        self.up.clear();
        self.local.clear();
    }

    /// Returns whether there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        self.up.is_empty() && self.local.is_empty()
    }
}

/// The data path of a client or a gateway. The module says how to drive it.
pub trait DataPath {
    /// Takes what the session says about the membership and other members.
    fn handle_session(&mut self, output: &Output, now: Instant, out: &mut Outbox);

    /// Takes how long the relay has owed an answer on the connection that carries the membership.
    fn handle_silence(&mut self, _silence: Duration, _now: Instant) {}

    /// Takes the addresses that this box has now, whenever they changed.
    fn handle_addresses(&mut self, _addresses: &[IpAddr], _now: Instant) {}

    /// Returns the tunnel that frames go through.
    fn tunnel(&self) -> &Tunnel;

    /// Returns the tunnel that frames go through.
    fn tunnel_mut(&mut self) -> &mut Tunnel;

    /// Decides about a frame from the TAP or LAN, by its headers.
    ///
    /// # Errors
    ///
    /// Returns why it must not go to the relay.
    fn check_local(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), DropReason>;

    /// Takes a frame from the TAP or LAN that comes while the member has not joined, and goes nowhere.
    fn handle_idle(&mut self, _bytes: &[u8]) {}

    /// Takes a frame, or a super-frame, from the TAP or LAN. `budget` is
    /// [`Session::budget`](lanparty_session::Session::budget), in bytes. The MSS of a SYN may be lowered in `bytes`.
    fn handle_local(
        &mut self,
        vnet: VnetHeader,
        bytes: &mut [u8],
        budget: usize,
        now: Instant,
        out: &mut Outbox,
    ) {
        if !self.tunnel().is_joined() {
            self.handle_idle(bytes);
            self.tunnel_mut().drop_up(DropReason::NotJoined, bytes);
            return;
        }
        self.tunnel_mut().set_budget(budget);
        let mut parsed = Frame::parse(bytes);
        if let Ok(frame) = &parsed
            && let Some(fit) = self.tunnel().clamp_of(frame)
        {
            clamp(&vnet, bytes, fit);
            parsed = Frame::parse(bytes);
        }
        let checked = parsed
            .map_err(DropReason::from)
            .and_then(|frame| self.check_local(&frame, now).map(|()| frame));
        match checked {
            Ok(frame) => self.send_up(&vnet, &frame, now, out),
            Err(reason) => self.tunnel_mut().drop_up(reason, bytes),
        }
    }

    /// Sends a frame, or a super-frame, that [`DataPath::check_local`] let pass.
    fn send_up(&mut self, vnet: &VnetHeader, frame: &Frame<'_>, now: Instant, out: &mut Outbox) {
        self.tunnel_mut().send(vnet, frame, now, out);
    }

    /// Takes a datagram from the relay.
    fn handle_datagram(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox);

    /// Returns when [`DataPath::handle_timeout`] is next due.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    fn handle_timeout(&mut self, _now: Instant, _out: &mut Outbox) {}

    /// Returns the MACs of all remote clients, sorted, if they changed since the last call, for a port that filters by them.
    fn take_remotes(&mut self) -> Option<Vec<MacAddr>> {
        None
    }

    /// Gives the last sign of another gateway of the room on the LAN since the last call, for
    /// [`Session::handle_neighbor`](lanparty_session::Session::handle_neighbor).
    fn take_neighbor(&mut self) -> Option<Neighbor> {
        None
    }

    /// Returns what was counted since the start.
    fn counters(&self) -> &Counters {
        &self.tunnel().counters
    }

    /// Switches events about single frames on or off; off at first.
    fn set_events(&mut self, on: bool) {
        self.tunnel_mut().set_events(on);
    }

    /// Gives the next line for the person in front of the program.
    fn poll_status(&mut self) -> Option<StatusLine> {
        None
    }

    /// Returns what should outlive this process, as text, if it changed since the last call.
    fn take_memory(&mut self, _now: Instant) -> Option<String> {
        None
    }

    /// Returns what should outlive this process, as text, as it is now.
    fn memory(&mut self, _now: Instant) -> Option<String> {
        None
    }

    /// Takes over what [`DataPath::memory`] gave in another process. Text that is none is no loss.
    fn restore(&mut self, _memory: &str, _now: Instant) {}

    /// Gives the next event about a single frame.
    fn poll_event(&mut self) -> Option<FrameEvent> {
        self.tunnel_mut().poll_event()
    }
}

/// Lowers the MSS of a SYN in `frame` to what fits `fit` bytes of IP.
fn clamp(vnet: &VnetHeader, frame: &mut [u8], fit: u16) {
    let checksum = if vnet.needs_checksum() {
        ChecksumState::Partial
    } else {
        ChecksumState::Complete
    };
    mss::clamp(frame, fit, checksum);
}
