//! What the relay promises, row by row (the R rows of the specification).
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail like tests"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_ctrl::{
    Capability, ForeignSource, Hello, LeaveReason, Message, Mode, RejectCode, Stats, Welcome,
};
use lanparty_obs::DropReason;
use lanparty_proto::fragment::{first_half_len, fragment_header};
use lanparty_proto::policy::{Policy, ProtocolClass};
use lanparty_proto::probe::{self, Probe, ProbeKind};
use lanparty_proto::{MacAddr, PeerId, Refusal, RoomId, overlay};
use lanparty_samples::hello;
use lanparty_switch::{
    ConnId, DEFAULT_NATIVE_MTU, Fit, Joiner, Limits, MAX_BUDGET, Membership, Output, RoomMode,
    Switch, Verdict,
};

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
const C: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xc]);
const SERVER: MacAddr = MacAddr([0, 0x11, 0x22, 0x33, 0x44, 0x55]);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A switch, a clock and what was sent, in order.
struct Party {
    switch: Switch,
    now: Instant,
    conns: u64,
    sent: Vec<(ConnId, Message)>,
    closed: Vec<(ConnId, LeaveReason)>,
    superseded: Vec<ConnId>,
    blocked: Vec<(MacAddr, Duration)>,
}

/// A member as its connection sees it.
#[derive(Debug, Clone)]
struct Seat {
    at: Membership,
    conn: ConnId,
    welcome: Welcome,
}

impl Party {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn new(limits: Limits) -> Self {
        Self {
            switch: Switch::new(limits, 0),
            now: Instant::now(),
            conns: 0,
            sent: Vec::new(),
            closed: Vec::new(),
            superseded: Vec::new(),
            blocked: Vec::new(),
        }
    }

    fn try_join(&mut self, hello: &Hello, budget: usize) -> Result<Seat, RejectCode> {
        self.conns += 1;
        let conn = ConnId(self.conns);
        let joiner = Joiner {
            conn,
            budget,
            origin: HOME,
            token: u128::from(self.conns).to_be_bytes(),
        };
        let before = self.sent.len();
        let joined = self.switch.handle_hello(joiner, hello, self.now);
        self.drain();
        let at = joined.map_err(|reject| {
            assert!(!reject.message.is_empty());
            reject.code
        })?;
        let welcome = self.sent[before..]
            .iter()
            .find_map(|(to, message)| match message {
                Message::Welcome(welcome) if *to == conn => Some(welcome.clone()),
                _ => None,
            });

        Ok(Seat {
            at,
            conn,
            welcome: welcome.unwrap(),
        })
    }

    fn join(&mut self, hello: &Hello) -> Seat {
        self.try_join(hello, MAX_BUDGET).unwrap()
    }

    fn drain(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { conn, message } => self.sent.push((conn, message)),
                Output::Close { conn, reason, .. } => self.closed.push((conn, reason)),
                Output::Superseded { conn } => self.superseded.push(conn),
                Output::Blocked { mac, lasting, .. } => self.blocked.push((mac, lasting)),
                Output::RoomGone(_) => {}
            }
        }
    }

    /// Returns who gets `frame` of `from`, or why nobody does.
    fn send(&mut self, from: &Seat, frame: &[u8]) -> Result<Vec<ConnId>, DropReason> {
        self.send_raw(from, &datagram(from, frame))
    }

    fn send_raw(&mut self, from: &Seat, datagram: &[u8]) -> Result<Vec<ConnId>, DropReason> {
        let verdict = self.switch.handle_datagram(from.at, datagram, self.now);
        let result = match verdict {
            Verdict::Drop(dropped) => Err(dropped.reason),
            Verdict::Hold => Ok(Vec::new()),
            Verdict::Forward(forward) => Ok(forward
                .targets()
                .filter(|target| target.fit != Fit::TooLarge)
                .map(|target| target.conn)
                .collect()),
        };
        self.drain();

        result
    }

    /// Returns what was sent since the last call, to whom.
    fn news(&mut self) -> Vec<(ConnId, Message)> {
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.switch.handle_timeout(self.now);
        self.drain();
    }
}

fn client(mac: MacAddr) -> Hello {
    Hello {
        budget: u16::MAX,
        ..hello(Some(mac))
    }
}

fn gateway() -> Hello {
    Hello {
        budget: u16::MAX,
        ..hello(None)
    }
}

fn native(hello: Hello) -> Hello {
    Hello {
        capabilities: Vec::new(),
        ..hello
    }
}

fn in_room(hello: Hello, room: &str) -> Hello {
    Hello {
        room: room.parse().unwrap(),
        ..hello
    }
}

/// An IPX frame: the policy lets it pass in both directions and looks no deeper.
fn frame(destination: MacAddr, source: MacAddr, len: usize) -> Vec<u8> {
    let mut bytes = [&destination.0[..], &source.0, &[0x81, 0x37]].concat();
    bytes.resize(len, 0);
    bytes[14..16].copy_from_slice(&[0xff; 2]);
    let ipx_length = u16::try_from(len - 14).unwrap().to_be_bytes();
    bytes[16..18].copy_from_slice(&ipx_length);

    bytes
}

fn datagram(from: &Seat, payload: &[u8]) -> Vec<u8> {
    framed(from, payload, false)
}

fn framed(from: &Seat, payload: &[u8], is_part: bool) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let header = overlay::header(from.welcome.room, from.welcome.peer, is_part, length);

    [&header[..], payload].concat()
}

fn halves(from: &Seat, frame: &[u8], sequence: u32) -> [Vec<u8>; 2] {
    let total = u16::try_from(frame.len()).unwrap();
    let (first, second) = frame.split_at(first_half_len(frame.len()));
    let part = |half: &[u8], is_second| {
        framed(
            from,
            &[&fragment_header(sequence, total, is_second)[..], half].concat(),
            true,
        )
    };

    [part(first, false), part(second, true)]
}

fn defaults() -> Party {
    Party::new(Limits::default())
}

#[test]
fn r3_clamps_a_budget_to_what_the_connection_and_the_relay_carry() {
    let mut party = defaults();

    let a = party.try_join(&client(A), 1162).unwrap();

    assert_eq!(usize::from(a.welcome.budget), MAX_BUDGET);
    assert_eq!(
        party.switch.snapshot(party.now)[0].members[0].budget,
        1162,
        "what goes out follows the path"
    );
}

