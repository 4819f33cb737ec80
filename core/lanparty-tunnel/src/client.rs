//! A player's data path: TAP to relay and relay to TAP (SPEC K2).

use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::Role;
use lanparty_obs::{DropReason, StatusLine};
use lanparty_proto::player::{self, PlayerPolicy};
use lanparty_proto::policy::{self, Direction, Fragments, Policy};
use lanparty_proto::probe::{self, Probe, ProbeKind};
use lanparty_proto::{ChecksumState, Frame, MacAddr};

use lanparty_session::{Output, Peer};

use crate::block::Block;
use crate::{DataPath, Outbox, Tunnel};

/// What a client's data path needs to know.
#[derive(Debug, Clone, Copy)]
pub struct ClientPathConfig {
    /// The tunnel MAC: the only source that goes up, the only unicast destination that comes down.
    pub mac: MacAddr,
    /// What clients may say to each other and to the LAN.
    pub policy: Policy,
    /// What the player takes from the LAN.
    pub player: PlayerPolicy,
    /// Random bits, for hashing flows.
    pub seed: u64,
}

/// A player's data path. Drive it as [`DataPath`] says.
///
/// ```
/// # use std::time::Instant;
/// use lanparty_ctrl::{Mode, Role};
/// use lanparty_offload::VnetHeader;
/// use lanparty_proto::player::PlayerPolicy;
/// use lanparty_proto::{MacAddr, PeerId, Policy, RoomId};
/// use lanparty_session::{ConnectionId, JoinInfo, Output, Peer};
/// use lanparty_tunnel::{ClientPath, ClientPathConfig, DataPath, Outbox};
///
/// # let now = Instant::now();
/// let mac: MacAddr = "02:00:00:00:00:01".parse().unwrap();
/// let mut path = ClientPath::new(ClientPathConfig {
///     mac,
///     policy: Policy::DEFAULT,
///     player: PlayerPolicy::default(),
///     seed: 7,
/// });
/// let mut out = Outbox::default();
///
/// // The session has joined a room with a gateway.
/// let (room, peer) = (RoomId(9), PeerId(5));
/// let joined = Output::Joined(JoinInfo {
///     connection: ConnectionId(1),
///     peer,
///     room,
///     mtu: 1280,
///     mode: Mode::Native,
///     budget: 1434,
///     gateway: true,
///     same_membership: false,
///     resume: None,
/// });
/// let gateway = Peer { id: PeerId(1), role: Role::Gateway, mac: None };
/// path.handle_session(&joined, now, &mut out);
/// path.handle_session(&Output::PeerJoined(gateway), now, &mut out);
///
/// // A broadcast of the player's PC becomes one overlay datagram for the relay.
/// let mut frame = [&[0xff; 6][..], &mac.0, &[0x81, 0x37], &[0; 46]].concat();
/// path.handle_local(VnetHeader::NONE, &mut frame, 1434, now, &mut out);
/// assert_eq!(out.up.len(), 1);
/// ```
#[derive(Debug)]
pub struct ClientPath {
    config: ClientPathConfig,
    tunnel: Tunnel,
    block: Block,
    fragments: Fragments,
}

impl ClientPath {
    /// Makes the data path of a client that has not joined yet.
    pub fn new(config: ClientPathConfig) -> Self {
        Self {
            config,
            tunnel: Tunnel::new(config.seed),
            block: Block::default(),
            fragments: Fragments::default(),
        }
    }

