//! A room that a member has just joined.

use std::time::Instant;

use lanparty_ctrl::{Capability, Hello, Mode, PROTOCOL_VERSION, Role};
use lanparty_proto::{MacAddr, PeerId, RoomId};
use lanparty_session::{ConnectionId, JoinInfo, Output, Peer};
use lanparty_tunnel::{DataPath, Outbox};

/// The room of [`joined`].
pub const ROOM: RoomId = RoomId(9);

/// The room's gateway.
pub const GATEWAY: Peer = Peer {
    id: PeerId(1),
    role: Role::Gateway,
    mac: None,
};

/// A player of the room.
pub const fn client(id: u16, mac: MacAddr) -> Peer {
    Peer {
        id: PeerId(id),
        role: Role::Client,
        mac: Some(mac),
    }
}

/// The hello of a member for room `ROOM1`: a client with `mac`, or a gateway, which has none.
///
/// # Panics
///
/// Never: `ROOM1` is a room code.
pub fn hello(mac: Option<MacAddr>) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        role: mac.map_or(Role::Gateway, |_| Role::Client),
        room: "ROOM1".parse().expect("a room code"),
        mac,
        budget: 1434,
        capabilities: vec![Capability::FullFrame],
        generation: 1,
        resume: None,
        instance: None,
        down_rate: None,
        program: "test".to_owned(),
        program_version: "1".to_owned(),
    }
}

/// What `own` is told on joining: a gateway is there, whole frames of 1500 bytes travel, and a datagram carries 1400 bytes.
pub fn joined(own: PeerId) -> JoinInfo {
    JoinInfo {
        connection: ConnectionId(1),
        peer: own,
        room: ROOM,
        mtu: 1500,
        mode: Mode::Full,
        budget: 1400,
        gateway: true,
        same_membership: false,
        resume: None,
    }
}

/// Tells `path` that it has joined and who else is there.
pub fn join(path: &mut impl DataPath, info: JoinInfo, others: &[Peer], now: Instant) {
    let joined = [Output::Joined(info)];
    let told = (joined.into_iter()).chain(others.iter().copied().map(Output::PeerJoined));
    for output in told {
        path.handle_session(&output, now, &mut Outbox::default());
    }
}
