//! LAN to relay (SPEC G4) and relay to LAN (SPEC G5).

mod speech;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_client_core::path::Tunnel;
use lanparty_client_core::{DataPath, Neighbor, Outbox, Output, Peer, SUSPICION};
use lanparty_ctrl::{ForeignSource, Role};
use lanparty_guard::{Denial, Guard};
use lanparty_obs::{DropReason, StatusLine};
use lanparty_offload::too_big::RateLimit;
use lanparty_offload::{VnetHeader, flow};
use lanparty_proto::ethernet::MIN_WIRE_LEN;
use lanparty_proto::player::{self, PlayerPolicy};
use lanparty_proto::policy::{self, Direction, Policy};
use lanparty_proto::{EtherType, Frame, Kind, MacAddr};

use crate::clean;
use crate::inquiry;
use crate::loops::{Heard, Loops, Presence, ProbeKeys};
use crate::memory::{self, Memory};
use crate::notices::Notices;
use crate::refresh::{self, Refresh};

/// Broadcast and multicast frames from the LAN: 512 a second, and 96 at once. A LAN of a hundred PCs has some fifty a second; at
/// full size 512 are 6 Mbit/s, which is what a DSL line can bear for a moment. The burst bounds what goes round in a loop before the
/// loop is found: at most 200 frames if that takes a fifth of a second.
const BROADCAST_INTERVAL: Duration = Duration::from_micros(1953);
const BROADCAST_BURST: u32 = 96;

/// Beyond 32 at once and 250 a second there may be a loop, and probes go out at once: five times what a large LAN says at rest.
const SUSPICIOUS_INTERVAL: Duration = Duration::from_millis(4);
const SUSPICIOUS_BURST: u32 = 32;

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

/// What goes instead of a frame, or why nothing does.
type Accepted = Result<Option<Bytes>, DropReason>;

/// A gateway's data path. Drive it as [`DataPath`] says.
#[derive(Debug)]
pub struct GatewayPath {
    config: GatewayPathConfig,
    tunnel: Tunnel,
    guard: Guard,
    refresh: Refresh,
    loops: Loops,
    broadcasts: RateLimit,
    calm: RateLimit,
    notices: Notices,
    memory: Memory,
    /// Kept for its memory.
    probe_frames: Vec<[u8; MIN_WIRE_LEN]>,
    /// Kept for its memory.
    refreshed: Vec<MacAddr>,
    have_macs_changed: bool,
    neighbor: Option<Neighbor>,
    /// The relay does not answer: another gateway may have the place.
    is_doubtful: bool,
}

impl GatewayPath {
    /// Makes a data path that has no place yet.
    pub fn new(config: GatewayPathConfig) -> Self {
        Self {
            config,
            tunnel: Tunnel::new(config.seed),
            guard: Guard::default(),
            refresh: Refresh::default(),
            loops: Loops::new(config.probes),
            broadcasts: RateLimit::new(BROADCAST_INTERVAL, BROADCAST_BURST),
            calm: RateLimit::new(SUSPICIOUS_INTERVAL, SUSPICIOUS_BURST),
            notices: Notices::default(),
            memory: Memory::default(),
            probe_frames: Vec::new(),
            refreshed: Vec::new(),
            have_macs_changed: false,
            neighbor: None,
            is_doubtful: false,
        }
    }

