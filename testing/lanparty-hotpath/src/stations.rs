//! The deciding cores of the three programs, admitted to one room, without sockets between them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use lanparty_ctrl::Role;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::policy::Policy;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_samples::{hello, join, joined};
use lanparty_session::{JoinInfo, Peer};
use lanparty_switch::{ConnId, Joiner, Limits, Membership, Rate, Switch};
use lanparty_tunnel::{ClientPath, ClientPathConfig};
use lanparty_tunnel::{GatewayPath, GatewayPathConfig, ProbeKeys};

use crate::frames::{CARD, CLIENT, CLIENT_ID, GATEWAY_ID, ROOM};

/// The largest datagram of every connection, in bytes: a path of 1500 bytes over IPv4.
pub(crate) const BUDGET: usize = 1434;

/// Returns a player's data path, joined beside a gateway.
pub(crate) fn client(now: Instant) -> ClientPath {
    let mut path = ClientPath::new(ClientPathConfig {
        mac: CLIENT,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        seed: 1,
    });
    let gateway = Peer {
        id: GATEWAY_ID,
        role: Role::Gateway,
        mac: None,
    };
    join(&mut path, told(CLIENT_ID), &[gateway], now);

    path
}

/// Returns a gateway's data path, joined beside a client.
pub(crate) fn gateway(now: Instant) -> GatewayPath {
    let mut path = GatewayPath::new(GatewayPathConfig {
        interface: CARD,
        policy: Policy::DEFAULT,
        player: PlayerPolicy::default(),
        probes: ProbeKeys::new([1; 2], 1, "ROOM1"),
        seed: 1,
    });
    let client = Peer {
        id: CLIENT_ID,
        role: Role::Client,
        mac: Some(CLIENT),
    };
    join(&mut path, told(GATEWAY_ID), &[client], now);

    path
}

/// What `own` is told on joining.
fn told(own: PeerId) -> JoinInfo {
    JoinInfo {
        room: ROOM,
        budget: BUDGET,
        ..joined(own)
    }
}

/// Returns a switch with a gateway and `clients` in one room, without rate limits, and the places by order of joining.
pub(crate) fn switch(clients: u8, now: Instant) -> (Switch, Vec<Membership>) {
    let limits = Limits {
        broadcast: Rate::UNLIMITED,
        unknown: Rate::UNLIMITED,
        bytes: Rate::UNLIMITED,
        ..Limits::default()
    };
    let mut switch = Switch::new(limits, 0);
    let places = (1..=clients + 1)
        .map(|number| {
            let mac = (number > 1).then_some(MacAddr([2, 0, 0, 0, 0, number]));
            let joiner = Joiner {
                conn: ConnId(number.into()),
                budget: BUDGET,
                origin: IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
                token: [number; 16],
            };

            switch
                .handle_hello(joiner, &hello(mac), now)
                .expect("there is room in the room")
        })
        .collect();
    while switch.poll_output().is_some() {}

    (switch, places)
}
