//! LAN to relay (SPEC G4): what the gateway learns from the LAN, and what it lets into the tunnel.

use std::time::Instant;

use lanparty_ctrl::ForeignSource;
use lanparty_obs::{DropReason, StatusLine};
use lanparty_offload::{VnetHeader, flow};
use lanparty_proto::player;
use lanparty_proto::policy::{self, Direction};
use lanparty_proto::{EtherType, Frame, Kind, MacAddr};

use crate::Outbox;

use super::loops::Heard;
use super::probe_keys::Presence;
use super::{GatewayPath, clean};

impl GatewayPath {
    /// Checks a frame of the LAN before it may enter the tunnel, and learns from it.
    pub(super) fn check_from_lan(
        &mut self,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        if frame.kind() == Kind::Type(EtherType::LOCAL_EXPERIMENTAL) {
            self.hear_probe(frame, now);
            return Err(DropReason::NotRemote);
        }
        if self.tunnel.members.owner_of(frame.source()).is_some() {
            return Err(DropReason::RemoteMacOnLan);
        }
        // Before anything that is not for remote clients is dropped: what stations say to each other is what there is to learn.
        if flow::is_control(frame) {
            self.guard.handle_lan(frame, now);
        }
        let members = &self.tunnel.members;
        let destination = frame.destination();
        let is_group = destination.is_group();
        let is_ours = destination == self.config.interface;
        if !is_group && (is_ours || members.owner_of(destination).is_none()) {
            return Err(DropReason::NotRemote);
        }
        policy::check_headers(self.config.policy, Direction::FromLan, frame)?;
        if members.macs().len() == 0 {
            return Err(DropReason::NotRemote);
        }
        if is_group {
            if self.limits.is_suspicious(now) {
                self.loops.probe_now(now);
            }
            if !self.limits.allow_broadcast(now) {
                return Err(DropReason::RateBroadcast);
            }
        }

        Ok(())
    }

    /// Sends a frame that was checked.
    pub(super) fn send_to_relay(
        &mut self,
        vnet: &VnetHeader,
        frame: &Frame<'_>,
        now: Instant,
        out: &mut Outbox,
    ) {
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

    /// Listens for the room's other gateway; nothing else of the LAN matters before the gateway has
    /// joined.
    pub(super) fn hear_neighbor(&mut self, frame: &Frame<'_>) {
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
    pub(super) fn hear_foreign(&mut self, foreign: ForeignSource, now: Instant) {
        let client = self.tunnel.members.get(foreign.peer);
        if let Some(mac) = client.and_then(|client| client.mac)
            && (foreign.mac == self.config.interface || self.guard.is_station(foreign.mac, now))
        {
            self.block(mac, now);
        }
    }

    /// Blocks a client that closes a loop, and has everybody told at once.
    pub(super) fn block(&mut self, mac: MacAddr, now: Instant) {
        if let Some(lasting) = self.loops.blocks.block(mac, now) {
            self.notices.push(StatusLine::LoopBlocked { mac, lasting });
            self.loops.probe_now(now);
        }
    }
}
