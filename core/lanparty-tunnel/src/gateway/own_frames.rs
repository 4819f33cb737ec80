//! Frames of the gateway's own: for the LAN's switches, for other gateways, and loop probes; and when
//! it had better send none.

use std::time::Instant;

use lanparty_offload::VnetHeader;
use lanparty_proto::probe::{self, ProbeKind};
use lanparty_proto::{Frame, MacAddr, PeerId};
use lanparty_session::Peer;

use crate::Outbox;

use super::{GatewayPath, refresh};

impl GatewayPath {
    /// Has the LAN's switches learn, or remember, that a client is behind this port (SPEC G7).
    fn refresh_one(&mut self, mac: MacAddr, occasion: &'static str, out: &mut Outbox) {
        let frame = refresh::frame(mac, self.config.interface);
        out.local.push(self.tunnel.pool.copy(&frame));
        let peer = self.tunnel.members.owner_of(mac);
        self.tunnel.sent_down(peer, &frame, occasion);
    }

    pub(super) fn refresh_peer(&mut self, peer: &Peer, occasion: &'static str, out: &mut Outbox) {
        if let Some(mac) = peer.mac {
            self.refresh_one(mac, occasion, out);
        }
    }

    pub(super) fn refresh_all(&mut self, out: &mut Outbox) {
        let mut macs = std::mem::take(&mut self.refreshed);
        macs.extend(self.tunnel.members.macs());
        for mac in macs.drain(..) {
            self.refresh_one(mac, refresh::PERIODIC, out);
        }
        self.refreshed = macs;
    }

    /// Sends the probes and notices of a round.
    pub(super) fn send_probes(&mut self, now: Instant, out: &mut Outbox) {
        let source = probe::source(self.config.interface);
        let presence = self.loops.probe(ProbeKind::Presence, PeerId(0));
        let bytes = presence.frame(probe::GROUP, source);
        out.local.push(self.tunnel.pool.copy(&bytes));

        // Frames of the round are made first: sending needs the members' table that is walked here.
        let mut frames = std::mem::take(&mut self.probe_frames);
        frames.extend(self.tunnel.members.clients().map(|(mac, peer)| {
            match self.loops.notice(peer, mac, now) {
                Some(notice) => notice.frame(probe::GROUP, source),
                None => self.loops.probe(ProbeKind::Tunnel, peer).frame(mac, source),
            }
        }));
        for bytes in frames.drain(..) {
            if let Ok(frame) = Frame::parse(&bytes) {
                self.tunnel.send(&VnetHeader::NONE, &frame, now, out);
            }
        }
        self.probe_frames = frames;
    }

    /// Sends frames of its own only while the membership is surely this gateway's.
    ///
    /// A gateway that takes over has the clients behind its own port of the switch, and hears by the
    /// missing presence frames that it may ask for the membership.
    pub(super) fn speak_or_not(&mut self, now: Instant) {
        let speaks = self.tunnel.is_joined() && !self.is_doubtful;
        self.loops.set_active(speaks, now);
        self.refresh.set_paused(!speaks);
    }

    /// Tells gateways that stand by that this gateway leaves.
    pub(super) fn say_goodbye(&mut self, out: &mut Outbox) {
        let leaving = self.loops.probe(ProbeKind::Leaving, PeerId(0));
        let bytes = leaving.frame(probe::GROUP, probe::source(self.config.interface));
        out.local.push(self.tunnel.pool.copy(&bytes));
    }
}
