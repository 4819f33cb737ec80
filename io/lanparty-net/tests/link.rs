//! Two endpoints on loopback, turned by hand.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[cfg(target_os = "linux")]
#[path = "link/full.rs"]
mod full;

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_net::{
    AcceptPolicy, CloseCause, Decision, Endpoint, Identity, LinkEvent, LinkId, MemberSettings,
    PendingConnection, RelayKeys, RelaySettings, Trust, member_socket, relay_socket,
};
use lanparty_queue::{Pace, TrafficClass};

const NAME: &str = "lanparty-relay.local";

/// Does the same with everybody.
struct Always(Decision);

impl AcceptPolicy for Always {
    fn decide(
        &mut self,
        _remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        _now: Instant,
    ) -> Decision {
        if self.0 == Decision::Retry && (validated || !may_retry) {
            return Decision::Accept { pace: Pace::Off };
        }

        self.0
    }

    fn handle_connected(&mut self, _guest: PendingConnection, _now: Instant) {}

    fn handle_gone(&mut self, _guest: PendingConnection, _now: Instant) {}
}

const OPEN: Decision = Decision::Accept { pace: Pace::Off };

struct Relay {
    endpoint: Endpoint,
    trust: Trust,
    address: SocketAddr,
}

fn identity() -> (Identity, Trust) {
    let identity = Identity::development(&[NAME.to_owned()]).unwrap();
    let trust = Trust::Pinned(identity.chain[0].clone());

    (identity, trust)
}

fn relay(decision: Decision) -> Relay {
    let (identity, trust) = identity();
    let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap()).unwrap();
    let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = Endpoint::relay(socket, &settings, Box::new(Always(decision))).unwrap();

    Relay {
        endpoint,
        trust,
        address,
    }
}

fn member(trust: &Trust, address: SocketAddr) -> Endpoint {
    let settings = MemberSettings::new(NAME.to_owned(), trust, Pace::Off).unwrap();

    Endpoint::member(member_socket(address).unwrap(), settings).unwrap()
}

/// What one endpoint has seen.
#[derive(Default)]
struct Seen {
    link: Option<LinkId>,
    control: Vec<u8>,
    datagrams: Vec<Bytes>,
    budget: usize,
    closed: Option<CloseCause>,
}

fn turn(endpoint: &mut Endpoint, seen: &mut Seen) {
    let now = Instant::now();
    while endpoint.receive(now) {}
    endpoint.handle_timeout(now);
    endpoint.flush(now);
    while let Some(event) = endpoint.poll_event() {
        match event {
            LinkEvent::Connected { link } => seen.link = Some(link),
            LinkEvent::Control { bytes, .. } => seen.control.extend_from_slice(&bytes),
            LinkEvent::Budget { budget, .. } => seen.budget = budget,
            LinkEvent::Closed { cause, .. } => seen.closed = Some(cause),
        }
    }
    while let Some((_, datagram)) = endpoint.poll_datagram() {
        seen.datagrams.push(datagram);
    }
}