#[test]
fn r4_a_room_comes_with_its_first_member_and_goes_with_its_last() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    assert_eq!(party.switch.rooms(), 1);

    let left = party.switch.handle_leave(a.at, LeaveReason::Disconnect);
    assert!(!left.unwrap().room_gone);
    let left = party.switch.handle_leave(b.at, LeaveReason::Disconnect);

    assert!(left.unwrap().room_gone);
    assert_eq!((party.switch.rooms(), party.switch.members()), (0, 0));
}

#[test]
fn r4_admits_one_gateway_and_every_mac_once() {
    let mut party = defaults();
    party.join(&gateway());
    party.join(&client(A));

    assert_eq!(
        party.try_join(&gateway(), MAX_BUDGET).unwrap_err(),
        RejectCode::GatewayPresent
    );
    assert_eq!(
        party.try_join(&client(A), MAX_BUDGET).unwrap_err(),
        RejectCode::MacInUse
    );
    assert!(
        party
            .try_join(&in_room(client(A), "ROOM2"), MAX_BUDGET)
            .is_ok()
    );
}

#[test]
fn r4_keeps_every_limit_and_says_which() {
    let mut party = Party::new(Limits {
        members: 4,
        clients_per_room: 2,
        ..Limits::default()
    });
    party.join(&client(A));
    party.join(&client(B));

    assert_eq!(
        party.try_join(&client(C), MAX_BUDGET).unwrap_err(),
        RejectCode::RoomFull
    );
    party.join(&gateway());
    party.join(&in_room(client(A), "ROOM2"));
    for room in ["ROOM2", "ROOM3"] {
        let hello = in_room(client(C), room);
        assert_eq!(
            party.try_join(&hello, MAX_BUDGET).unwrap_err(),
            RejectCode::RelayFull
        );
    }
}

#[test]
fn r4_refuses_other_versions_and_macs_that_are_no_identity() {
    let mut party = defaults();
    let old = Hello {
        version: 9,
        ..client(A)
    };

    assert_eq!(
        party.try_join(&old, MAX_BUDGET).unwrap_err(),
        RejectCode::UnsupportedVersion
    );
    assert_eq!(
        party.try_join(&client(SERVER), MAX_BUDGET).unwrap_err(),
        RejectCode::BadMac
    );
}

#[test]
fn r5_a_native_room_keeps_its_mtu_and_turns_away_who_cannot_carry_it() {
    let mut party = defaults();
    let a = party.join(&native(client(A)));
    assert_eq!(
        (a.welcome.mode, a.welcome.mtu),
        (Mode::Native, DEFAULT_NATIVE_MTU)
    );

    let narrow = party.try_join(&native(client(B)), 1162);
    assert_eq!(narrow.unwrap_err(), RejectCode::MtuTooSmall);
    let wide = party.join(&client(B));

    assert_eq!(
        (wide.welcome.mode, wide.welcome.mtu),
        (Mode::Native, DEFAULT_NATIVE_MTU)
    );
}

#[test]
fn r5_a_native_room_has_what_its_first_member_carries() {
    let mut party = defaults();

    let a = party.try_join(&native(client(A)), 1162).unwrap();
    assert_eq!(a.welcome.mtu, 1136);
    assert_eq!(party.join(&native(client(B))).welcome.mtu, 1136);
}

#[test]
fn r5_a_full_room_takes_every_path_and_turns_away_who_cannot_split() {
    let mut party = defaults();
    let a = party.join(&client(A));
    assert_eq!((a.welcome.mode, a.welcome.mtu), (Mode::Full, 1500));

    assert!(party.try_join(&client(B), 1162).is_ok());
    let unable = party.try_join(&native(client(C)), MAX_BUDGET);

    assert_eq!(unable.unwrap_err(), RejectCode::ModeUnsupported);
}

#[test]
fn r5_an_option_keeps_rooms_native() {
    let mut party = Party::new(Limits {
        mode: RoomMode::Native,
        ..Limits::default()
    });

    assert_eq!(party.join(&client(A)).welcome.mode, Mode::Native);
}

#[test]
fn r6_those_who_are_there_hear_of_the_joiner_before_it_is_welcome() {
    let mut party = defaults();
    let gateway = party.join(&gateway());
    party.news();

    let a = party.join(&client(A));
    let news = party.news();

    assert!(a.welcome.gateway);
    let types: Vec<_> = news
        .iter()
        .map(|(to, message)| match message {
            Message::PeerJoined(info) => (*to, "joined", info.mac),
            Message::Welcome(_) => (*to, "welcome", None),
            _ => (*to, "other", None),
        })
        .collect();
    assert_eq!(
        types,
        [
            (gateway.conn, "joined", Some(A)),
            (a.conn, "welcome", None),
            (a.conn, "joined", None)
        ]
    );
}

#[test]
fn r7_sends_every_kind_of_frame_to_whom_it_is_for_and_to_nobody_else() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let stranger = party.join(&in_room(client(C), "ROOM2"));
    let multicast = MacAddr([1, 0, 0x5e, 0, 0, 0xfb]);

    let mut sent = |from, to, source| party.send(from, &frame(to, source, 60));
    for group in [MacAddr::BROADCAST, multicast] {
        assert_eq!(sent(&a, group, A), Ok(vec![g.conn, b.conn]));
        assert_eq!(sent(&g, group, SERVER), Ok(vec![a.conn, b.conn]));
    }
    assert_eq!(sent(&a, B, A), Ok(vec![b.conn]));
    assert_eq!(sent(&g, B, SERVER), Ok(vec![b.conn]));
    assert_eq!(sent(&a, SERVER, A), Ok(vec![g.conn]));
    assert_eq!(
        sent(&g, SERVER, MacAddr([0, 9, 9, 9, 9, 9])),
        Err(DropReason::UnknownDestination)
    );
    assert_eq!(sent(&a, A, A), Err(DropReason::OwnFrame));
    assert_eq!(
        sent(&a, C, A),
        Ok(vec![g.conn]),
        "another room's member is nobody here"
    );
    assert_eq!(
        sent(&stranger, SERVER, C),
        Err(DropReason::NoGateway),
        "another room's gateway is nobody there"
    );
}

#[test]
fn r8_a_client_sends_with_its_own_mac_and_the_lan_with_no_clients() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));

    let mut sent = |from, source| party.send(from, &frame(MacAddr::BROADCAST, source, 60));
    assert_eq!(sent(&a, B), Err(DropReason::SpoofedSource));
    assert_eq!(sent(&a, SERVER), Err(DropReason::SpoofedSource));
    assert_eq!(sent(&g, A), Err(DropReason::RemoteMacOnLan));
    assert!(sent(&g, SERVER).is_ok());
}

