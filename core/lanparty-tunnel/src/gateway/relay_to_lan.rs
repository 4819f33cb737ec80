//! Relay to LAN (SPEC G5): what remote clients may say there.

use std::time::Instant;

use bytes::Bytes;
use lanparty_ctrl::Role;
use lanparty_guard::Denial;
use lanparty_obs::DropReason;
use lanparty_proto::Frame;
use lanparty_proto::ethernet::MIN_WIRE_LEN;
use lanparty_session::Peer;

use crate::Outbox;

use super::{GatewayPath, inquiry};

/// What goes instead of a frame, or why nothing does.
type Accepted = Result<Option<Bytes>, DropReason>;

impl GatewayPath {
    /// Takes a datagram of the relay, and gives the LAN its frame.
    pub(super) fn handle_from_relay(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox) {
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

    fn check_down(
        &mut self,
        peer: Peer,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        if peer.role != Role::Client {
            return Err(DropReason::UnknownPeer);
        }
        if peer
            .mac
            .is_some_and(|mac| self.loops.blocks.is_blocked(mac, now))
        {
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

/// The guard's own event names address and owner; the count needs only one reason.
const fn denied(_: Denial) -> DropReason {
    DropReason::AddressClaim
}
