//! The data path of a member: frames of a port into datagrams, and back.
//!
//! A [`DataPath`] decides and never acts, allocates no memory per frame and formats nothing. Drive it like this:
//!
//! 1. [`DataPath::handle_session`] for every output of the [`Session`](crate::Session), before any frame of the same turn (SPEC G8).
//! 2. [`DataPath::handle_local`] for every frame of the port, [`DataPath::handle_datagram`] for every datagram.
//! 3. [`DataPath::handle_timeout`] once the time in [`DataPath::poll_timeout`] has come.
//! 4. After a batch of any of these, send what the [`Outbox`] holds and empty it.

mod block;
mod client;
mod encapsulation;
mod members;
mod pool;
mod syn;
mod tunnel;

use std::time::Instant;

use bytes::Bytes;
use lanparty_obs::{Counters, FrameEvent, StatusLine};
use lanparty_offload::VnetHeader;
use lanparty_proto::MacAddr;
use lanparty_queue::Class;

use crate::Output;

pub use client::{ClientPath, ClientPathConfig};
pub use encapsulation::{Decapsulator, Encapsulator};
pub use members::Members;
pub use pool::Pool;
pub use tunnel::Tunnel;

/// How a datagram asks to be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Equal for the datagrams whose order matters.
    pub id: u32,
    /// How urgent it is.
    pub class: Class,
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
    /// Takes what the session says about places and members.
    fn handle_session(&mut self, output: &Output, now: Instant, out: &mut Outbox);

    /// Takes a frame, or a super-frame, from the TAP or LAN. `budget` is
    /// [`Session::budget`](crate::Session::budget), in bytes. The MSS of a SYN may be lowered in `frame`.
    fn handle_local(
        &mut self,
        vnet: VnetHeader,
        frame: &mut [u8],
        budget: usize,
        now: Instant,
        out: &mut Outbox,
    );

    /// Takes a datagram from the relay.
    fn handle_datagram(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox);

    /// Returns when [`DataPath::handle_timeout`] is next due.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant, out: &mut Outbox);

    /// Returns the MACs of all remote clients, sorted, if they changed since the last call, for a port that filters by them.
    fn take_remotes(&mut self) -> Option<Vec<MacAddr>> {
        None
    }

    /// Returns what was counted since the start.
    fn counters(&self) -> &Counters;

    /// Switches events about single frames on or off; off at first.
    fn set_events(&mut self, on: bool);

    /// Gives the next line for the person in front of the program.
    fn poll_status(&mut self) -> Option<StatusLine> {
        None
    }

    /// Returns what should outlive this process, as text, if it changed since the last call.
    fn take_memory(&mut self, _now: Instant) -> Option<String> {
        None
    }

    /// Gives the next event about a single frame.
    fn poll_event(&mut self) -> Option<FrameEvent>;
}