/// Turns both until `done`, or fails after 20 seconds.
fn turn_until(
    (a, seen_a): (&mut Endpoint, &mut Seen),
    (b, seen_b): (&mut Endpoint, &mut Seen),
    done: impl Fn(&Seen, &Seen) -> bool,
) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done(seen_a, seen_b) {
        assert!(Instant::now() < end, "nothing came of it in 20 seconds");
        turn(a, seen_a);
        turn(b, seen_b);
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Pair {
    relay: Relay,
    member: Endpoint,
    at_relay: Seen,
    at_member: Seen,
}

fn connected(decision: Decision) -> Pair {
    let mut relay = relay(decision);
    let mut member = member(&relay.trust, relay.address);
    let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
    member.connect(relay.address, None, Instant::now()).unwrap();
    turn_until(
        (&mut relay.endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |r, m| r.link.is_some() && m.link.is_some(),
    );

    Pair {
        relay,
        member,
        at_relay,
        at_member,
    }
}

/// Queues a datagram that the queue has room for.
fn queue(endpoint: &mut Endpoint, link: LinkId, datagram: Bytes) {
    let queued = endpoint.queue(link, datagram, 1, TrafficClass::Normal, 0, Instant::now());
    assert_eq!(queued.overflow, 0);
}

impl Pair {
    fn turn_until(&mut self, done: impl Fn(&Seen, &Seen) -> bool) {
        turn_until(
            (&mut self.relay.endpoint, &mut self.at_relay),
            (&mut self.member, &mut self.at_member),
            done,
        );
    }
}

#[test]
fn datagrams_and_control_bytes_pass_both_ways() {
    let mut pair = connected(OPEN);
    let (up, down) = (pair.at_member.link.unwrap(), pair.at_relay.link.unwrap());
    for number in 0..200_u8 {
        let datagram = Bytes::from(vec![number; 1000]);
        queue(&mut pair.member, up, datagram.clone());
        queue(&mut pair.relay.endpoint, down, datagram);
    }
    assert!(pair.member.send_control(up, b"hello".to_vec()));
    assert!(pair.relay.endpoint.send_control(down, b"welcome".to_vec()));

    pair.turn_until(|r, m| {
        r.datagrams.len() == 200
            && m.datagrams.len() == 200
            && r.control == b"hello"
            && m.control == b"welcome"
    });
    assert!(
        pair.at_relay
            .datagrams
            .iter()
            .enumerate()
            .all(|(i, d)| usize::from(d[0]) == i)
    );
}

#[test]
fn the_budget_grows_to_what_a_1500_byte_path_carries() {
    let mut pair = connected(OPEN);
    let up = pair.at_member.link.unwrap();

    // Where the system refuses to forbid fragments, size says nothing about the path, and what every path carries is all there is.
    let most = if pair.member.discovers_mtu() {
        pair.turn_until(|r, m| r.budget > 1400 && m.budget > 1400);
        1434
    } else {
        1200
    };
    let budget = pair.member.facts(up).unwrap().budget;
    assert!((1100..=most).contains(&budget), "{budget}");
    queue(&mut pair.member, up, vec![7; budget].into());
    pair.turn_until(|r, _| r.datagrams.iter().any(|d| d.len() == budget));
}

#[test]
fn an_unvalidated_peer_is_asked_to_prove_its_address() {
    let pair = connected(Decision::Retry);

    assert!(pair.at_member.link.is_some());
}

#[test]
fn a_refused_member_learns_it_at_once() {
    let mut relay = relay(Decision::Refuse);
    let mut member = member(&relay.trust, relay.address);
    let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
    member.connect(relay.address, None, Instant::now()).unwrap();

    turn_until(
        (&mut relay.endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |_, m| m.closed.is_some(),
    );
    assert!(matches!(at_member.closed, Some(CloseCause::Transport(_))));
}

/// Asks everybody to prove its address, and counts how often.
struct Strict(Arc<Mutex<u32>>);

impl AcceptPolicy for Strict {
    fn decide(
        &mut self,
        _remote: SocketAddr,
        validated: bool,
        _may_retry: bool,
        _now: Instant,
    ) -> Decision {
        if validated {
            return OPEN;
        }
        *self.0.lock().unwrap() += 1;

        Decision::Retry
    }

    fn handle_connected(&mut self, _guest: PendingConnection, _now: Instant) {}

    fn handle_gone(&mut self, _guest: PendingConnection, _now: Instant) {}
}

#[test]
fn who_was_here_lately_need_not_prove_its_address_again() {
    let (identity, trust) = identity();
    let asked = Arc::new(Mutex::new(0));
    let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap()).unwrap();
    let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.local_addr().unwrap();
    let gatekeeper = Strict(Arc::clone(&asked));
    let mut relay = Endpoint::relay(socket, &settings, Box::new(gatekeeper)).unwrap();
    let settings = MemberSettings::new(NAME.to_owned(), &trust, Pace::Off).unwrap();
    let mut connect = |settings: &MemberSettings| {
        // A socket of its own each time: another port is the same address.
        let socket = member_socket(address).unwrap();
        let mut member = Endpoint::member(socket, settings.clone()).unwrap();
        let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
        let link = member.connect(address, None, Instant::now()).unwrap();
        turn_until(
            (&mut relay, &mut at_relay),
            (&mut member, &mut at_member),
            |_, m| m.link.is_some(),
        );
        // Tokens go with the first packets after the handshake; an answer comes behind them.
        assert!(member.send_control(link, b"hello".to_vec()));
        turn_until(
            (&mut relay, &mut at_relay),
            (&mut member, &mut at_member),
            |r, _| r.control == b"hello",
        );
        assert!(relay.send_control(at_relay.link.unwrap(), b"welcome".to_vec()));
        turn_until(
            (&mut relay, &mut at_relay),
            (&mut member, &mut at_member),
            |_, m| m.control == b"welcome",
        );

        *asked.lock().unwrap()
    };

    assert_eq!(connect(&settings), 1);
    for _ in 0..3 {
        assert_eq!(connect(&settings), 1, "it has tokens");
    }
    let other = MemberSettings::new(NAME.to_owned(), &trust, Pace::Off).unwrap();
    assert_eq!(connect(&other), 2);
}

#[test]
fn a_relay_with_another_certificate_is_not_the_relay() {
    let mut relay = relay(OPEN);
    let (_, other) = identity();
    let mut member = member(&other, relay.address);
    let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
    member.connect(relay.address, None, Instant::now()).unwrap();

    turn_until(
        (&mut relay.endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |_, m| m.closed.is_some(),
    );
    assert!(
        matches!(at_member.closed, Some(CloseCause::Certificate(_))),
        "{:?}",
        at_member.closed
    );
}

#[test]
fn an_end_carries_its_code_and_text() {
    let mut pair = connected(OPEN);
    let down = pair.at_relay.link.unwrap();
    pair.relay
        .endpoint
        .close(down, 3, "room full", Instant::now());

    pair.turn_until(|_, m| m.closed.is_some());
    let expected = CloseCause::Application {
        code: 3,
        text: "room full".to_owned(),
    };
    assert_eq!(pair.at_member.closed, Some(expected));
    assert!(pair.member.facts(pair.at_member.link.unwrap()).is_none());
}

/// Writes down how handshakes end.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<(Vec<PendingConnection>, Vec<PendingConnection>)>>);

impl AcceptPolicy for Book {
    fn decide(&mut self, _: SocketAddr, _: bool, _: bool, _: Instant) -> Decision {
        OPEN
    }

    fn handle_connected(&mut self, guest: PendingConnection, _: Instant) {
        self.0.lock().unwrap().0.push(guest);
    }

    fn handle_gone(&mut self, guest: PendingConnection, _: Instant) {
        self.0.lock().unwrap().1.push(guest);
    }
}

fn relay_with(book: &Book, patience: Duration) -> Relay {
    let (identity, trust) = identity();
    let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap())
        .unwrap()
        .with_handshake_patience(patience);
    let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = Endpoint::relay(socket, &settings, Box::new(book.clone())).unwrap();

    Relay {
        endpoint,
        trust,
        address,
    }
}

#[test]
fn a_handshake_that_nobody_completes_ends_in_time_and_one_that_is_complete_stays() {
    let book = Book::default();
    let patience = Duration::from_secs(10);
    let mut relay = relay_with(&book, patience);
    let mut member = member(&relay.trust, relay.address);
    let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
    member.connect(relay.address, None, Instant::now()).unwrap();
    turn_until(
        (&mut relay.endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |r, m| r.link.is_some() && m.link.is_some(),
    );

    // Says the first word and nothing more.
    let mut silent = self::member(&relay.trust, relay.address);
    let start = Instant::now();
    silent.connect(relay.address, None, start).unwrap();
    silent.flush(start);
    let has_arrived = |relay: &mut Relay| {
        relay.endpoint.receive(start);
        relay.endpoint.flush(start);
        relay.endpoint.poll_timeout().is_some()
    };
    assert!(has_arrived(&mut relay));
    let is_gone = || !book.0.lock().unwrap().1.is_empty();
    let mut now = start;
    while !is_gone() {
        now += Duration::from_millis(100);
        assert!(now < start + patience + Duration::from_secs(10));
        relay.endpoint.handle_timeout(now);
        relay.endpoint.flush(now);
        // The other keeps talking.
        member.ping(at_member.link.unwrap());
        turn(&mut member, &mut at_member);
        relay.endpoint.receive(now);
    }

    let (connected, gone) = &*book.0.lock().unwrap();
    assert!(now >= start + patience);
    assert_eq!(connected.len(), 1);
    assert!(connected[0].is_connected);
    assert_eq!(gone.len(), 1);
    assert!(!gone[0].is_connected);
    assert!(relay.endpoint.facts(at_relay.link.unwrap()).is_some());
}

#[test]
fn a_restarted_relay_with_the_same_keys_says_so_at_once() {
    let (identity, trust) = identity();
    let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap()).unwrap();
    let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.local_addr().unwrap();
    let mut endpoint = Endpoint::relay(socket, &settings, Box::new(Always(OPEN))).unwrap();
    let mut member = member(&trust, address);
    let (mut at_relay, mut at_member) = (Seen::default(), Seen::default());
    member.connect(address, None, Instant::now()).unwrap();
    turn_until(
        (&mut endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |r, m| r.link.is_some() && m.link.is_some(),
    );

    drop(endpoint);
    let socket = relay_socket(address, false).unwrap();
    let mut endpoint = Endpoint::relay(socket, &settings, Box::new(Always(OPEN))).unwrap();
    let up = at_member.link.unwrap();
    queue(&mut member, up, vec![1; 500].into());

    turn_until(
        (&mut endpoint, &mut at_relay),
        (&mut member, &mut at_member),
        |_, m| m.closed.is_some(),
    );
    assert_eq!(at_member.closed, Some(CloseCause::Reset));
}

#[test]
fn the_first_packet_names_the_worker_that_was_asked_for() {
    let (_, trust) = identity();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut member = member(&trust, address);
    let now = Instant::now();
    member.connect(address, Some(5), now).unwrap();
    member.flush(now);

    let mut packet = [0; 2048];
    socket.recv(&mut packet).unwrap();
    // RFC 9000, 17.2: first byte, version, length of the destination connection id, the id.
    assert_eq!((packet[5], packet[6]), (8, 5));
}

#[test]
fn a_peer_that_only_talks_is_not_taken_for_silent() {
    let mut pair = connected(OPEN);
    let (up, down) = (pair.at_member.link.unwrap(), pair.at_relay.link.unwrap());

    // Longer than three probe timeouts of a new path: nothing but acknowledgements goes down meanwhile.
    let talk_until = Instant::now() + Duration::from_secs(3);
    let mut sent = 0;
    while Instant::now() < talk_until {
        queue(&mut pair.member, up, vec![1; 500].into());
        sent += 1;
        pair.turn_until(|r, _| r.datagrams.len() >= sent);
    }
    queue(&mut pair.relay.endpoint, down, vec![2; 500].into());

    // The member goes on talking, so that acknowledgements go on leaving.
    let end = Instant::now() + Duration::from_secs(2);
    while pair.at_member.datagrams.is_empty() {
        assert!(
            Instant::now() < end,
            "what was for the talking peer did not leave"
        );
        queue(&mut pair.member, up, vec![1; 500].into());
        sent += 1;
        pair.turn_until(|r, _| r.datagrams.len() >= sent);
    }
}

#[test]
fn little_waits_in_front_of_a_link_while_memory_is_scarce() {
    let Pair {
        mut relay,
        at_relay,
        ..
    } = connected(OPEN);
    let link = at_relay.link.unwrap();
    let mut fill = |is_scarce| -> u32 {
        relay.endpoint.set_scarce(is_scarce);
        (0..200)
            .map(|_| {
                let datagram = Bytes::from_static(&[0; 1000]);
                let now = Instant::now();
                let dropped = relay
                    .endpoint
                    .queue(link, datagram, 1, TrafficClass::Normal, 0, now);
                dropped.overflow
            })
            .sum()
    };

    assert_eq!(fill(true), 200 - 66, "64 KiB wait");
    assert_eq!(fill(false), 0);
}