/// A gateway that wants to know whose frames clients send.
fn attentive() -> Hello {
    Hello {
        capabilities: vec![Capability::FullFrame, Capability::ForeignSource],
        ..gateway()
    }
}

/// What a gateway on `conn` was told about foreign sources since the last call.
fn foreign(party: &mut Party, conn: ConnId) -> Vec<(PeerId, MacAddr)> {
    let told = party.news().into_iter().filter_map(|(to, message)| {
        let Message::ForeignSource(ForeignSource { peer, mac }) = message else {
            return None;
        };
        assert_eq!(to, conn, "nobody else is told");
        Some((peer, mac))
    });

    told.collect()
}

#[test]
fn r8_the_gateway_is_told_once_a_second_whose_frames_a_client_sends() {
    let mut party = defaults();
    let gate = party.join(&attentive());
    let (a, b) = (party.join(&client(A)), party.join(&client(B)));
    party.news();

    for (seat, mac) in [(&a, SERVER), (&a, SERVER), (&b, A), (&a, B), (&a, A)] {
        let _passed = party.send(seat, &frame(MacAddr::BROADCAST, mac, 60));
    }
    let (a_sent, b_sent) = ((a.welcome.peer, SERVER), (b.welcome.peer, A));
    assert_eq!(foreign(&mut party, gate.conn), [a_sent, b_sent]);

    party.pass(Duration::from_secs(1));
    let [first, second] = halves(&a, &frame(B, SERVER, 1500), 1);
    party.send_raw(&a, &first).unwrap();
    party.send_raw(&a, &second).unwrap_err();
    assert_eq!(foreign(&mut party, gate.conn), [a_sent]);
}

#[test]
fn r8_a_crowd_that_sends_foreign_frames_does_not_fill_the_gateway_s_line() {
    let mut party = defaults();
    let gate = party.join(&attentive());
    let clients: Vec<Seat> = (0..60)
        .map(|number| party.join(&client(MacAddr([2, 0, 0, 0, 1, number]))))
        .collect();
    party.news();

    let mut told = 0;
    for _ in 0..10 {
        for seat in &clients {
            party
                .send(seat, &frame(MacAddr::BROADCAST, SERVER, 60))
                .unwrap_err();
        }
        told += foreign(&mut party, gate.conn).len();
        party.pass(Duration::from_secs(1));
    }

    assert!((160..=200).contains(&told), "{told} in ten seconds");
}

#[test]
fn r8_a_gateway_that_does_not_understand_it_is_told_nothing_of_foreign_frames() {
    let mut party = defaults();
    let gate = party.join(&gateway());
    let a = party.join(&client(A));
    party.news();

    let sent = party.send(&a, &frame(B, SERVER, 60));

    assert_eq!(sent, Err(DropReason::SpoofedSource));
    assert_eq!(foreign(&mut party, gate.conn), []);
}

#[test]
fn r9_asks_the_safety_policy_for_both_directions() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    let tagged = |source: MacAddr| {
        [
            &[0xff; 6][..],
            &source.0,
            &[0x81, 0, 0, 1, 0x81, 0x37],
            &[0; 46],
        ]
        .concat()
    };

    let is_filtered = |result: Result<_, DropReason>| result.is_err_and(DropReason::is_safety);
    assert!(is_filtered(party.send(&a, &tagged(A))));
    assert!(is_filtered(
        party.send(&a, &frame(A, MacAddr::BROADCAST, 60))
    ));
    assert!(is_filtered(party.send(&g, &frame(A, MacAddr::ZERO, 60))));
}

#[test]
fn r9_a_kind_that_the_relay_closes_goes_nowhere_and_one_that_it_opens_passes() {
    let ipx = |source| frame(MacAddr::BROADCAST, source, 60);
    let wake = |source: MacAddr| {
        let mut bytes = ipx(source);
        bytes[12..14].copy_from_slice(&0x0842_u16.to_be_bytes());
        bytes
    };
    let mut strict = Party::new(Limits {
        policy: Policy::with(&[ProtocolClass::WakeOnLan], &[ProtocolClass::Ipx]),
        ..Limits::default()
    });
    let mut usual = defaults();
    for (party, ipx_passes) in [(&mut strict, false), (&mut usual, true)] {
        let g = party.join(&gateway());
        let a = party.join(&client(A));

        assert_eq!(party.send(&a, &ipx(A)).is_ok(), ipx_passes);
        assert_eq!(party.send(&a, &wake(A)).is_ok(), !ipx_passes);
        // What the LAN says is not behind the list.
        party.send(&g, &ipx(SERVER)).unwrap();
        party.send(&g, &wake(SERVER)).unwrap();
    }
}

