//! A member's loop against a relay of the test's own, on loopback: what it does first when several things are ready, and which of a
//! relay's addresses it believes.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_ctrl::{Decoder, MAX_ADMITTED, Message, Mode, PeerInfo, Role, Welcome, encode};
use lanparty_device::{Capabilities, FrameDevice, LinkState, Ready, Received, Statistics};
use lanparty_driver::{Command, Config, Handle, Member, Port, PortError, Socket};
use lanparty_net::{
    AcceptPolicy, Decision, Endpoint, Identity, LinkEvent, LinkId, MemberSettings,
    PendingConnection, RelayKeys, RelaySettings, Trust, relay_socket,
};
use lanparty_obs::{DropReason, StatusLine};
use lanparty_offload::VnetHeader;
use lanparty_proto::player::PlayerPolicy;
use lanparty_proto::{Frame, MacAddr, PeerId, Policy, RoomId, overlay};
use lanparty_queue::{Pace, TrafficClass};
use lanparty_session::{EndKind, Output, Session, SessionConfig, SessionEnd, Standby};
use lanparty_tunnel::{ClientPath, ClientPathConfig, DataPath, Outbox, Tunnel};

const NAME: &str = "relay.test";
const ROOM: RoomId = RoomId(7);
const OWN: PeerId = PeerId(1);
const FRIEND: PeerId = PeerId(2);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const FRIENDS_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// QUIC's idle timeout in tests of silence.
const IDLE: Duration = Duration::from_secs(3);

/// What the data path is told, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Joined,
    PeerJoined(PeerId),
    Datagram,
}

