//! Clients that send what other machines said.
//!
//! The frame goes nowhere, whoever's it was. But if it was one of a station of the room's LAN, the client joins that LAN to itself by
//! another way, which is a loop; only the gateway knows its stations, so it is told. All of this is off the way of frames that pass.

use std::time::Instant;

use lanparty_bounds::Rate;
use lanparty_ctrl::{ForeignSource, Message};

/// What the gateway is told about one client: the next frame tells the same, and a loop has many.
const PER_CLIENT: Rate = Rate {
    per_second: 1,
    burst: 1,
};

/// What it is told about all clients of a room: 70 bytes each, so that no crowd of them fills its line or its control stream.
const PER_ROOM: Rate = Rate {
    per_second: 16,
    burst: 32,
};

use super::Switch;
use crate::membership::Membership;
use crate::output::Output;

impl Switch {
    /// Tells the gateway which source the frame had that was just dropped for it.
    #[cold]
    pub(crate) fn tell_foreign_source(&mut self, from: Membership, now: Instant) {
        let Some(room) = self.rooms.get_mut(from.room) else {
            return;
        };
        let Some(mac) = room.foreign_source.take() else {
            return;
        };
        let gateway = (room.members.gateway()).and_then(|slot| room.members.get(slot));
        let Some(conn) = gateway
            .filter(|member| member.hears_foreign)
            .and_then(|member| member.conn)
        else {
            return;
        };
        let Some(member) = room.members.get_mut(from.slot) else {
            return;
        };
        let may_tell = member.buckets.foreign.take(PER_CLIENT, 1, now)
            && room.foreign_rate.take(PER_ROOM, 1, now);
        if may_tell {
            let peer = member.identity.peer();
            let message = Message::ForeignSource(ForeignSource { peer, mac });
            self.outputs.push_back(Output::Send { conn, message });
        }
    }
}