/// An IPv4 fragment of packet `id`: a first one with a UDP header to `port`, or a later one.
fn fragment(source: MacAddr, id: u8, port: Option<u8>) -> Vec<u8> {
    let offset = if port.is_some() { [0x20, 0] } else { [0, 2] };
    let udp = [0x0f, 0xa0, 0, port.unwrap_or(0), 0, 40, 0, 0];
    [
        &SERVER.0[..],
        &source.0,
        &[8, 0, 0x45, 0, 0, 36, 0, id],
        &offset,
        &[64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
        &udp,
        &[0; 8 + 24],
    ]
    .concat()
}

#[test]
fn r9_later_fragments_of_a_refused_first_one_stay_at_the_relay() {
    const DHCP_CLIENT: u8 = 68;
    let mut party = defaults();
    party.join(&gateway());
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let refused = Err(DropReason::Policy(Refusal::Ipv4Fragment));
    let verdict =
        |party: &mut Party, seat: &Seat, frame: &[u8]| party.send(seat, frame).map(|_| ());

    let later = fragment(A, 1, None);
    assert_eq!(verdict(&mut party, &a, &later), Ok(()));
    let first = fragment(A, 1, Some(DHCP_CLIENT));
    assert_eq!(verdict(&mut party, &a, &first), refused);
    assert_eq!(verdict(&mut party, &a, &later), refused);
    // Another packet and another client's are their own.
    assert_eq!(verdict(&mut party, &a, &fragment(A, 2, None)), Ok(()));
    assert_eq!(verdict(&mut party, &b, &fragment(B, 1, None)), Ok(()));
    party.now += Duration::from_secs(2);
    assert_eq!(verdict(&mut party, &a, &later), Ok(()));
}

/// What a gateway says about a client that closes a loop.
fn notice(about: &Seat, seconds: u64) -> Vec<u8> {
    let probe = Probe {
        kind: ProbeKind::Blocked,
        peer: about.welcome.peer,
        instance: 7,
        number: seconds,
        tag: 0,
    };

    probe.frame(probe::GROUP, probe::source(SERVER)).to_vec()
}

#[test]
fn a_client_that_closes_a_loop_is_not_heard_for_as_long_as_the_gateway_says() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let mut a = party.join(&client(A));
    let b = party.join(&client(B));
    let hello = |party: &mut Party, seat: &Seat, source| {
        let frame = frame(MacAddr::BROADCAST, source, 60);
        party.send(seat, &frame).map(|_| ())
    };

    // The notice itself goes to everybody, and only the gateway can give one.
    let told = party.send(&g, &notice(&a, 60)).unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(party.blocked, [(A, Duration::from_mins(1))]);
    assert!(party.send(&a, &notice(&b, 60)).is_err());
    party.send(&g, &notice(&a, 59)).unwrap();
    assert_eq!(party.blocked.len(), 1, "said once");

    let blocked = Err(DropReason::LoopBlocked);
    assert_eq!(hello(&mut party, &a, A), blocked);
    assert_eq!(hello(&mut party, &b, B), Ok(()));
    assert_eq!(hello(&mut party, &g, SERVER), Ok(()));
    let room = &party.switch.snapshot(party.now)[0];
    let shown = room
        .members
        .iter()
        .filter(|member| member.blocked.is_some());
    assert_eq!(
        shown.map(|member| member.mac).collect::<Vec<_>>(),
        [Some(A)]
    );

    // Leaving and coming back does not help; waiting does.
    party
        .switch
        .handle_leave(a.at, LeaveReason::Disconnect)
        .unwrap();
    a = party.join(&client(A));
    assert_eq!(hello(&mut party, &a, A), blocked);
    party.now += Duration::from_secs(59);
    assert_eq!(hello(&mut party, &a, A), Ok(()));
}

#[test]
fn r10_limits_broadcast_and_address_resolution_apart() {
    let mut party = defaults();
    party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));
    let arp = [
        &[0xff; 6][..],
        &A.0,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &A.0,
        &[0; 14],
        &[0; 18],
    ]
    .concat();

    let passed = |party: &mut Party, frame: &[u8]| {
        (0..500).filter(|_| party.send(&a, frame).is_ok()).count()
    };
    assert_eq!(passed(&mut party, &frame(MacAddr::BROADCAST, A, 60)), 128);
    assert_eq!(passed(&mut party, &arp), 64);
    party.pass(Duration::from_secs(1));
    assert_eq!(passed(&mut party, &frame(MacAddr::BROADCAST, A, 60)), 64);
    assert_eq!(passed(&mut party, &arp), 32);
}

#[test]
fn r10_limits_frames_for_stations_that_nobody_has_and_no_others() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));
    let passed = |party: &mut Party, to| {
        (0..1000)
            .filter(|_| party.send(&a, &frame(to, A, 60)).is_ok())
            .count()
    };

    assert_eq!(passed(&mut party, SERVER), 64, "nobody has seen the server");
    party.send(&g, &frame(A, SERVER, 60)).unwrap();
    assert_eq!(passed(&mut party, SERVER), 1000, "the server has spoken");
    assert_eq!(passed(&mut party, B), 1000, "a member is always known");
}

#[test]
fn r10_limits_bytes_of_a_client_and_the_lan_s_broadcast() {
    let mut party = Party::new(Limits {
        bytes: lanparty_switch::Rate {
            per_second: 60_000,
            burst: 6_000,
        },
        ..Limits::default()
    });
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));

    let passed = |party: &mut Party, from: &Seat, frame: &[u8]| {
        (0..2000)
            .filter(|_| party.send(from, frame).is_ok())
            .count()
    };
    assert_eq!(passed(&mut party, &a, &frame(B, A, 60)), 100);
    assert_eq!(
        passed(&mut party, &g, &frame(MacAddr::BROADCAST, SERVER, 60)),
        1024
    );
    assert_eq!(passed(&mut party, &g, &frame(A, SERVER, 60)), 2000);
}

#[test]
fn r10_a_client_that_sends_more_bytes_than_it_may_loses_no_small_frame() {
    let limits = Limits {
        bytes: lanparty_switch::Rate {
            per_second: 1_000_000,
            burst: 20_000,
        },
        ..Limits::default()
    };
    let mut party = Party::new(limits);
    let a = party.join(&client(A));
    party.join(&client(B));

    let (mut bulk, mut sent) = (0, 0);
    for millisecond in 0..1000 {
        for _ in 0..10 {
            sent += usize::from(party.send(&a, &frame(B, A, 1200)).is_ok());
            bulk += 1;
        }
        if millisecond % 2 == 0 {
            let ping = party.send(&a, &frame(B, A, 98));
            assert!(ping.is_ok(), "a ping goes, after {millisecond} ms");
        }
        party.now += Duration::from_millis(1);
    }

    assert!(sent < bulk / 10, "{sent} of {bulk} frames are the limit");
    assert!(sent * 1200 + 500 * 98 <= 1_000_000 + 20_000);
    assert!(sent * 1200 > 900_000, "and the limit is used: {sent}");
}

#[test]
fn r11_drops_what_is_over_the_sender_s_budget_before_reading_it() {
    let mut party = defaults();
    let a = party.join(&Hello {
        budget: 1300,
        ..client(A)
    });

    assert_eq!(
        party.send_raw(&a, &vec![0xff; 1301]),
        Err(DropReason::DatagramBudget)
    );
    assert_eq!(
        party.send_raw(&a, &vec![0xff; 1300]),
        Err(DropReason::MalformedDatagram)
    );
}

#[test]
fn r11_skips_a_target_whose_budget_is_too_small_and_no_other() {
    let mut party = defaults();
    let a = party.join(&native(client(A)));
    let b = party.join(&native(client(B)));
    let c = party.join(&native(client(C)));
    party.switch.handle_budget(b.at, 1000);

    let to = party.send(&a, &frame(MacAddr::BROADCAST, A, 1200));
    assert_eq!(to, Ok(vec![c.conn]));
    assert_eq!(party.send(&a, &frame(B, A, 1200)), Ok(vec![]));

    let snapshot = party.switch.snapshot(party.now);
    let skipped = snapshot[0].members[1].drops.get(DropReason::TargetBudget);
    assert_eq!(skipped, 2);
    party.switch.handle_budget(b.at, 1434);
    assert_eq!(party.send(&a, &frame(B, A, 1200)), Ok(vec![b.conn]));
}

