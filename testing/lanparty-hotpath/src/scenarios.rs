//! What is counted, and what it may cost.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_offload::coalesce::CoalesceOptions;
use lanparty_offload::{Coalescer, FlowHasher, VnetHeader};
use lanparty_proto::MacAddr;
use lanparty_queue::{EgressConfig, EgressQueue, Pace, QueueItem, TrafficClass};
use lanparty_switch::{Membership, Switch, Verdict};
use lanparty_tunnel::{ClientPath, DataPath, Flow, Outbox};

use crate::frames::{self, CLIENT, CLIENT_ID, FULL, GATEWAY_ID, SEGMENTS, SMALL, STATION};
use crate::stations::{self, BUDGET};

/// Frames of a turn of a loop: what is cleared and flushed once for all of them.
const TURN: u32 = 32;

/// Something to count.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// The name on the command line.
    pub name: &'static str,
    /// Instructions that a frame may cost; see [`TOLERANCE`](crate::TOLERANCE).
    pub budget: u64,
    /// Pushes so many frames, and panics if one gets lost.
    pub run: fn(u32),
}

/// Everything that is counted. A budget is what was measured when it was set: lower it with every gain, raise it with a reason.
pub const SCENARIOS: [Scenario; 14] = [
    // A game's packet from the TAP to the link's queue.
    scenario("client-up-small", 1185, client_up_small),
    // A full frame, which travels as two fragments.
    scenario("client-up-full", 1675, client_up_full),
    // A segment of a super-frame of 64 KiB.
    scenario("client-up-super", 1670, client_up_super),
    // A game's packet from the link to the TAP.
    scenario("client-down-small", 670, client_down_small),
    // The relay's decision about a datagram for one member.
    scenario("switch-unicast", 805, switch_unicast),
    // The same about a broadcast, with the names of 32 members.
    scenario("switch-broadcast-32", 2130, switch_broadcast),
    // What the relay's queues ask of a frame: its flow, and how it is to wait.
    scenario("flow", 240, flow),
    // Into the queue of a link and out of it.
    scenario("queue", 920, queue),
    // A LAN frame to the link's queue.
    scenario("gateway-up-small", 1365, gateway_up_small),
    scenario("gateway-up-full", 1855, gateway_up_full),
    // A datagram to a LAN frame.
    scenario("gateway-down-small", 1110, gateway_down_small),
    // A TCP segment into a super-frame for the port.
    scenario("coalesce", 1335, coalesce),
    // Client, queue, switch, queue, gateway: all that is ours of a frame's way.
    scenario("party-small", 4920, party_small),
    scenario("party-full", 10_775, party_full),
];

const fn scenario(name: &'static str, budget: u64, run: fn(u32)) -> Scenario {
    Scenario { name, budget, run }
}

/// Some instant to count from; what is counted never reads a clock.
fn start() -> Instant {
    Instant::now()
}

/// A datagram in a queue, as the link has it.
struct Waiting(Bytes);

impl QueueItem for Waiting {
    fn wire_len(&self) -> usize {
        self.0.len()
    }

    fn mark_ce(&mut self) -> bool {
        false
    }
}

fn client_up_small(count: u32) {
    let frame = frames::udp(STATION, CLIENT, SMALL);
    up(&mut stations::client(start()), frame, count, 1);
}

fn client_up_full(count: u32) {
    let frame = frames::udp(STATION, CLIENT, FULL);
    up(&mut stations::client(start()), frame, count, 2);
}

fn gateway_up_small(count: u32) {
    let frame = frames::udp(CLIENT, STATION, SMALL);
    up(&mut stations::gateway(start()), frame, count, 1);
}

fn gateway_up_full(count: u32) {
    let frame = frames::udp(CLIENT, STATION, FULL);
    up(&mut stations::gateway(start()), frame, count, 2);
}

