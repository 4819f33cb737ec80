//! A crowd that shakes hands with a relay over a bad line, in virtual time.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lanparty_net::{
    AcceptPolicy, Decision, Endpoint, HANDSHAKE_PATIENCE, Identity, LinkEvent, MemberSettings,
    PendingConnection, RelayKeys, RelaySettings, Trust, member_socket, relay_socket,
};
use lanparty_queue::Pace;

const NAME: &str = "lanparty-relay.local";

/// How far virtual time goes from turn to turn.
const STEP: Duration = Duration::from_millis(5);

/// Has everybody prove its address first, as a relay does under load.
struct Wary;

impl AcceptPolicy for Wary {
    fn decide(
        &mut self,
        _remote: SocketAddr,
        validated: bool,
        may_retry: bool,
        _now: Instant,
    ) -> Decision {
        if validated || !may_retry {
            Decision::Accept { pace: Pace::Off }
        } else {
            Decision::Retry
        }
    }

    fn handle_connected(&mut self, _guest: PendingConnection, _now: Instant) {}

    fn handle_gone(&mut self, _guest: PendingConnection, _now: Instant) {}
}

/// A packet on its way.
struct Packet {
    arrives: Instant,
    is_up: bool,
    bytes: Vec<u8>,
}

/// A member behind a line that loses packets and lets them overtake each other.
struct Caller {
    member: Endpoint,
    /// What the member takes for the relay.
    near: UdpSocket,
    member_at: Option<SocketAddr>,
    /// What the relay takes for the member.
    far: UdpSocket,
    under_way: Vec<Packet>,
    connected_after: Option<Duration>,
}

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;

        self.0 % bound
    }
}

impl Caller {
    fn new(settings: &MemberSettings, relay: SocketAddr, now: Instant) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.connect(relay).unwrap();
        for socket in [&near, &far] {
            socket.set_nonblocking(true).unwrap();
        }
        let address = near.local_addr().unwrap();
        let socket = member_socket(address).unwrap();
        let mut member = Endpoint::member(socket, settings.clone()).unwrap();
        member.connect(address, None, now).unwrap();

        Self {
            member,
            near,
            member_at: None,
            far,
            under_way: Vec::new(),
            connected_after: None,
        }
    }

    /// Takes what has been sent on its way, and what has arrived off it.
    fn carry(&mut self, loss_percent: u64, random: &mut Random, now: Instant) {
        let mut buffer = [0; 2048];
        let mut taken = Vec::new();
        while let Ok((len, from)) = self.near.recv_from(&mut buffer) {
            self.member_at = Some(from);
            taken.push((true, buffer[..len].to_vec()));
        }
        while let Ok(len) = self.far.recv(&mut buffer) {
            taken.push((false, buffer[..len].to_vec()));
        }
        for (is_up, bytes) in taken {
            if random.below(100) >= loss_percent {
                let arrives = now + Duration::from_millis(5 + random.below(30));
                self.under_way.push(Packet {
                    arrives,
                    is_up,
                    bytes,
                });
            }
        }
        let (due, waiting) = (self.under_way.drain(..)).partition(|packet| packet.arrives <= now);
        self.under_way = waiting;
        let due: Vec<Packet> = due;
        for packet in due {
            if packet.is_up {
                self.far.send(&packet.bytes).unwrap();
            } else if let Some(member) = self.member_at {
                self.near.send_to(&packet.bytes, member).unwrap();
            }
        }
    }

    fn turn(&mut self, begun: Instant, now: Instant) {
        turn(&mut self.member, now);
        while let Some(event) = self.member.poll_event() {
            if matches!(event, LinkEvent::Connected { .. }) {
                self.connected_after = Some(now - begun);
            }
        }
    }
}

fn turn(endpoint: &mut Endpoint, now: Instant) {
    while endpoint.receive(now) {}
    // As a loop does: only if there is something to do, which a deadline that was lost would not be.
    if endpoint.poll_timeout().is_some_and(|at| at <= now) {
        endpoint.handle_timeout(now);
    }
    endpoint.flush(now);
}

fn relay() -> (Endpoint, SocketAddr, Trust) {
    let identity = Identity::development(&[NAME.to_owned()]).unwrap();
    let trust = Trust::Pinned(identity.chain[0].clone());
    let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap()).unwrap();
    let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.local_addr().unwrap();
    let relay = Endpoint::relay(socket, &settings, Box::new(Wary)).unwrap();

    (relay, address, trust)
}

/// Lets `count` members connect at once over lines that lose so much. Gives how many have, and how long the slowest took.
fn crowd(count: usize, loss_percent: u64, seed: u64) -> (usize, Duration) {
    let (mut relay, address, trust) = relay();
    let settings = MemberSettings::new(NAME.to_owned(), &trust, Pace::Off).unwrap();

    let mut random = Random(seed);
    let begun = Instant::now();
    let mut now = begun;
    let mut callers: Vec<Caller> = (0..count)
        .map(|_| Caller::new(&settings, address, now))
        .collect();
    let mut arrived = 0;
    while now < begun + HANDSHAKE_PATIENCE && arrived < count {
        for caller in &mut callers {
            caller.turn(begun, now);
            caller.carry(loss_percent, &mut random, now);
        }
        turn(&mut relay, now);
        while let Some(event) = relay.poll_event() {
            arrived += usize::from(matches!(event, LinkEvent::Connected { .. }));
        }
        now += STEP;
    }
    let times = callers.iter().filter_map(|caller| caller.connected_after);

    (arrived, times.max().unwrap_or_default())
}

#[test]
fn every_handshake_of_a_crowd_is_complete_in_time_over_a_line_that_loses_a_twentieth() {
    let (arrived, slowest) = crowd(100, 5, 0x5eed);

    assert_eq!(arrived, 100, "the slowest of them took {slowest:?}");
}

#[test]
fn handshakes_over_a_good_line_need_no_repetition() {
    let (arrived, slowest) = crowd(100, 0, 1);

    assert_eq!(arrived, 100);
    // Two round trips, one of them for the proof of the address, of at most 70 ms, and the turns between.
    assert!(slowest <= Duration::from_millis(200), "{slowest:?}");
}

#[test]
fn every_handshake_of_thousands_that_stay_is_complete_at_once() {
    const WAVES: usize = 30;
    const WAVE: usize = 100;
    let (mut relay, address, trust) = relay();
    let settings = MemberSettings::new(NAME.to_owned(), &trust, Pace::Off).unwrap();
    let mut now = Instant::now();
    let mut crowd = Vec::new();
    for wave in 0..WAVES {
        let mut members =
            Endpoint::member(member_socket(address).unwrap(), settings.clone()).unwrap();
        for _ in 0..WAVE {
            members.connect(address, None, now).unwrap();
        }
        let mut connected = 0;
        for _ in 0..100 {
            turn(&mut members, now);
            turn(&mut relay, now);
            while relay.poll_event().is_some() {}
            while let Some(event) = members.poll_event() {
                connected += usize::from(matches!(event, LinkEvent::Connected { .. }));
            }
            now += Duration::from_micros(10);
        }
        // No time passes in which anything could be sent again.
        assert_eq!(connected, WAVE, "of wave {wave}");
        crowd.push(members);
    }
}