#[test]
fn a_native_room_is_told_when_a_path_shrinks_and_when_it_widens() {
    let mut party = defaults();
    let hears = |hello: Hello| Hello {
        capabilities: vec![Capability::RoomBudget],
        ..hello
    };
    let told = |party: &mut Party| {
        let news = party.news().into_iter();
        let budgets = news.filter_map(|(conn, message)| match message {
            Message::RoomBudget(room) => Some((conn, room.budget)),
            _ => None,
        });
        budgets.collect::<Vec<_>>()
    };
    let a = party.join(&hears(client(A)));
    let b = party.join(&hears(client(B)));
    party.join(&native(client(C)));
    assert_eq!(told(&mut party), [], "everybody carries the MTU");

    party.switch.handle_budget(b.at, 1162);
    party.drain();
    let narrow = [(a.conn, Some(1162)), (b.conn, Some(1162))];
    assert_eq!(told(&mut party), narrow, "the third would not understand");

    let g = party.join(&hears(gateway()));
    assert_eq!(told(&mut party), [(g.conn, Some(1162))]);

    party.switch.handle_budget(b.at, 1434);
    party.drain();
    assert_eq!(told(&mut party).len(), 3);
    party.switch.handle_budget(b.at, 1162);
    party.drain();
    told(&mut party);
    party.switch.handle_lost(b.at, party.now);
    party.drain();
    let wide = [(a.conn, None), (g.conn, None)];
    assert_eq!(told(&mut party), wide, "nothing is sent to the narrow one");
}

#[test]
fn a_full_room_is_told_nothing_of_paths() {
    let mut party = defaults();
    let hello = Hello {
        capabilities: vec![Capability::FullFrame, Capability::RoomBudget],
        ..client(A)
    };
    let a = party.join(&hello);
    party.switch.handle_budget(a.at, 1162);
    party.drain();

    let news = party.news();
    assert!(
        !news
            .iter()
            .any(|(_, m)| matches!(m, Message::RoomBudget(_)))
    );
}

#[test]
fn r11_a_full_room_splits_for_a_narrow_target() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.try_join(&client(B), 1162).unwrap();
    let c = party.join(&client(C));
    let datagram = datagram(&a, &frame(MacAddr::BROADCAST, A, 1400));

    let verdict = party.switch.handle_datagram(a.at, &datagram, party.now);
    let Verdict::Forward(forward) = verdict else {
        panic!("the frame is for everybody");
    };

    let fits: Vec<_> = forward.targets().map(|t| (t.conn, t.fit)).collect();
    assert_eq!(fits, [(b.conn, Fit::Split), (c.conn, Fit::Whole)]);
    let halves = lanparty_switch::split_datagram(&datagram, forward.split_sequence).unwrap();
    assert!(halves.iter().all(|half| half.len() <= 1162));
}

#[test]
fn halves_leave_together_in_whatever_order_they_come() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let frame = frame(B, A, 1514);

    for (sequence, reorder) in [(1, false), (2, true)] {
        let [mut first, mut second] = halves(&a, &frame, sequence);
        if reorder {
            std::mem::swap(&mut first, &mut second);
        }
        assert_eq!(party.send_raw(&a, &first), Ok(vec![]));
        let verdict = party.switch.handle_datagram(a.at, &second, party.now);
        let Verdict::Forward(forward) = verdict else {
            panic!("both halves are there");
        };
        assert_eq!(forward.held.as_deref(), Some(&first[..]));
        let to: Vec<_> = forward.targets().map(|t| (t.conn, t.fit)).collect();
        assert_eq!(to, [(b.conn, Fit::Whole)]);
    }
    assert_eq!(party.switch.waiting_bytes(), 0);
}

#[test]
fn a_split_frame_hides_nothing_from_policy_and_rates() {
    let mut party = defaults();
    let a = party.join(&client(A));
    party.join(&client(B));
    let whole = |party: &mut Party, frame: &[u8], sequence| {
        let [first, second] = halves(&a, frame, sequence);
        party.send_raw(&a, &first).unwrap();
        party.send_raw(&a, &second)
    };

    assert_eq!(
        whole(&mut party, &frame(B, SERVER, 800), 1),
        Err(DropReason::SpoofedSource)
    );
    assert!(whole(&mut party, &frame(B, A, 1515), 2).is_err_and(DropReason::is_safety));
    let passed = (0..500)
        .filter(|n| whole(&mut party, &frame(MacAddr::BROADCAST, A, 1200), 3 + n).is_ok())
        .count();
    assert_eq!(passed, 128);
}

#[test]
fn halves_that_never_meet_are_counted_and_bounded() {
    let mut party = defaults();
    let a = party.join(&client(A));
    party.join(&client(B));
    let frame = frame(B, A, 1514);
    for sequence in 0..10_000 {
        let [first, _] = halves(&a, &frame, sequence);
        party.send_raw(&a, &first).unwrap();
    }

    assert!(party.switch.waiting_bytes() < 32 * 1024);
    let lost = party.switch.totals().drops.get(DropReason::FragmentLost);
    assert_eq!(lost, 10_000 - 32);
}

#[test]
fn r12_a_member_that_goes_on_sending_garbage_is_thrown_out_with_the_reason() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.news();

    for _ in 0..16 {
        party.send_raw(&a, &[]).unwrap_err();
    }
    assert!(party.closed.is_empty());
    party.send_raw(&a, &[1, 2, 3]).unwrap_err();

    assert_eq!(party.closed, [(a.conn, LeaveReason::Malformed)]);
    let [(to, Message::PeerLeft(left))] = &party.news()[..] else {
        panic!("the other is told");
    };
    assert_eq!((*to, left.reason), (b.conn, LeaveReason::Malformed));
    assert_eq!(
        party.send(&a, &frame(B, A, 60)),
        Err(DropReason::UnknownPeer)
    );
}

#[test]
fn r12_a_slow_trickle_of_garbage_ends_as_well() {
    let mut party = defaults();
    let a = party.join(&client(A));

    let survived = (0..1000)
        .take_while(|_| {
            party.pass(Duration::from_mins(1));
            party.send_raw(&a, &[0; 12]).unwrap_err();
            party.closed.is_empty()
        })
        .count();

    assert_eq!(survived, 64);
}