/// Pushes a port's `frame` into `path`, which makes `pieces` datagrams of it.
fn up(path: &mut impl DataPath, mut frame: Vec<u8>, count: u32, pieces: u32) {
    let (mut out, now, mut sent) = (Outbox::default(), start(), 0);
    for number in 0..count {
        path.handle_local(
            VnetHeader::NONE,
            black_box(&mut frame),
            BUDGET,
            now,
            &mut out,
        );
        sent += turn(&mut out.up, number, count);
    }
    assert_eq!(sent, count * pieces, "every frame goes up");
}

/// Empties what a turn has gathered when the turn ends; returns how much that was.
fn turn<T>(gathered: &mut Vec<T>, number: u32, count: u32) -> u32 {
    if (number + 1).is_multiple_of(TURN) || number + 1 == count {
        let len = u32::try_from(gathered.len()).unwrap_or(u32::MAX);
        gathered.clear();
        len
    } else {
        0
    }
}

fn client_up_super(count: u32) {
    let segments = u32::try_from(SEGMENTS).expect("few segments");
    let (vnet, mut frame) = frames::super_frame();
    let (mut path, mut out, now) = (stations::client(start()), Outbox::default(), start());
    for _ in 0..count.div_ceil(segments) {
        out.clear();
        path.handle_local(vnet, black_box(&mut frame), BUDGET, now, &mut out);
        assert!(out.up.len() >= SEGMENTS, "every segment goes up");
    }
}

fn client_down_small(count: u32) {
    let frame = frames::udp(CLIENT, STATION, SMALL);
    let datagram = frames::datagram(GATEWAY_ID, &frame);
    down(&mut stations::client(start()), &datagram, count);
}

fn gateway_down_small(count: u32) {
    let frame = frames::udp(STATION, CLIENT, SMALL);
    let datagram = frames::datagram(CLIENT_ID, &frame);
    down(&mut stations::gateway(start()), &datagram, count);
}

fn down(path: &mut impl DataPath, datagram: &Bytes, count: u32) {
    let (mut out, now, mut sent) = (Outbox::default(), start(), 0);
    // The first frame makes a gateway ask the LAN about its address, once.
    path.handle_datagram(datagram, now, &mut out);
    out.clear();
    for number in 0..count {
        path.handle_datagram(black_box(datagram), now, &mut out);
        sent += turn(&mut out.local, number, count);
    }
    assert_eq!(sent, count, "every frame comes down");
}

fn switch_unicast(count: u32) {
    forward(
        MacAddr([2, 0, 0, 0, 0, 3]),
        count,
        1,
        stations::switch(2, start()),
    );
}

fn switch_broadcast(count: u32) {
    forward(MacAddr::BROADCAST, count, 32, stations::switch(32, start()));
}

/// Has the first client of a room send to `destination`, which means so many `targets`.
fn forward(
    destination: MacAddr,
    count: u32,
    targets: usize,
    (mut switch, places): (Switch, Vec<Membership>),
) {
    let sender = places.get(1).copied().expect("a client");
    let datagram = frames::datagram(CLIENT_ID, &frames::udp(destination, CLIENT, SMALL));
    let now = start();
    for _ in 0..count {
        let Verdict::Forward(forward) = switch.handle_datagram(sender, black_box(&datagram), now)
        else {
            panic!("the frame is for somebody");
        };
        assert_eq!(forward.targets().iter().map(black_box).count(), targets);
    }
}

fn flow(count: u32) {
    let frame = frames::udp(STATION, CLIENT, SMALL);
    let hasher = FlowHasher::new(1);
    for _ in 0..count {
        black_box(hasher.read(black_box(&frame)));
    }
}

fn queue(count: u32) {
    let datagram = frames::datagram(CLIENT_ID, &frames::udp(STATION, CLIENT, SMALL));
    let mut link = Link::new(start());
    let flow = Flow {
        id: 1,
        class: TrafficClass::Normal,
    };
    for _ in 0..count.div_ceil(TURN) {
        for _ in 0..TURN {
            link.queue(datagram.clone(), flow);
        }
        assert_eq!(link.drain().count(), 32, "nothing is dropped");
    }
}