    /// Returns the address bindings, for events, a snapshot, or what a snapshot restores.
    pub const fn guard_mut(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Keeps the address bindings in step with who is in the room.
    fn guard_session(&mut self, output: &Output, now: Instant) {
        match output {
            Output::Joined(info) if !info.same_place => {
                for mac in self.tunnel.members.macs() {
                    self.guard.handle_left(mac);
                }
            }
            Output::PeerJoined(peer) => {
                if let Some(mac) = peer.mac {
                    self.guard.handle_joined(mac, now);
                }
            }
            Output::PeerLeft(peer, _) => {
                if let Some(mac) = peer.mac {
                    self.guard.handle_left(mac);
                }
            }
            Output::Joined(_)
            | Output::PeerDetached(_)
            | Output::PeerResumed(_)
            | Output::ForeignSource(_)
            | Output::Detached
            | Output::Connect { .. }
            | Output::Send { .. }
            | Output::Close { .. }
            | Output::Status(_)
            | Output::Ended(_) => {}
        }
    }

    /// Listens for the room's other gateway; nothing else of the LAN matters while there is no place.
    fn hear_neighbor(&mut self, frame: &Frame<'_>) {
        if let Some(neighbor) = self.loops.keys().neighbor_of(frame) {
            self.neighbor = Some(neighbor);
        }
    }

    /// Looks for probes among the LAN's frames.
    fn hear_probe(&mut self, frame: &Frame<'_>, now: Instant) {
        self.hear_neighbor(frame);
        match self.loops.handle_lan(frame, now) {
            Heard::Returned(peer) => {
                let mac = self.tunnel.members.get(peer).and_then(|peer| peer.mac);
                if let Some(mac) = mac {
                    self.block(mac, now);
                }
            }
            Heard::Presence(presence) => self.notices.push(match presence {
                Presence::Ourselves => StatusLine::LanLoop,
                Presence::SameRoom => StatusLine::OtherGateway { same_room: true },
                Presence::OtherRoom => StatusLine::OtherGateway { same_room: false },
            }),
            Heard::Nothing => {}
        }
    }

    /// Takes that a client sent another machine's frame. If that machine is on this LAN, the client joins the LAN to itself by another way.
    fn hear_foreign(&mut self, foreign: ForeignSource, now: Instant) {
        let client = self.tunnel.members.get(foreign.peer);
        if let Some(mac) = client.and_then(|client| client.mac)
            && (foreign.mac == self.config.interface || self.guard.is_station(foreign.mac, now))
        {
            self.block(mac, now);
        }
    }

    /// Blocks a client that closes a loop, and has everybody told at once.
    fn block(&mut self, mac: MacAddr, now: Instant) {
        if let Some(lasting) = self.loops.block(mac, now) {
            self.notices.push(StatusLine::LoopBlocked { mac, lasting });
            self.loops.hurry(now);
        }
    }

    fn check_down(
        &mut self,
        peer: Peer,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        if peer.role != Role::Client {
            return Err(DropReason::UnknownPeer);
        }
        if peer.mac.is_some_and(|mac| self.loops.is_blocked(mac, now)) {
            return Err(DropReason::LoopBlocked);
        }
        let checked = self.tunnel.check_down(self.config.policy, peer, frame, now);
        if checked == Err(DropReason::SpoofedSource)
            && let Some(mac) = peer.mac
        {
            // Somebody else's frames come out of the client's TAP: it is bridged.
            self.block(mac, now);
        }
        checked?;
        let destination = frame.destination();
        if self.tunnel.members.owner_of(destination).is_some() {
            return Err(DropReason::NotForUs);
        }

        self.guard.check_remote(frame, now).map_err(denied)
    }

    /// Returns what the LAN gets instead of `bytes`, if that is something else.
    fn accept(&mut self, peer: Peer, bytes: &[u8], now: Instant) -> Accepted {
        let frame = Frame::parse(bytes)?;
        self.check_down(peer, &frame, now)?;
        if bytes.len() >= MIN_WIRE_LEN {
            let clamp = self.tunnel.clamp_of(&frame);
            return Ok(clamp.map(|fit| self.tunnel.clamp_down(bytes, fit)));
        }

        // Padding is what a network card would add; the frame says itself how long it is.
        Ok(Some(self.tunnel.pool.padded(bytes, MIN_WIRE_LEN)))
    }
}

impl DataPath for GatewayPath {
    fn handle_session(&mut self, output: &Output, now: Instant, out: &mut Outbox) {
        self.guard_session(output, now);
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
        if frame.kind() == Kind::Type(EtherType::LOCAL_EXPERIMENTAL) {
            self.hear_probe(frame, now);
            return Err(DropReason::NotRemote);
        }
        if self.tunnel.members.owner_of(frame.source()).is_some() {
            return Err(DropReason::RemoteMacOnLan);
        }
        // Before anything that is not for remote clients is dropped: what stations say to each other is what there is to learn.
        if flow::is_control(frame.bytes()) {
            self.guard.handle_lan(frame, now);
        }
        let members = &self.tunnel.members;
        let destination = frame.destination();
        let is_group = destination.is_group();
        if !is_group && members.owner_of(destination).is_none() {
            return Err(DropReason::NotRemote);
        }
        policy::check_headers(self.config.policy, Direction::FromLan, frame)?;
        if members.macs().len() == 0 {
            return Err(DropReason::NotRemote);
        }
        if is_group {
            if !self.calm.allow(now) {
                self.loops.hurry(now);
            }
            if !self.broadcasts.allow(now) {
                return Err(DropReason::RateBroadcast);
            }
        }

        Ok(())
    }

    fn send_up(&mut self, vnet: &VnetHeader, frame: &Frame<'_>, now: Instant, out: &mut Outbox) {
        let tunnel = &mut self.tunnel;
        let sent = match player::needs_rewrite(frame) {
            Ok(false) => return tunnel.send(vnet, frame, now, out),
            Ok(true) => clean::send(self.config.player, vnet, frame, tunnel, now, out),
            Err(refusal) => Err(refusal.into()),
        };
        if let Err(reason) = sent {
            tunnel.drop_up(reason, frame.bytes());
        }
    }

    fn handle_datagram(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox) {
        let Some((peer, bytes)) = self.tunnel.receive(datagram, now) else {
            return;
        };
        let accepted = self.accept(peer, &bytes, now);
        while let Some(address) = self.guard.poll_probe() {
            let inquiry = inquiry::frame(address, self.config.interface);
            out.local.push(self.tunnel.pool.copy(&inquiry));
        }
        match accepted {
            Ok(instead) => {
                let frame = instead.unwrap_or(bytes);
                self.tunnel.forwarded_down(peer, &frame);
                out.local.push(frame);
            }
            Err(reason) => self.tunnel.drop_down(reason, Some(peer.id), &bytes),
        }
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
        if self.loops.take_due(now) {
            self.send_probes(now, out);
            while let Some(mac) = self.loops.take_over(now) {
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
        memory::write(self.guard.snapshot(now), self.loops.blocks(now))
    }

    /// What cannot be read is learnt again.
    fn restore(&mut self, memory: &str, now: Instant) {
        if let Some((bindings, blocks)) = memory::read(memory) {
            self.guard.restore(&bindings, now);
            self.loops.restore(&blocks, now);
        }
    }

    fn poll_status(&mut self) -> Option<StatusLine> {
        self.notices.poll()
    }
}

/// The guard's own event names address and owner; the count needs only one reason.
const fn denied(_: Denial) -> DropReason {
    DropReason::AddressClaim
}