#[test]
fn d3_what_a_member_writes_as_room_and_sender_is_checked_and_not_believed() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let frame = frame(MacAddr::BROADCAST, A, 60);
    let lie = |room, peer| {
        let header = overlay::header(room, peer, false, 60);
        [&header[..], &frame].concat()
    };

    let other_room = lie(RoomId(a.welcome.room.0 + 1), a.welcome.peer);
    assert_eq!(
        party.send_raw(&a, &other_room),
        Err(DropReason::ForeignRoom)
    );
    let other_peer = lie(a.welcome.room, b.welcome.peer);
    assert_eq!(
        party.send_raw(&a, &other_peer),
        Err(DropReason::ForeignSource)
    );
}

#[test]
fn r13_a_mac_is_free_at_once_and_the_clients_stay_when_the_gateway_goes() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    let b = party.join(&client(B));

    party
        .switch
        .handle_leave(a.at, LeaveReason::Disconnect)
        .unwrap();
    let again = party.join(&client(A));
    assert_ne!(again.welcome.peer, a.welcome.peer, "ids are not reused");
    party
        .switch
        .handle_leave(g.at, LeaveReason::Disconnect)
        .unwrap();

    assert_eq!(
        party.send(&again, &frame(SERVER, A, 60)),
        Err(DropReason::NoGateway)
    );
    assert_eq!(party.send(&again, &frame(B, A, 60)), Ok(vec![b.conn]));
    let g = party.join(&gateway());
    assert_eq!(party.send(&b, &frame(SERVER, B, 60)), Ok(vec![g.conn]));
}

#[test]
fn r14_a_leave_carries_its_reason() {
    for reason in [
        LeaveReason::Disconnect,
        LeaveReason::Timeout,
        LeaveReason::Kicked,
    ] {
        let mut party = defaults();
        let a = party.join(&client(A));
        party.join(&client(B));
        party.news();

        party.switch.handle_leave(a.at, reason).unwrap();
        party.drain();

        let [(_, Message::PeerLeft(left))] = &party.news()[..] else {
            panic!("the other is told");
        };
        assert_eq!((left.peer, left.reason), (a.welcome.peer, reason));
    }
}

#[test]
fn r14_a_shutdown_tells_everybody() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let g = party.join(&gateway());

    party.switch.close();
    party.drain();

    let mut closed = party.closed.clone();
    closed.sort_by_key(|(conn, _)| *conn);
    assert_eq!(
        closed,
        [
            (a.conn, LeaveReason::Shutdown),
            (g.conn, LeaveReason::Shutdown)
        ]
    );
    assert_eq!((party.switch.rooms(), party.switch.members()), (0, 0));
}

#[test]
fn r15_snapshots_show_stats_and_when_a_member_was_last_seen() {
    let mut party = defaults();
    let a = party.join(&client(A));
    party.pass(Duration::from_secs(7));
    let stats = Stats {
        frames_up: 42,
        ..Stats::default()
    };
    party.switch.handle_stats(a.at, stats.clone(), party.now);
    party.pass(Duration::from_secs(5));

    let snapshot = party.switch.snapshot(party.now);
    let member = &snapshot[0].members[0];

    assert_eq!(member.stats, Some(stats));
    assert_eq!(member.last_seen, Duration::from_secs(5));
    assert_eq!(member.age, Duration::from_secs(12));
    assert_eq!((member.peer, member.mac), (PeerId(1), Some(A)));
}

fn resume(hello: Hello, seat: &Seat, generation: u64) -> Hello {
    Hello {
        resume: seat.welcome.resume.clone().map(|resume| resume.token),
        generation,
        ..hello
    }
}

#[test]
fn a_broken_connection_keeps_its_place_and_others_see_no_leave() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.news();

    party.switch.handle_lost(a.at, party.now);
    party.drain();
    assert!(matches!(party.news()[..], [(to, Message::PeerDetached(_))] if to == b.conn));
    assert_eq!(
        party.send(&b, &frame(A, B, 60)),
        Err(DropReason::TargetDetached)
    );
    party.pass(Duration::from_secs(59));
    let back = party.join(&resume(client(A), &a, 2));

    assert_eq!(back.welcome.peer, a.welcome.peer);
    let news = party.news();
    assert!(matches!(news[0], (to, Message::PeerResumed(_)) if to == b.conn));
    assert!(news.iter().skip(1).all(|(to, _)| *to == back.conn));
    assert_eq!(party.send(&b, &frame(A, B, 60)), Ok(vec![back.conn]));
    party.pass(Duration::from_mins(10));
    assert_eq!(party.switch.members(), 2, "the old deadline is nobody's");
}

#[test]
fn a_member_that_does_not_come_back_times_out() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.switch.handle_lost(a.at, party.now);
    party.drain();
    party.news();

    let deadline = party.switch.poll_timeout().unwrap();
    assert_eq!(deadline, party.now + Duration::from_mins(1));
    party.pass(Duration::from_mins(1));

    let [(to, Message::PeerLeft(left))] = &party.news()[..] else {
        panic!("the other is told");
    };
    assert_eq!((*to, left.reason), (b.conn, LeaveReason::Timeout));
    assert_eq!(party.switch.poll_timeout(), None);
}

#[test]
fn a_room_that_everybody_has_vanished_from_makes_way_and_a_live_one_does_not() {
    let mut party = Party::new(Limits {
        members: 2,
        ..Limits::default()
    });
    let gone = party.join(&in_room(client(A), "ROOM1"));
    let stays = party.join(&in_room(client(A), "ROOM2"));
    let joiner = in_room(client(A), "ROOM3");
    assert_eq!(
        party.try_join(&joiner, MAX_BUDGET).unwrap_err(),
        RejectCode::RelayFull
    );
    party.switch.handle_lost(gone.at, party.now);

    party.join(&joiner);

    assert_eq!(party.switch.rooms(), 2);
    assert_eq!(party.switch.members(), 2);
    assert!(
        party
            .switch
            .handle_leave(stays.at, LeaveReason::Disconnect)
            .is_some()
    );
}

#[test]
fn a_newer_connection_takes_over_and_the_old_one_cannot_evict_it() {
    let mut party = defaults();
    let old = party.join(&client(A));
    let b = party.join(&client(B));
    party.news();

    let new = party.join(&resume(client(A), &old, 2));
    assert_eq!(party.superseded, [old.conn]);
    assert!(
        party.news().iter().all(|(to, _)| *to == new.conn),
        "others notice nothing"
    );

    assert!(
        party
            .switch
            .handle_leave(old.at, LeaveReason::Disconnect)
            .is_none()
    );
    party.switch.handle_lost(old.at, party.now);
    assert_eq!(
        party.send(&old, &frame(B, A, 60)),
        Err(DropReason::UnknownPeer)
    );
    assert_eq!(party.send(&b, &frame(A, B, 60)), Ok(vec![new.conn]));
}