/// A client's data path that writes down what it is told.
struct Recorder {
    inner: ClientPath,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Recorder {
    fn note(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl DataPath for Recorder {
    fn handle_session(&mut self, output: &Output, now: Instant, out: &mut Outbox) {
        if let Output::PeerJoined(peer) = output {
            self.note(Told::PeerJoined(peer.id));
        }
        if let Output::Joined(_) = output {
            self.note(Told::Joined);
        }
        self.inner.handle_session(output, now, out);
    }

    fn tunnel(&self) -> &Tunnel {
        self.inner.tunnel()
    }

    fn tunnel_mut(&mut self) -> &mut Tunnel {
        self.inner.tunnel_mut()
    }

    fn check_local(&mut self, frame: &Frame<'_>, now: Instant) -> Result<(), DropReason> {
        self.inner.check_local(frame, now)
    }

    fn handle_datagram(&mut self, datagram: &Bytes, now: Instant, out: &mut Outbox) {
        self.note(Told::Datagram);
        self.inner.handle_datagram(datagram, now, out);
    }
}

/// How long a wait lasts at most: this port looks at everything after it.
const TICK: Duration = Duration::from_millis(1);

/// A port without frames of its own, whose wait the test can hold.
struct HeldPort {
    device: Outlet,
    /// Asks for a stop; the answer says that the loop has stopped, and what comes then lets it go on.
    stops: Receiver<(SyncSender<()>, Receiver<()>)>,
}

impl Port for HeldPort {
    type Device = Outlet;

    const GONE: &'static str = "the device is gone";

    fn device(&mut self) -> &mut Outlet {
        &mut self.device
    }

    fn wait(
        &mut self,
        _sockets: &[Option<Socket<'_>>],
        deadline: Option<Instant>,
    ) -> Result<Ready, PortError> {
        if let Ok((stopped, go_on)) = self.stops.try_recv() {
            // A test that is gone has failed.
            let _held = stopped.send(()).is_ok() && go_on.recv().is_ok();
        }
        let left = deadline.map_or(TICK, |at| at.saturating_duration_since(Instant::now()));
        thread::sleep(left.min(TICK));

        Ok(Ready::ANY)
    }
}

/// A device that has no frames, and shows the test those that it is given.
struct Outlet(Sender<Vec<u8>>);

impl FrameDevice for Outlet {
    fn receive(&mut self) -> io::Result<usize> {
        Ok(0)
    }

    fn received(&self, _index: usize) -> Option<Received<'_>> {
        None
    }

    fn received_mut(&mut self, _index: usize) -> Option<(VnetHeader, &mut [u8])> {
        None
    }

    fn send(&mut self, _vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> LinkState {
        let frame = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        // Nobody has to listen.
        let _listened = self.0.send(frame);

        LinkState::Up
    }

    fn flush(&mut self) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn statistics(&mut self) -> Statistics {
        Statistics::default()
    }

    fn link_state(&self) -> LinkState {
        LinkState::Up
    }
}

/// A member that runs.
struct Running {
    handle: Handle,
    told: Arc<Mutex<Vec<Told>>>,
    stops: Sender<(SyncSender<()>, Receiver<()>)>,
    frames: Receiver<Vec<u8>>,
    lines: Receiver<StatusLine>,
    thread: JoinHandle<SessionEnd>,
}

impl Running {
    fn start(relay: &Relay) -> Self {
        Self::start_with(vec![relay.address], &relay.trust)
    }

    /// Starts a member of a relay that is at one of `addresses`.
    fn start_with(addresses: Vec<SocketAddr>, trust: &Trust) -> Self {
        Self::start_config(config(addresses, trust))
    }

    /// Starts a member that takes the relay's silence for no longer than [`IDLE`].
    fn start_impatient(relay: &Relay) -> Self {
        let mut config = config(vec![relay.address], &relay.trust);
        config.settings = config.settings.with_idle_timeout(IDLE);

        Self::start_config(config)
    }

    fn start_config(mut config: Config) -> Self {
        let (lines_in, lines) = channel();
        // A test that is over does not listen.
        config.status = Box::new(move |line| drop(lines_in.send(line.clone())));
        let told = Arc::new(Mutex::default());
        let (stops, asked) = channel();
        let (frames_in, frames) = channel();
        let (handles, handle) = channel();
        let recorded = Arc::clone(&told);
        let thread = thread::spawn(move || {
            let waker = Arc::new(|| ());
            let port = HeldPort {
                device: Outlet(frames_in),
                stops: asked,
            };
            let path = Recorder {
                inner: ClientPath::new(ClientPathConfig {
                    mac: MAC,
                    policy: Policy::DEFAULT,
                    player: PlayerPolicy::default(),
                    seed: 1,
                }),
                told: recorded,
            };
            let now = Instant::now();
            let (member, handle) = Member::new(config, port, path, waker, now);
            handles.send(handle).unwrap();

            member.run().0.unwrap()
        });

        Self {
            handle: handle.recv().unwrap(),
            told,
            stops,
            frames,
            lines,
            thread,
        }
    }

    /// Returns whether the person was told by now that the connection is lost.
    fn is_lost(&self) -> bool {
        self.lines
            .try_iter()
            .any(|line| line == StatusLine::ConnectionLost)
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}

fn config(addresses: Vec<SocketAddr>, trust: &Trust) -> Config {
    Config {
        settings: MemberSettings::new(NAME.to_owned(), trust, Pace::Off).unwrap(),
        relay: NAME.parse().unwrap(),
        addresses,
        session: Session::new(SessionConfig {
            relay: NAME.to_owned(),
            role: Role::Client,
            room: "ROOM1".parse().unwrap(),
            mac: Some(MAC),
            interface: "test".to_owned(),
            budget: 1434,
            full_frame: true,
            down_rate: None,
            program: "test".to_owned(),
            program_version: "1".to_owned(),
            generation: 1,
            resume: None,
            standby: Standby::Never,
            instance: 1,
            seed: 1,
        }),
        status: Box::new(|_line| {}),
    }
}

/// Lets everybody in.
struct Open;

impl AcceptPolicy for Open {
    fn decide(&mut self, _: SocketAddr, _: bool, _: bool, _: Instant) -> Decision {
        Decision::Accept { pace: Pace::Off }
    }

    fn handle_connected(&mut self, _: PendingConnection, _: Instant) {}

    fn handle_gone(&mut self, _: PendingConnection, _: Instant) {}
}

/// A relay that says what the test wants said.
struct Relay {
    endpoint: Endpoint,
    address: SocketAddr,
    trust: Trust,
    link: Option<LinkId>,
    decoder: Decoder,
    heard: Vec<Message>,
}

impl Relay {
    fn start() -> Self {
        let identity = Identity::development(&[NAME.to_owned()]).unwrap();
        let trust = Trust::Pinned(identity.chain[0].clone());
        let settings = RelaySettings::new(identity, RelayKeys::generate().unwrap()).unwrap();
        let socket = relay_socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = socket.local_addr().unwrap();

        Self {
            endpoint: Endpoint::relay(socket, &settings, Box::new(Open)).unwrap(),
            address,
            trust,
            link: None,
            decoder: Decoder::new(MAX_ADMITTED),
            heard: Vec::new(),
        }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        while self.endpoint.receive(now) {}
        self.endpoint.handle_timeout(now);
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                LinkEvent::Connected { link } => self.link = Some(link),
                LinkEvent::Control { bytes, .. } => self.decoder.push(&bytes),
                LinkEvent::Budget { .. } | LinkEvent::Closed { .. } => {}
            }
        }
        while let Some(message) = self.decoder.poll_message().unwrap() {
            self.heard.push(message);
        }
        self.endpoint.flush(now);
    }

    fn turn_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "heard only {:?}", self.heard);
            self.turn();
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn say(&mut self, message: &Message) {
        let link = self.link.unwrap();
        assert!(self.endpoint.send_control(link, encode(message)));
        self.endpoint.flush(Instant::now());
    }

    fn send(&mut self, datagram: Vec<u8>) {
        let (link, now) = (self.link.unwrap(), Instant::now());
        let queued = (self.endpoint).queue(link, datagram.into(), 1, TrafficClass::Normal, 0, now);
        assert_eq!(queued.overflow, 0);
        self.endpoint.flush(now);
    }

    fn welcome(&mut self) {
        self.turn_until(|relay| {
            let is_hello = |message| matches!(message, &Message::Hello(_));
            relay.heard.iter().any(is_hello)
        });
        self.say(&Message::Welcome(Welcome {
            peer: OWN,
            room: ROOM,
            mtu: 1500,
            mode: Mode::Full,
            budget: 1200,
            gateway: false,
            resume: None,
            relay_version: String::new(),
        }));
    }
}

/// A friend's broadcast of IPX.
fn broadcast() -> Vec<u8> {
    let mut frame = [&MacAddr::BROADCAST.0[..], &FRIENDS_MAC.0, &[0x81, 0x37]].concat();
    frame.resize(60, 0);
    frame[14..18].copy_from_slice(&[0xff, 0xff, 0, 46]);

    frame
}

fn datagram(frame: &[u8]) -> Vec<u8> {
    let len = u16::try_from(frame.len()).unwrap();

    [&overlay::header(ROOM, FRIEND, false, len)[..], frame].concat()
}

#[test]
fn a_peer_is_known_before_its_first_frame_even_if_that_came_first() {
    let mut relay = Relay::start();
    let running = Running::start(&relay);
    relay.welcome();
    relay.turn_until(|_| running.told().contains(&Told::Joined));

    // While the loop stands still, a frame comes in, and after it the news of who sent it.
    let (stopped, has_stopped) = sync_channel(1);
    let (go_on, may_go_on) = sync_channel(1);
    running.stops.send((stopped, may_go_on)).unwrap();
    has_stopped.recv_timeout(PATIENCE).unwrap();
    relay.send(datagram(&broadcast()));
    relay.say(&Message::PeerJoined(PeerInfo {
        peer: FRIEND,
        role: Role::Client,
        mac: Some(FRIENDS_MAC),
    }));
    go_on.send(()).unwrap();

    relay.turn_until(|_| running.told().contains(&Told::Datagram));
    assert_eq!(
        running.told(),
        [Told::Joined, Told::PeerJoined(FRIEND), Told::Datagram]
    );
    let frame = running.frames.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        frame,
        broadcast(),
        "and it is not dropped as another room's"
    );

    assert!(running.handle.send(Command::Leave));
    relay.turn_until(|relay| {
        let is_goodbye = |message| matches!(message, &Message::Disconnect(_));
        relay.heard.iter().any(is_goodbye)
    });
    assert_eq!(running.thread.join().unwrap().kind, EndKind::Left);
}

/// An address that answers with somebody else's certificate says more than one that does not answer.
#[test]
fn a_wrong_certificate_is_told_although_another_address_is_silent() {
    let (mut impostor, honest) = (Relay::start(), Relay::start());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addresses = vec![silent.local_addr().unwrap(), impostor.address];

    let running = Running::start_with(addresses, &honest.trust);
    impostor.turn_until(|_| running.thread.is_finished());

    let end = running.thread.join().unwrap();
    assert_eq!(end.kind, EndKind::Refused);
    assert!(end.sentence.contains("certificate"), "{}", end.sentence);
}

/// What is wrong with one address is no reason not to wait for another.
#[test]
fn an_impostor_at_one_address_keeps_nobody_from_the_relay_at_another() {
    let (mut impostor, mut relay) = (Relay::start(), Relay::start());

    let running = Running::start_with(vec![impostor.address, relay.address], &relay.trust);
    while relay.link.is_none() {
        impostor.turn();
        relay.turn();
        thread::sleep(Duration::from_millis(1));
        assert!(!running.thread.is_finished());
    }
    relay.welcome();
    relay.turn_until(|_| running.told().contains(&Told::Joined));

    running.handle.send(Command::Leave);
    relay.turn_until(|_| running.thread.is_finished());
}

/// The end is a timer's: no packet comes that would wake the loop.
#[test]
fn a_connection_that_dies_in_silence_is_told_as_lost_when_its_time_is_over() {
    let mut relay = Relay::start();
    let running = Running::start_impatient(&relay);
    relay.welcome();
    relay.turn_until(|_| running.told().contains(&Told::Joined));

    let silent_since = Instant::now();
    while !running.is_lost() {
        assert!(silent_since.elapsed() < PATIENCE, "nobody was told");
        thread::sleep(Duration::from_millis(10));
    }

    let told = silent_since.elapsed();
    assert!(told + Duration::from_millis(100) > IDLE, "{told:?}");
}

/// Packets to the relay vanish, and those from it arrive: for QUIC such a connection lives.
#[test]
fn a_relay_that_talks_and_does_not_hear_is_lost_too() {
    let mut relay = Relay::start();
    let running = Running::start_impatient(&relay);
    relay.welcome();
    relay.turn_until(|_| running.told().contains(&Told::Joined));

    let deaf_since = Instant::now();
    while !running.is_lost() {
        assert!(deaf_since.elapsed() < PATIENCE, "nobody was told");
        relay.send(datagram(&broadcast()));
        thread::sleep(Duration::from_millis(50));
    }

    let heard = running
        .told()
        .iter()
        .filter(|told| **told == Told::Datagram)
        .count();
    assert!(heard > 20, "the relay was heard only {heard} times");
    assert!(deaf_since.elapsed() > IDLE);
}
