//! What a datagram costs from one endpoint's queue to the other's hands, both on this thread, over loopback.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanparty_net::{
    AcceptPolicy, Decision, Endpoint, Identity, LinkEvent, LinkId, MemberSettings,
    PendingConnection, RelayKeys, RelaySettings, Trust, member_socket, relay_socket,
};
use lanparty_queue::{Pace, TrafficClass};

const NAME: &str = "lanparty-relay.local";

struct Open;

impl AcceptPolicy for Open {
    fn decide(&mut self, _: SocketAddr, _: bool, _: bool, _: Instant) -> Decision {
        Decision::Accept { pace: Pace::Off }
    }

    fn handle_connected(&mut self, _: PendingConnection, _: Instant) {}

    fn handle_gone(&mut self, _: PendingConnection, _: Instant) {}
}

fn turn(endpoint: &mut Endpoint, link: &mut Option<LinkId>, budget: &mut usize) -> usize {
    let now = Instant::now();
    let mut received = 0;
    while endpoint.receive(now) {
        received += drain(endpoint, link, budget);
    }
    endpoint.handle_timeout(now);
    endpoint.flush(now);

    received + drain(endpoint, link, budget)
}

fn drain(endpoint: &mut Endpoint, link: &mut Option<LinkId>, budget: &mut usize) -> usize {
    while let Some(event) = endpoint.poll_event() {
        match event {
            LinkEvent::Connected { link: new } => *link = Some(new),
            LinkEvent::Budget { budget: new, .. } => *budget = new,
            LinkEvent::Control { .. } | LinkEvent::Closed { .. } => {}
        }
    }

    std::iter::from_fn(|| endpoint.poll_datagram()).count()
}

fn connected() -> (Endpoint, Endpoint, LinkId, usize) {
    let identity = Identity::development(&[NAME.to_owned()]).expect("a certificate");
    let leaf = identity.chain.first().expect("a leaf").clone();
    let keys = RelayKeys::generate().expect("random numbers");
    let settings = RelaySettings::new(identity, keys).expect("settings");
    let socket = relay_socket(SocketAddr::from(([127, 0, 0, 1], 0)), false).expect("a socket");
    let address = socket.local_addr().expect("an address");
    let mut relay = Endpoint::relay(socket, &settings, Box::new(Open)).expect("a relay");
    let settings =
        MemberSettings::new(NAME.to_owned(), &Trust::Pinned(leaf), Pace::Off).expect("settings");
    let socket = member_socket(address).expect("a socket");
    let mut member = Endpoint::member(socket, settings).expect("a member");
    member
        .connect(address, None, Instant::now())
        .expect("an attempt");
    let (mut up, mut down, mut budget, mut other) = (None, None, 0, 0);
    while up.is_none() || budget < 1400 || other < 1400 {
        turn(&mut member, &mut up, &mut budget);
        turn(&mut relay, &mut down, &mut other);
    }

    (member, relay, up.expect("connected"), budget)
}

fn datagrams(criterion: &mut Criterion) {
    let (mut member, mut relay, link, budget) = connected();
    let mut group = criterion.benchmark_group("link");
    for len in [64, 512, budget] {
        let datagram = Bytes::from(vec![7; len]);
        group.throughput(Throughput::Elements(32));
        group.bench_function(format!("32 datagrams of {len} bytes"), |bencher| {
            bencher.iter(|| {
                let now = Instant::now();
                for _ in 0..32 {
                    let queued =
                        member.queue(link, datagram.clone(), 1, TrafficClass::Normal, 0, now);
                    assert_eq!(queued.overflow, 0, "the link does not keep up");
                }
                let mut arrived = 0;
                while arrived < 32 {
                    turn(&mut member, &mut None, &mut 0);
                    arrived += turn(&mut relay, &mut None, &mut 0);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, datagrams);
criterion_main!(benches);