fn beside(hello: Hello) -> Hello {
    Hello {
        capabilities: vec![
            Capability::FullFrame,
            Capability::RoomBudget,
            Capability::Beside,
        ],
        ..hello
    }
}

#[test]
fn a_program_that_goes_on_in_another_process_is_heard_by_both_connections_and_gets_each_frame_once()
{
    let mut party = defaults();
    let old = party.join(&gateway());
    let b = party.join(&client(B));
    party.send(&old, &frame(B, SERVER, 60)).unwrap();
    party.news();

    let new = party.join(&beside(resume(gateway(), &old, 2)));
    let news = party.news();
    assert!(
        news.iter().all(|(to, _)| *to == new.conn),
        "nobody else is told"
    );
    let (_, last) = news.last().unwrap();
    assert!(
        matches!(last, Message::RoomBudget(_)),
        "everybody was named"
    );
    assert!(party.superseded.is_empty());
    let up = frame(SERVER, B, 60);
    let down = frame(B, SERVER, 60);
    assert_eq!(party.send(&b, &up), Ok(vec![old.conn]));
    assert_eq!(party.send(&old, &down), Ok(vec![b.conn]));
    party.join(&client(A));
    let told: Vec<ConnId> = (party.news().iter())
        .filter(|(_, message)| matches!(message, Message::PeerJoined(info) if info.mac == Some(A)))
        .map(|(to, _)| *to)
        .collect();
    assert!(
        told.contains(&old.conn) && told.contains(&new.conn),
        "{told:?}"
    );

    party.switch.handle_arrived(new.at);
    party.drain();
    assert_eq!(party.news(), [(old.conn, Message::Move)]);
    assert_eq!(party.send(&b, &up), Ok(vec![new.conn]));
    assert_eq!(party.send(&old, &down), Ok(vec![b.conn]), "on its way");
    assert_eq!(party.send(&new, &down), Ok(vec![b.conn]));
    party.switch.handle_leave(old.at, LeaveReason::Disconnect);
    party.drain();
    assert!(
        party.news().is_empty(),
        "the old process left, not the gateway"
    );
    assert_eq!(party.send(&old, &down), Err(DropReason::UnknownPeer));
    assert_eq!(party.send(&b, &up), Ok(vec![new.conn]));
}

#[test]
fn a_new_process_that_dies_before_it_knows_the_room_leaves_the_old_one_as_it_was() {
    let mut party = defaults();
    let old = party.join(&gateway());
    let b = party.join(&client(B));
    let new = party.join(&beside(resume(gateway(), &old, 9)));
    party.news();

    party.switch.handle_lost(new.at, party.now);
    party.drain();

    assert!(party.news().is_empty());
    assert_eq!(party.send(&b, &frame(SERVER, B, 60)), Ok(vec![old.conn]));
    let again = party.join(&resume(gateway(), &old, 2));
    assert_eq!(party.superseded, [old.conn]);
    assert_eq!(again.welcome.peer, old.welcome.peer);
}

#[test]
fn two_connections_of_one_place_end_with_the_member_and_after_a_while() {
    let mut party = defaults();
    let old = party.join(&gateway());
    let b = party.join(&client(B));
    let new = party.join(&beside(resume(gateway(), &old, 2)));
    party.pass(Duration::from_secs(30));
    assert_eq!(party.superseded, [old.conn]);
    assert_eq!(party.send(&b, &frame(SERVER, B, 60)), Ok(vec![new.conn]));

    let third = party.join(&beside(resume(gateway(), &new, 3)));
    party.switch.handle_leave(third.at, LeaveReason::Disconnect);
    party.drain();
    assert_eq!(party.superseded, [old.conn, new.conn]);
}

#[test]
fn an_older_attempt_or_a_wrong_token_takes_nothing() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let wrong = Hello {
        resume: Some("0".repeat(32)),
        generation: 9,
        ..client(A)
    };

    assert_eq!(
        party
            .try_join(&resume(client(A), &a, 1), MAX_BUDGET)
            .unwrap_err(),
        RejectCode::Superseded
    );
    assert_eq!(
        party.try_join(&wrong, MAX_BUDGET).unwrap_err(),
        RejectCode::MacInUse
    );
    assert!(party.superseded.is_empty());
}

/// Its welcome was lost, and it says hello by another connection.
#[test]
fn a_member_that_never_heard_its_welcome_gets_its_place_and_a_copy_of_it_does_not() {
    for hello in [client(A), gateway()] {
        let started = |instance: u8, generation| Hello {
            instance: Some(format!("{instance:032x}")),
            generation,
            ..hello.clone()
        };
        let mut party = defaults();
        let b = party.join(&client(B));
        let old = party.join(&started(7, 1));
        party.news();

        let new = party.join(&started(7, 2));
        assert_eq!(new.welcome.peer, old.welcome.peer);
        assert_eq!(party.superseded, [old.conn]);
        assert!(party.news().iter().all(|(to, _)| *to != b.conn));

        let mut silent = started(7, 3);
        silent.instance = None;
        for other in [started(8, 3), silent] {
            let refused = party.try_join(&other, MAX_BUDGET).unwrap_err();
            assert!(matches!(
                refused,
                RejectCode::MacInUse | RejectCode::GatewayPresent
            ));
        }
    }
}

#[test]
fn a_computer_that_forgot_its_token_gets_its_mac_back_once_its_connection_broke() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    party.switch.handle_lost(a.at, party.now);
    party.drain();
    party.news();

    let again = party.join(&client(A));

    assert_ne!(again.welcome.peer, a.welcome.peer);
    let to_b: Vec<_> = party
        .news()
        .into_iter()
        .filter_map(|(to, message)| (to == b.conn).then_some(message))
        .collect();
    assert!(matches!(
        to_b[..],
        [Message::PeerLeft(_), Message::PeerJoined(_)]
    ));
    assert_eq!(party.switch.members(), 2);
}

#[test]
fn a_joiner_hears_who_is_away() {
    let mut party = defaults();
    let g = party.join(&gateway());
    party.switch.handle_lost(g.at, party.now);
    party.drain();
    party.news();

    let a = party.join(&client(A));

    assert!(!a.welcome.gateway);
    let news = party.news();
    assert!(matches!(
        news[..],
        [
            (_, Message::Welcome(_)),
            (_, Message::PeerJoined(_)),
            (_, Message::PeerDetached(_))
        ]
    ));
}

