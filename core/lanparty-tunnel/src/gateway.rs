//! LAN to relay (SPEC G4) and relay to LAN (SPEC G5).

mod bindings;
mod blocks;
mod clean;
mod inquiry;
mod lan_to_relay;
mod limits;
mod loops;
mod memory;
mod notices;
mod own_frames;
mod probe_keys;
mod refresh;
mod relay_to_lan;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_guard::Guard;
use lanparty_obs::{DropReason, StatusLine};
use lanparty_offload::VnetHeader;
use lanparty_proto::ethernet::MIN_WIRE_LEN;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::{Frame, MacAddr};
use lanparty_session::{Neighbor, Output, SUSPICION};

use crate::{DataPath, Outbox, Tunnel};

pub use self::loops::PROBE_INTERVAL;
pub use self::probe_keys::{Presence, ProbeKeys};
pub use self::refresh::REFRESH_INTERVAL;

use self::limits::Limits;
use self::loops::Loops;
use self::memory::Memory;
use self::notices::Notices;
use self::refresh::Refresh;

/// What a gateway's data path needs to know.
#[derive(Debug, Clone, Copy)]
pub struct GatewayPathConfig {
    /// The MAC of the LAN interface.
    pub interface: MacAddr,
    /// What clients may say to the LAN.
    pub policy: Policy,
    /// What players take from the LAN.
    pub player: PlayerPolicy,
    /// The keys of loop probes.
    pub probes: ProbeKeys,
    /// Random bits, for hashing flows.
    pub seed: u64,
}

/// A gateway's data path. Drive it as [`DataPath`] says.
#[derive(Debug)]
pub struct GatewayPath {
    config: GatewayPathConfig,
    tunnel: Tunnel,
    guard: Guard,
    refresh: Refresh,
    loops: Loops,
    limits: Limits,
    notices: Notices,
    memory: Memory,
    /// Kept for its memory.
    probe_frames: Vec<[u8; MIN_WIRE_LEN]>,
    /// Kept for its memory.
    refreshed: Vec<MacAddr>,
    have_macs_changed: bool,
    neighbor: Option<Neighbor>,
    /// The relay does not answer: another gateway may have taken over.
    is_doubtful: bool,
}

impl GatewayPath {
    /// Makes the data path of a gateway that has not joined yet.
    pub fn new(config: GatewayPathConfig) -> Self {
        Self {
            config,
            tunnel: Tunnel::new(config.seed),
            guard: Guard::default(),
            refresh: Refresh::default(),
            loops: Loops::new(config.probes),
            limits: Limits::default(),
            notices: Notices::default(),
            memory: Memory::default(),
            probe_frames: Vec::new(),
            refreshed: Vec::new(),
            have_macs_changed: false,
            neighbor: None,
            is_doubtful: false,
        }
    }
}

impl DataPath for GatewayPath {
    fn handle_session(&mut self, output: &Output, now: Instant, out: &mut Outbox) {
        let members = &self.tunnel.members;
        bindings::follow(&mut self.guard, members, self.config.interface, output, now);
        if matches!(output, Output::Ended(_)) && self.tunnel.is_joined() {
            self.say_goodbye(out);
        }
        self.tunnel.handle_session(output);
        if matches!(output, Output::Joined(_)) {
            self.is_doubtful = false;
        }
        self.speak_or_not(now);
        match output {
            Output::PeerJoined(peer) => self.refresh_peer(peer, refresh::PEER_JOINED, out),
            Output::PeerResumed(peer) => self.refresh_peer(peer, refresh::PEER_RESUMED, out),
            Output::Joined(_) | Output::PeerLeft(..) => {}
            Output::ForeignSource(foreign) => {
                self.hear_foreign(*foreign, now);
                return;
            }
            Output::PeerDetached(_)
            | Output::Detached
            | Output::Connect { .. }
            | Output::Send { .. }
            | Output::Close { .. }
            | Output::Status(_)
            | Output::Ended(_) => return,
        }
        self.have_macs_changed = true;
        let has_remotes = self.tunnel.members.macs().len() > 0;
        self.refresh.set_active(has_remotes, now);
    }

    fn handle_silence(&mut self, silence: Duration, now: Instant) {
        self.is_doubtful = silence >= SUSPICION;
        self.speak_or_not(now);
    }

    fn handle_addresses(&mut self, addresses: &[IpAddr], now: Instant) {
        self.guard.protect_own(addresses, now);
    }

    fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    fn tunnel_mut(&mut self) -> &mut Tunnel {
        &mut self.tunnel
    }

    fn handle_idle(&mut self, bytes: &[u8]) {
        if let Ok(frame) = Frame::parse(bytes) {
            self.hear_neighbor(&frame);
        }
    }

    fn check_local(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), DropReason> {
        self.check_from_lan(frame, now)
    }

    fn send_up(&mut self, vnet: &VnetHeader, frame: &Frame<'_>, now: Instant, out: &mut Outbox) {
        self.send_to_relay(vnet, frame, now, out);
    }

    fn handle_datagram(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox) {
        self.handle_from_relay(datagram, now, out);
    }

    fn take_remotes(&mut self) -> Option<Vec<MacAddr>> {
        std::mem::take(&mut self.have_macs_changed).then(|| self.tunnel.members.macs().collect())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let due = [
            self.refresh.poll_timeout(),
            self.guard.poll_timeout(),
            self.loops.poll_timeout(),
        ];

        due.into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        self.guard.handle_timeout(now);
        self.ask_lan(out);
        if self.loops.take_due(now) {
            self.send_probes(now, out);
            while let Some(mac) = self.loops.blocks.take_over(now) {
                self.notices.push(StatusLine::LoopOver(mac));
            }
        }
        while let Some(event) = self.guard.poll_event() {
            self.memory.handle_event(event);
            self.notices.guard(event, now);
        }
        if self.refresh.take_due(now) {
            self.refresh_all(out);
        }
    }

    fn take_neighbor(&mut self) -> Option<Neighbor> {
        self.neighbor.take()
    }

    fn take_memory(&mut self, now: Instant) -> Option<String> {
        if !self.memory.take_due(now) {
            return None;
        }

        memory::write(self.guard.snapshot(now), Vec::new())
    }

    fn memory(&mut self, now: Instant) -> Option<String> {
        memory::write(self.guard.snapshot(now), self.loops.blocks.save(now))
    }

    /// What cannot be read is learnt again.
    fn restore(&mut self, memory: &str, now: Instant) {
        if let Some((bindings, blocks)) = memory::read(memory) {
            self.guard.restore(&bindings, now);
            self.loops.blocks.restore(&blocks, now);
        }
    }

    fn poll_status(&mut self) -> Option<StatusLine> {
        self.notices.poll()
    }
}