    fn check_down(
        &mut self,
        peer: Peer,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<bool, DropReason> {
        if self.block.is_on(now) {
            return Err(DropReason::LoopBlocked);
        }
        if frame.source() == self.config.mac {
            return Err(DropReason::OwnFrame);
        }
        self.tunnel
            .check_down(self.config.policy, peer, frame, now)?;
        let destination = frame.destination();
        if !destination.is_group() && destination != self.config.mac {
            return Err(DropReason::NotForUs);
        }

        match peer.role {
            Role::Gateway => Ok(player::needs_rewrite(frame)?),
            Role::Client => Ok(false),
        }
    }

    /// Makes a copy of a frame that nothing in captures the player.
    fn clean(&mut self, frame: &[u8]) -> Result<Bytes, DropReason> {
        let mut outcome = Ok(player::Rewrite::Untouched);
        let cleaned = self.tunnel.pool.fill(frame.len(), |copy| {
            copy.copy_from_slice(frame);
            outcome = player::rewrite(self.config.player, copy, ChecksumState::Complete);
        });
        outcome?;

        Ok(cleaned)
    }

    /// Sends a loop probe out of the TAP, where a bridge would give it to another network.
    fn pass_on(&mut self, bytes: &[u8], out: &mut Outbox) {
        let probe = self.tunnel.pool.fill(bytes.len(), |copy| {
            copy.copy_from_slice(bytes);
            if let Some(destination) = copy.first_chunk_mut() {
                *destination = probe::GROUP.0;
            }
        });
        out.local.push(probe);
    }

    /// Takes one of the gateway's own frames. Returns `false` if it is an ordinary one.
    fn take_probe(
        &mut self,
        peer: Peer,
        frame: &Frame<'_>,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let is_gateway = peer.role == Role::Gateway;
        let Some(probe) = is_gateway.then(|| Probe::parse(frame)).flatten() else {
            return false;
        };
        match probe.kind {
            ProbeKind::Tunnel if !self.block.is_on(now) => self.pass_on(frame.bytes(), out),
            ProbeKind::Tunnel | ProbeKind::Presence | ProbeKind::Leaving => {}
            ProbeKind::Blocked => {
                let mac = self
                    .tunnel
                    .members
                    .get(probe.peer)
                    .and_then(|peer| peer.mac);
                self.block.handle_notice(&probe, mac, now);
            }
        }

        true
    }

    /// Returns what the player gets instead of `frame`, if that is something else.
    fn accept(
        &mut self,
        peer: Peer,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<Option<Bytes>, DropReason> {
        if self.check_down(peer, frame, now)? {
            return self.clean(frame.bytes()).map(Some);
        }
        let clamp = self.tunnel.clamp_of(frame);

        Ok(clamp.map(|fit| self.tunnel.clamp_down(frame.bytes(), fit)))
    }
}

impl DataPath for ClientPath {
    fn handle_session(&mut self, output: &Output, _now: Instant, _out: &mut Outbox) {
        self.tunnel.handle_session(output);
        if let Output::Joined(info) = output {
            self.block.set_own(info.peer);
        }
    }

    fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    fn tunnel_mut(&mut self) -> &mut Tunnel {
        &mut self.tunnel
    }

    fn check_local(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), DropReason> {
        if frame.source() != self.config.mac {
            self.block.handle_foreign_source(now);
            return Err(DropReason::SpoofedSource);
        }
        if self.block.is_on(now) {
            return Err(DropReason::LoopBlocked);
        }
        let verdict = policy::check_headers(self.config.policy, Direction::FromRemote, frame);
        self.fragments.check(frame, verdict, now)?;

        Ok(())
    }

    fn handle_datagram(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox) {
        let Some((peer, bytes)) = self.tunnel.receive(datagram, now) else {
            return;
        };
        let accepted = match Frame::parse(&bytes) {
            Ok(frame) if self.take_probe(peer, &frame, now, out) => return,
            Ok(frame) => self.accept(peer, &frame, now),
            Err(error) => Err(error.into()),
        };
        match accepted {
            Ok(instead) => {
                let frame = instead.unwrap_or(bytes);
                self.tunnel.forwarded_down(peer, &frame);
                out.local.push(frame);
            }
            Err(reason) => self.tunnel.drop_down(reason, Some(peer.id), &bytes),
        }
    }

    fn poll_status(&mut self) -> Option<StatusLine> {
        self.block.poll_status()
    }
}