#[test]
fn rooms_pass_to_the_next_process_with_everything_that_members_know_of_them() {
    let mut old = defaults();
    let (gate, a, b) = (
        old.join(&gateway()),
        old.join(&client(A)),
        old.join(&client(B)),
    );
    old.send(&gate, &frame(A, SERVER, 100)).unwrap();

    let records = old.switch.hand_over(old.now);
    assert_eq!(
        old.send(&a, &frame(B, A, 100)),
        Ok(vec![b.conn]),
        "the old process carries on"
    );

    let mut new = defaults();
    new.conns = 100;
    new.switch.take_over(records, new.now);
    assert_eq!(
        new.try_join(&client(C), MAX_BUDGET).unwrap_err(),
        RejectCode::ShuttingDown,
        "strangers wait"
    );
    let (new_a, new_gate) = (
        new.join(&resume(client(A), &a, 2)),
        new.join(&resume(gateway(), &gate, 2)),
    );
    assert_eq!(
        (new_a.welcome.room, new_a.welcome.peer, new_a.welcome.mtu),
        (a.welcome.room, a.welcome.peer, a.welcome.mtu)
    );
    assert_eq!(new_gate.welcome.peer, gate.welcome.peer);
    assert_eq!(
        new.send(&new_a, &frame(B, A, 100)),
        Err(DropReason::TargetDetached),
        "B is not there yet"
    );
    let new_b = new.join(&resume(client(B), &b, 2));
    assert_eq!(new.send(&new_a, &frame(B, A, 100)), Ok(vec![new_b.conn]));
    assert_eq!(new.switch.snapshot(new.now)[0].lan_stations, 1);

    new.switch.settle(new.now);
    let c = new.join(&client(C));
    assert!(
        ![a, b, gate]
            .iter()
            .any(|m| m.welcome.peer == c.welcome.peer)
    );
    new.pass(Duration::from_mins(2));
    assert_eq!(new.switch.members(), 4, "who came does not time out");
}

#[test]
fn who_does_not_come_to_the_next_process_times_out_there() {
    let mut old = defaults();
    old.join(&gateway());
    let a = old.join(&client(A));
    let records = old.switch.hand_over(old.now);
    old.join(&client(B));

    let mut new = defaults();
    new.switch.take_over(records, new.now);
    new.join(&resume(client(A), &a, 2));
    new.switch.settle(new.now);
    let b = new.join(&client(B));
    new.switch.handle_lost(b.at, new.now);
    new.pass(Limits::default().detached_lifetime);
    assert_eq!(
        new.switch.members(),
        2,
        "B is gone, and the gateway awaited"
    );
    new.pass(Duration::from_secs(90));
    assert_eq!(new.switch.members(), 1);
    assert!(matches!(
        new.news().last(),
        Some((_, Message::PeerLeft(left))) if left.reason == LeaveReason::Timeout
    ));
}

/// A room with a gateway and a client that is on its way from one process to the next.
fn renewed() -> (Party, Seat) {
    let mut old = defaults();
    let gate = old.join(&gateway());
    old.join(&client(A));
    let records = old.switch.hand_over(old.now);
    let mut new = Party::new(Limits {
        members: 2,
        ..Limits::default()
    });
    new.conns = 100;
    new.switch.take_over(records, new.now);

    (new, gate)
}

/// Returns why a gateway that stands by does not get the place now.
fn standby_is_told(party: &mut Party) -> RejectCode {
    let standby = gateway();
    assert_eq!(party.switch.rival_of(&standby), None);

    party.try_join(&standby, MAX_BUDGET).unwrap_err()
}

#[test]
fn a_standby_does_not_get_the_place_of_a_gateway_that_is_on_its_way_to_the_next_process() {
    let (mut new, gate) = renewed();
    assert_eq!(standby_is_told(&mut new), RejectCode::ShuttingDown);
    new.pass(Duration::from_secs(29));
    assert_eq!(standby_is_told(&mut new), RejectCode::ShuttingDown);

    let came = new.join(&resume(gateway(), &gate, 2));
    new.switch.settle(new.now);

    assert_eq!(came.welcome.peer, gate.welcome.peer);
    assert_eq!(
        new.try_join(&gateway(), MAX_BUDGET).unwrap_err(),
        RejectCode::GatewayPresent
    );
    new.switch.handle_lost(came.at, new.now);
    new.join(&gateway());
}

#[test]
fn a_standby_waits_for_the_gateway_of_an_old_process_that_died_on_the_way() {
    let (mut new, gate) = renewed();
    new.switch.settle(new.now);
    assert_eq!(standby_is_told(&mut new), RejectCode::GatewayPresent);
    new.pass(Duration::from_secs(4));
    assert_eq!(standby_is_told(&mut new), RejectCode::GatewayPresent);
    let came = new.join(&resume(gateway(), &gate, 2));
    assert_eq!(came.welcome.peer, gate.welcome.peer);
    new.switch.handle_lost(came.at, new.now);
    new.join(&gateway());

    let (mut without, gate) = renewed();
    without.switch.settle(without.now);
    without.pass(Duration::from_secs(5));
    let other = without.join(&gateway());
    assert_ne!(
        other.welcome.peer, gate.welcome.peer,
        "who does not come has lost its place"
    );
}

#[test]
fn a_room_on_its_way_does_not_make_way_for_a_new_one() {
    let (mut new, gate) = renewed();

    let refused = new.try_join(&in_room(client(B), "ROOM2"), MAX_BUDGET);

    assert_eq!(refused.unwrap_err(), RejectCode::RelayFull);
    new.join(&resume(gateway(), &gate, 2));
}

#[test]
fn every_byte_counted_went_somewhere_or_has_a_reason() {
    let mut party = defaults();
    party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));
    let frames = (0..300).map(|number| [MacAddr::BROADCAST, B, A, SERVER][number % 4]);
    let passed = frames
        .filter(|to| party.send(&a, &frame(*to, A, 60)).is_ok())
        .count();

    let totals = party.switch.totals();
    assert_eq!(totals.ingress.frames, u64::try_from(passed).unwrap());
    assert_eq!(totals.ingress.frames + totals.drops.total(), 300);
    assert_eq!(totals.ingress.bytes, totals.ingress.frames * 60);
}