/// Does what a relay's worker does with a datagram.
fn relay(switch: &mut Switch, sender: Membership, datagram: &Bytes, now: Instant, link: &mut Link) {
    let forward = match switch.handle_datagram(sender, datagram, now) {
        Verdict::Forward(forward) => forward,
        Verdict::Hold => return,
        Verdict::Drop(dropped) => panic!("the relay drops a frame: {}", dropped.reason),
    };
    let flow = Flow {
        id: 1,
        class: TrafficClass::Normal,
    };
    for _target in forward.targets() {
        if let Some(held) = &forward.held {
            link.queue(held.clone(), flow);
        }
        link.queue(datagram.clone(), flow);
    }
}

/// A link as far as it is ours: the queue in front of the QUIC library.
struct Link {
    egress: EgressQueue<Waiting>,
    now: Instant,
}

impl Link {
    fn new(now: Instant) -> Self {
        Self {
            egress: EgressQueue::new(EgressConfig::new(Pace::Off)),
            now,
        }
    }

    fn queue(&mut self, datagram: Bytes, flow: Flow) {
        let queued = self
            .egress
            .enqueue(Waiting(datagram), flow.id, 0, flow.class, self.now);
        assert_eq!(queued.overflow, 0, "the queue keeps up");
    }

    /// Takes everything out; every turn has its own time, as the cap on bytes in flight counts by it.
    fn drain(&mut self) -> impl Iterator<Item = Bytes> {
        self.now += Duration::from_millis(1);

        std::iter::from_fn(|| self.egress.poll_transmit(self.now)).map(|waiting| waiting.0)
    }
}

fn coalesce(count: u32) {
    let step = u32::try_from(FULL - 54).expect("a frame is small");
    let segments: Vec<Bytes> = (0..TURN)
        .map(|number| frames::tcp(CLIENT, STATION, 1 + number * step, FULL).into())
        .collect();
    let mut coalescer = Coalescer::new(CoalesceOptions {
        tcp: true,
        udp: false,
    });
    for _ in 0..count.div_ceil(TURN) {
        for segment in &segments {
            coalescer.push(segment.clone());
        }
        coalescer.flush(|out| {
            black_box(out.pieces.len());
        });
    }
}

fn party_small(count: u32) {
    party(frames::udp(STATION, CLIENT, SMALL), count);
}

fn party_full(count: u32) {
    party(frames::udp(STATION, CLIENT, FULL), count);
}

/// Sends `frame` from the player's TAP to the LAN.
fn party(mut frame: Vec<u8>, count: u32) {
    let now = start();
    let (mut client, mut gateway): (ClientPath, _) =
        (stations::client(now), stations::gateway(now));
    let (mut switch, places) = stations::switch(1, now);
    let sender = places.get(1).copied().expect("a client");
    let (mut up, mut down) = (Link::new(now), Link::new(now));
    let (mut sent, mut received) = (Outbox::default(), Outbox::default());
    let mut arrived = 0;
    // The first frame makes a gateway ask the LAN about its address, once.
    gateway.handle_datagram(&frames::datagram(CLIENT_ID, &frame), now, &mut received);
    received.clear();
    for number in 0..count {
        let frame = black_box(&mut frame);
        client.handle_local(VnetHeader::NONE, frame, BUDGET, now, &mut sent);
        if !(number + 1).is_multiple_of(TURN) && number + 1 != count {
            continue;
        }
        for (datagram, flow) in sent.up.drain(..) {
            up.queue(datagram, flow);
        }
        for datagram in up.drain() {
            relay(&mut switch, sender, &datagram, now, &mut down);
        }
        for datagram in down.drain() {
            gateway.handle_datagram(&datagram, now, &mut received);
        }
        arrived += received.local.len();
        received.clear();
    }
    assert_eq!(arrived, count as usize, "every frame reaches the LAN");
}
