//! What a session does, told as its owner sees it.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    reason = "tests need some instant to start from, and look for one output among many"
)]

use std::time::{Duration, Instant};

use lanparty_client_core::{
    Attempt, Cause, Config, Exit, JoinInfo, Neighbor, Output, Session, Standby, session,
};
use lanparty_ctrl::{
    Capability, Decoder, Disconnect, ForeignSource, Hello, LeaveReason, MAX_ADMITTED, Message,
    Mode, PeerInfo, PeerLeft, PeerRef, Redirect, Reject, RejectCode, Restarting, Resume, Role,
    RoomBudget, Stats, Welcome, close_code, encode,
};
use lanparty_obs::StatusLine;
use lanparty_proto::{MacAddr, PeerId, RoomId};
use proptest::prelude::*;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const RTT: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(Self::config())
    }

    /// A gateway that may stand by.
    fn gateway(standby: Standby) -> Self {
        Self::with(Config {
            role: Role::Gateway,
            mac: None,
            standby,
            ..Self::config()
        })
    }

    fn config() -> Config {
        Config {
            relay: "relay.example:443".into(),
            role: Role::Client,
            room: "PARTY".parse().unwrap(),
            mac: Some(MAC),
            interface: "softlan0".into(),
            budget: 1600,
            full_frame: true,
            down_rate: None,
            program: "test".into(),
            program_version: "1".into(),
            generation: 100,
            resume: None,
            standby: Standby::Never,
            instance: 0x5eed,
            seed: 7,
        }
    }

    fn with(config: Config) -> Self {
        let mut bench = Self {
            session: Session::new(config),
            now: Instant::now(),
        };
        bench.session.start(bench.now);

        bench
    }

    /// A session that has joined on its first attempt.
    fn joined() -> (Self, Attempt) {
        let mut bench = Self::new();
        let attempt = connect(&bench.outputs()).unwrap();
        bench.connected(attempt);
        bench.outputs();
        bench.say(attempt, Message::Welcome(welcome(5)));
        bench.outputs();

        (bench, attempt)
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    fn connected(&mut self, attempt: Attempt) {
        self.session.handle_connected(attempt, 1400, RTT, self.now);
    }

    fn say(&mut self, attempt: Attempt, message: Message) {
        self.session
            .handle_control(attempt, &encode(&message), self.now);
    }

    fn closed(&mut self, attempt: Attempt, cause: Cause) {
        self.session.handle_closed(attempt, cause, self.now);
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// Lets time pass until the session wants to connect, answering nothing.
    fn next_attempt(&mut self) -> Attempt {
        for _ in 0..100 {
            if let Some(attempt) = connect(&self.outputs()) {
                return attempt;
            }
            self.now = self.session.poll_timeout().unwrap();
            self.session.handle_timeout(self.now);
        }
        panic!("the session wants no connection");
    }
}

fn connect(outputs: &[Output]) -> Option<Attempt> {
    outputs.iter().find_map(|output| match output {
        Output::Connect { attempt, .. } => Some(*attempt),
        _ => None,
    })
}

fn joins(outputs: &[Output]) -> Option<JoinInfo> {
    outputs.iter().find_map(|output| match output {
        Output::Joined(info) => Some(info.clone()),
        _ => None,
    })
}

fn end(outputs: &[Output]) -> Option<(Exit, String)> {
    outputs.iter().find_map(|output| match output {
        Output::Ended(end) => Some((end.exit, end.sentence.clone())),
        _ => None,
    })
}

fn sent(outputs: &[Output]) -> Vec<Message> {
    let mut decoder = Decoder::new(MAX_ADMITTED);
    for output in outputs {
        if let Output::Send { bytes, .. } = output {
            decoder.push(bytes);
        }
    }

    std::iter::from_fn(|| decoder.poll_message().unwrap()).collect()
}

fn hello(outputs: &[Output]) -> Hello {
    match sent(outputs).into_iter().next() {
        Some(Message::Hello(hello)) => hello,
        other => panic!("no hello but {other:?}"),
    }
}

fn lines(outputs: &[Output]) -> Vec<String> {
    let lines = outputs.iter().filter_map(|output| match output {
        Output::Status(line) => Some(line.to_string()),
        _ => None,
    });

    lines.collect()
}

fn welcome(peer: u16) -> Welcome {
    Welcome {
        peer: PeerId(peer),
        room: RoomId(9),
        mtu: 1500,
        mode: Mode::Full,
        budget: 1500,
        gateway: true,
        resume: Some(Resume {
            token: "token".into(),
            seconds: 60,
        }),
        relay_version: String::new(),
    }
}

fn client(peer: u16, mac: MacAddr) -> Message {
    Message::PeerJoined(PeerInfo {
        peer: PeerId(peer),
        role: Role::Client,
        mac: Some(mac),
    })
}

fn reject(code: RejectCode) -> Message {
    Message::Reject(Reject {
        code,
        message: "the sentence".into(),
    })
}

#[test]
fn joins_with_a_hello_and_a_welcome() {
    let mut bench = Bench::new();
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    let hello = hello(&bench.outputs());
    assert_eq!((hello.mac, hello.generation), (Some(MAC), 100));

    bench.say(attempt, Message::Welcome(welcome(5)));
    let outputs = bench.outputs();
    let info = joins(&outputs).unwrap();

    assert_eq!(
        (info.peer, info.room, info.budget),
        (PeerId(5), RoomId(9), 1400)
    );
    assert!(!info.same_place);
    assert!(lines(&outputs)[0].starts_with("joined room PARTY: the LAN gateway is here"));
    assert_eq!(bench.session.budget(), 1400);
}

#[test]
fn welcome_that_comes_byte_by_byte_is_the_same() {
    let mut bench = Bench::new();
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    for byte in encode(&Message::Welcome(welcome(5))) {
        bench.session.handle_control(attempt, &[byte], bench.now);
    }

    assert!(joins(&bench.outputs()).is_some());
}

#[test]
fn budget_follows_the_path_up_to_what_was_agreed() {
    let (mut bench, attempt) = Bench::joined();

    bench.session.handle_budget(attempt, 1200, bench.now);
    assert_eq!(bench.session.budget(), 1200);
    bench.session.handle_budget(attempt, 9000, bench.now);
    assert_eq!(bench.session.budget(), 1500);
}

#[test]
fn budget_is_what_fits_everybody_while_the_room_says_so() {
    let (mut bench, attempt) = Bench::joined();

    for (told, budget) in [(Some(1162), 1162), (Some(9000), 1400), (None, 1400)] {
        let room = RoomBudget { budget: told };
        bench.say(attempt, Message::RoomBudget(room));
        assert_eq!(bench.session.budget(), budget);
    }
}

#[test]
fn first_join_that_finds_nobody_ends_after_ten_seconds_and_names_the_relay() {
    let mut bench = Bench::new();
    bench.pass(session::FIRST_JOIN);
    let (exit, sentence) = end(&bench.outputs()).unwrap();

    assert_eq!(exit, Exit::Refused);
    assert!(sentence.contains("relay.example:443"), "{sentence}");
    assert_eq!(bench.session.poll_timeout(), None);
}

#[test]
fn unreachable_relay_is_tried_until_it_answers() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        let attempt = bench.next_attempt();
        bench.closed(attempt, Cause::Unreachable("connection refused".into()));
    }
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(5)));

    assert!(joins(&bench.outputs()).is_some());
}

#[test]
fn wrong_certificate_ends_at_once() {
    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.closed(attempt, Cause::Certificate("unknown issuer".into()));
    let (exit, sentence) = end(&bench.outputs()).unwrap();

    assert_eq!(exit, Exit::Refused);
    assert!(sentence.contains("certificate"), "{sentence}");
}

#[test]
fn a_relay_cannot_make_lines_of_its_own() {
    let forged = "no\n$ sudo \u{1b}[2K";
    for (code, is_final) in [
        (RejectCode::RoomFull, true),
        (RejectCode::ShuttingDown, false),
    ] {
        let mut bench = Bench::new();
        let attempt = bench.next_attempt();
        bench.connected(attempt);
        let message = forged.into();
        bench.say(attempt, Message::Reject(Reject { code, message }));

        let outputs = bench.outputs();
        let told = match end(&outputs) {
            Some((_, sentence)) => sentence,
            None => lines(&outputs).concat(),
        };
        assert_eq!(end(&outputs).is_some(), is_final);
        assert!(told.starts_with(r"no\n$ sudo \u{1b}[2K"), "{told:?}");
    }
}

#[test]
fn permanent_rejects_end_with_their_sentence_whether_told_or_closed() {
    for code in [
        RejectCode::MacInUse,
        RejectCode::GatewayPresent,
        RejectCode::RoomFull,
    ] {
        let mut bench = Bench::new();
        let attempt = bench.next_attempt();
        bench.connected(attempt);
        bench.say(attempt, reject(code));
        assert_eq!(
            end(&bench.outputs()),
            Some((Exit::Refused, "the sentence".into())),
            "{code:?}"
        );
    }

    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    let cause = Cause::Closed {
        code: close_code::REJECTED.into(),
        text: "the sentence".into(),
    };
    bench.closed(attempt, cause);
    assert_eq!(
        end(&bench.outputs()),
        Some((Exit::Refused, "the sentence".into()))
    );
}

#[test]
fn relay_that_is_shutting_down_is_tried_again() {
    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, reject(RejectCode::ShuttingDown));

    assert!(bench.next_attempt() > attempt);
}

#[test]
fn redirect_connects_to_the_worker_it_names() {
    let mut bench = Bench::new();
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, Message::Redirect(Redirect { worker: 3 }));

    let outputs = bench.outputs();
    let is_sent_there = outputs.iter().any(
        |output| matches!(output, Output::Connect { worker: Some(3), attempt: a } if *a != attempt),
    );
    assert!(is_sent_there, "{outputs:?}");
}

#[test]
fn redirects_in_a_circle_do_not_go_on_without_a_pause() {
    let mut bench = Bench::new();
    let mut attempt = bench.next_attempt();
    for _ in 0..4 {
        bench.connected(attempt);
        bench.say(attempt, Message::Redirect(Redirect { worker: 3 }));
        match connect(&bench.outputs()) {
            Some(next) => attempt = next,
            None => return,
        }
    }
    panic!("four redirects were followed");
}

#[test]
fn lost_connection_is_told_and_taken_up_with_token_and_a_higher_generation() {
    let (mut bench, attempt) = Bench::joined();
    bench.pass(10 * SECOND);
    bench.closed(attempt, Cause::Reset);
    let outputs = bench.outputs();
    assert!(outputs.contains(&Output::Detached));
    assert!(outputs.contains(&Output::Status(StatusLine::ConnectionLost)));

    let attempt = connect(&outputs).unwrap();
    bench.now += Duration::from_millis(1200);
    bench.connected(attempt);
    let hello = hello(&bench.outputs());
    assert_eq!(hello.resume.as_deref(), Some("token"));
    assert_eq!(hello.instance, Some(format!("{:032x}", 0x5eed)));
    assert_eq!(hello.generation, 101);

    bench.say(attempt, Message::Welcome(welcome(5)));
    let outputs = bench.outputs();
    assert!(joins(&outputs).unwrap().same_place);
    assert_eq!(lines(&outputs), ["back after 1.2 s"]);
}

#[test]
fn after_the_first_join_it_tries_for_ever_at_most_six_and_a_half_seconds_apart() {
    let (mut bench, attempt) = Bench::joined();
    bench.closed(attempt, Cause::TimedOut);
    for _ in 0..200 {
        let before = bench.now;
        let attempt = bench.next_attempt();
        assert!(bench.now - before <= Duration::from_millis(6500));
        bench.closed(attempt, Cause::Unreachable("no route".into()));
    }
}

#[test]
fn an_attempt_that_took_too_long_may_still_succeed_until_the_next_begins() {
    let (mut bench, attempt) = Bench::joined();
    bench.closed(attempt, Cause::TimedOut);
    for _ in 0..10 {
        let attempt = bench.next_attempt();
        let outputs = std::iter::from_fn(|| {
            let outputs = bench.outputs();
            if connect(&outputs).is_none() {
                bench.now = bench.session.poll_timeout().unwrap();
                bench.session.handle_timeout(bench.now);
            }

            connect(&outputs).is_none().then_some(outputs)
        });
        let is_closed =
            |output: &Output| matches!(output, Output::Close { attempt: a, .. } if *a == attempt);
        assert!(
            !outputs.flatten().any(|output| is_closed(&output)),
            "too early"
        );
    }
}

#[test]
fn a_relay_that_answers_while_the_next_attempt_is_waited_for_is_joined_at_once() {
    let (mut bench, attempt) = Bench::joined();
    bench.closed(attempt, Cause::TimedOut);
    let attempt = bench.next_attempt();
    bench.pass(Duration::from_millis(510));
    assert_eq!(connect(&bench.outputs()), None, "it waits");

    bench.connected(attempt);
    assert_eq!(hello(&bench.outputs()).generation, 101);
    bench.pass(SECOND);
    assert_eq!(connect(&bench.outputs()), None, "one is enough");
    bench.say(attempt, Message::Welcome(welcome(5)));
    assert!(joins(&bench.outputs()).is_some());
}

#[test]
fn silence_tries_a_second_connection_and_the_winner_takes_over() {
    let (mut bench, old) = Bench::joined();
    bench.session.handle_silence(old, SECOND, bench.now);
    assert_eq!(connect(&bench.outputs()), None);
    bench
        .session
        .handle_silence(old, session::SUSPICION, bench.now);
    let new = connect(&bench.outputs()).unwrap();

    bench.connected(new);
    bench.pass(SECOND / 4);
    bench.say(new, Message::Welcome(welcome(5)));
    let outputs = bench.outputs();
    let is_closed =
        |output: &Output| matches!(output, Output::Close { attempt, .. } if *attempt == old);
    assert!(outputs.iter().any(is_closed));
    assert_eq!(joins(&outputs).unwrap().attempt, new);

    bench.closed(old, Cause::TimedOut);
    assert_eq!(bench.outputs(), [], "the old one's end changes nothing");
}

#[test]
fn connection_that_answers_again_is_kept() {
    let (mut bench, old) = Bench::joined();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.session.handle_silence(old, Duration::ZERO, bench.now);

    let outputs = bench.outputs();
    assert!(matches!(outputs[..], [Output::Close { attempt, .. }] if attempt == new));
    assert_eq!(bench.session.attempt(), Some(old));
}

#[test]
fn own_takeover_is_not_mistaken_for_being_thrown_out() {
    let (mut bench, old) = Bench::joined();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.pass(SECOND / 4);
    let kicked = Message::Disconnect(Disconnect {
        reason: LeaveReason::Kicked,
        message: "a newer connection of this computer has taken over".into(),
    });
    bench.say(old, kicked.clone());
    bench.say(new, Message::Welcome(welcome(5)));
    assert!(joins(&bench.outputs()).unwrap().same_place);

    bench.say(new, kicked);
    assert_eq!(end(&bench.outputs()).unwrap().0, Exit::Refused);
}

#[test]
fn relay_that_restarts_is_left_only_for_its_successor() {
    let (mut bench, old) = Bench::joined();
    bench.say(
        old,
        Message::Restarting(Restarting {
            reconnect_in_ms: 300,
            stay: false,
        }),
    );
    bench.pass(Duration::from_millis(299));
    assert_eq!(connect(&bench.outputs()), None);
    bench.pass(Duration::from_millis(1));
    let new = connect(&bench.outputs()).unwrap();
    assert_eq!(bench.session.attempt(), Some(old));

    bench.connected(new);
    bench.say(new, Message::Welcome(welcome(8)));
    let outputs = bench.outputs();
    assert_eq!(bench.session.attempt(), Some(new));
    assert_eq!(lines(&outputs), [""; 0], "nobody noticed anything");
}

/// A session whose relay has a successor, where the new connection `.2` waits.
fn waiting() -> (Bench, Attempt, Attempt) {
    let (mut bench, old) = Bench::joined();
    bench.say(
        old,
        Message::Restarting(Restarting {
            reconnect_in_ms: 300,
            stay: true,
        }),
    );
    bench.pass(Duration::from_millis(300));
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.outputs();
    bench.say(new, Message::Welcome(welcome(5)));

    (bench, old, new)
}

fn said(outputs: &[Output], to: Attempt) -> Vec<Message> {
    let mut decoder = Decoder::new(MAX_ADMITTED);
    for output in outputs {
        match output {
            Output::Send { attempt, bytes } if *attempt == to => decoder.push(bytes),
            _ => {}
        }
    }

    std::iter::from_fn(|| decoder.poll_message().unwrap()).collect()
}

#[test]
fn successor_of_a_relay_is_only_listened_to_until_the_word_to_move() {
    let (mut bench, old, new) = waiting();
    let outputs = bench.outputs();
    assert_eq!(said(&outputs, old), [Message::Arrived]);
    assert!(joins(&outputs).is_none());
    assert_eq!(bench.session.attempt(), Some(old));
    assert!(bench.session.hears(old) && bench.session.hears(new));

    bench.say(old, Message::Move);
    let outputs = bench.outputs();
    assert!(joins(&outputs).unwrap().same_place);
    assert_eq!(said(&outputs, old), [Message::Arrived], "nothing follows");
    assert_eq!(lines(&outputs), [""; 0], "nobody noticed anything");
    assert_eq!(bench.session.attempt(), Some(new));
    assert!(bench.session.hears(old) && bench.session.hears(new));

    bench.closed(
        old,
        Cause::Closed {
            code: close_code::SHUTDOWN.into(),
            text: String::new(),
        },
    );
    assert!(bench.outputs().is_empty());
    assert!(!bench.session.hears(old));
    assert_eq!(bench.session.attempt(), Some(new));
}

/// A gateway's new process, welcomed beside the old one.
fn succeeding() -> (Bench, Attempt) {
    let config = Config {
        role: Role::Gateway,
        mac: None,
        resume: Some("t5".into()),
        ..Bench::config()
    };
    let mut bench = Bench {
        session: Session::new(config).succeed(),
        now: Instant::now(),
    };
    bench.session.start(bench.now);
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);

    (bench, attempt)
}

#[test]
fn a_new_process_takes_frames_once_everybody_was_named_and_its_path_was_explored() {
    let (mut bench, attempt) = succeeding();
    let asked = hello(&bench.outputs());
    assert!(asked.can(Capability::Beside));
    bench.say(attempt, Message::Welcome(welcome(5)));
    bench.say(attempt, client(6, OTHER));
    assert!(
        said(&bench.outputs(), attempt).is_empty(),
        "others may follow"
    );

    bench.say(attempt, Message::RoomBudget(RoomBudget { budget: None }));
    bench.session.handle_budget(attempt, 1300, bench.now);
    assert!(
        said(&bench.outputs(), attempt).is_empty(),
        "larger ones may pass"
    );
    bench.pass(SECOND);

    assert_eq!(said(&bench.outputs(), attempt), [Message::Arrived]);
    bench.closed(attempt, Cause::Reset);
    let next = bench.next_attempt();
    bench.connected(next);
    let asked = hello(&bench.outputs());
    assert!(!asked.can(Capability::Beside), "a member like any other");
}

#[test]
fn a_new_process_that_is_not_admitted_ends_and_never_stands_by() {
    let (mut bench, attempt) = succeeding();
    bench.say(attempt, reject(RejectCode::GatewayPresent));

    assert_eq!(end(&bench.outputs()).unwrap().0, Exit::Refused);
}

#[test]
fn an_old_process_gives_way_when_it_is_told_to_move_or_superseded() {
    for is_told in [true, false] {
        let (mut bench, attempt) = Bench::joined();
        assert!(bench.session.hand_over().is_some());
        assert_eq!(bench.session.hand_over(), None, "one at a time");
        assert!(!bench.session.is_handed_over());
        if is_told {
            bench.say(attempt, Message::Move);
        } else {
            bench.closed(
                attempt,
                Cause::Closed {
                    code: close_code::SUPERSEDED.into(),
                    text: String::new(),
                },
            );
        }

        assert!(bench.session.is_handed_over());
        bench.pass(SECOND * 30);
        let outputs = bench.outputs();
        assert_eq!((end(&outputs), connect(&outputs)), (None, None));
    }
}

#[test]
fn an_old_process_whose_successor_did_not_come_is_a_member_like_any_other() {
    let (mut bench, attempt) = Bench::joined();
    bench.session.hand_over().unwrap();
    bench.session.keep_on();

    bench.closed(attempt, Cause::Reset);
    assert!(!bench.session.is_handed_over());
    bench.next_attempt();
    assert_eq!(bench.session.hand_over(), None, "there is no place to give");
}

#[test]
fn others_who_come_to_the_successor_later_are_not_told_as_gone() {
    let (mut bench, old, new) = waiting();
    bench.say(old, client(6, OTHER));
    bench.outputs();
    bench.say(new, client(6, OTHER));
    bench.say(new, Message::PeerDetached(PeerRef { peer: PeerId(6) }));
    bench.say(old, Message::Move);
    bench.say(new, Message::PeerResumed(PeerRef { peer: PeerId(6) }));
    bench.pass(Duration::from_secs(20));

    assert_eq!(lines(&bench.outputs()), [""; 0]);
    assert_eq!(bench.session.peers().count(), 1);
}

#[test]
fn old_relay_that_dies_in_the_middle_of_a_move_is_left_at_once() {
    let (mut bench, old, new) = waiting();
    bench.closed(old, Cause::Reset);
    assert_eq!(bench.session.attempt(), Some(new));
    assert_eq!(lines(&bench.outputs()), [""; 0]);

    let (mut bench, old, new) = waiting();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    assert_eq!(bench.session.attempt(), Some(new));
}

#[test]
fn who_left_a_silent_relay_by_itself_confirms_when_that_says_move_after_all() {
    let (mut bench, old, _new) = waiting();
    bench.session.handle_silence(old, 2 * SECOND, bench.now);
    bench.outputs();

    bench.say(old, Message::PeerDetached(PeerRef { peer: PeerId(6) }));
    assert_eq!(said(&bench.outputs(), old), []);
    bench.say(old, Message::Move);

    assert_eq!(said(&bench.outputs(), old), [Message::Arrived]);
    // Others may still be told to come for 20 s, and have a minute for it; until then they send by the old connection.
    bench.pass(80 * SECOND);
    assert!(bench.session.hears(old), "what is on its way is ours");
    bench.pass(20 * SECOND);
    assert!(!bench.session.hears(old));
}

#[test]
fn connection_that_carries_less_arrives_when_it_carries_as_much_or_has_had_its_time() {
    for grows in [true, false] {
        let (mut bench, old) = Bench::joined();
        bench.say(
            old,
            Message::Restarting(Restarting {
                reconnect_in_ms: 0,
                stay: true,
            }),
        );
        bench.pass(Duration::ZERO);
        let new = connect(&bench.outputs()).unwrap();
        bench.session.handle_connected(new, 1200, RTT, bench.now);
        bench.say(new, Message::Welcome(welcome(5)));
        assert_eq!(said(&bench.outputs(), old), []);
        if grows {
            bench.session.handle_budget(new, 1400, bench.now);
        } else {
            bench.pass(SECOND);
        }
        assert_eq!(said(&bench.outputs(), old), [Message::Arrived]);
    }
}

#[test]
fn successor_that_knows_nothing_of_the_place_is_moved_to_at_once() {
    let (mut bench, old) = Bench::joined();
    bench.say(
        old,
        Message::Restarting(Restarting {
            reconnect_in_ms: 0,
            stay: true,
        }),
    );
    bench.pass(Duration::ZERO);
    let new = connect(&bench.outputs()).unwrap();
    bench.connected(new);
    bench.say(new, Message::Welcome(welcome(8)));

    assert!(!joins(&bench.outputs()).unwrap().same_place);
    assert_eq!(bench.session.attempt(), Some(new));
    assert!(!bench.session.hears(old));
}

#[test]
fn a_mac_that_moves_to_another_id_leaves_before_it_joins() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.outputs();
    bench.say(attempt, client(7, OTHER));

    let outputs = bench.outputs();
    let moves = outputs.iter().filter_map(|output| match output {
        Output::PeerLeft(peer, _) => Some(("left", peer.id.0)),
        Output::PeerJoined(peer) => Some(("joined", peer.id.0)),
        _ => None,
    });
    assert_eq!(moves.collect::<Vec<_>>(), [("left", 6), ("joined", 7)]);
}

#[test]
fn same_numbers_with_another_token_are_another_place() {
    let (mut bench, old) = Bench::joined();
    bench.closed(old, Cause::Reset);
    let new = bench.next_attempt();
    bench.connected(new);
    let mut other = welcome(5);
    other.resume = Some(Resume {
        token: "another".into(),
        seconds: 60,
    });
    bench.say(new, Message::Welcome(other));

    assert!(!joins(&bench.outputs()).unwrap().same_place);
}

#[test]
fn peers_are_told_by_name() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.say(attempt, Message::PeerDetached(PeerRef { peer: PeerId(6) }));
    bench.say(attempt, Message::PeerResumed(PeerRef { peer: PeerId(6) }));
    bench.say(
        attempt,
        Message::PeerLeft(PeerLeft {
            peer: PeerId(6),
            reason: LeaveReason::Disconnect,
        }),
    );
    let outputs = bench.outputs();

    assert_eq!(
        lines(&outputs),
        [
            "client 02:00:00:00:00:02 joined",
            "client 02:00:00:00:00:02 left (disconnect)"
        ]
    );
    let kinds: Vec<u8> = (outputs.iter())
        .filter_map(|output| match output {
            Output::PeerJoined(_) => Some(1),
            Output::PeerDetached(_) => Some(2),
            Output::PeerResumed(_) => Some(3),
            Output::PeerLeft(..) => Some(4),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [1, 2, 3, 4]);
}

#[test]
fn party_that_comes_back_with_a_new_relay_is_not_announced_twice() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.pass(10 * SECOND);
    bench.closed(attempt, Cause::Reset);
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(1)));
    bench.outputs();
    bench.say(attempt, client(2, OTHER));
    let outputs = bench.outputs();
    assert_eq!(lines(&outputs), [""; 0]);
    assert!(matches!(outputs[..], [Output::PeerJoined(peer)] if peer.id == PeerId(2)));

    bench.pass(20 * SECOND);
    assert_eq!(bench.outputs(), []);
}

#[test]
fn who_left_while_we_were_away_is_told_once() {
    let (mut bench, attempt) = Bench::joined();
    bench.say(attempt, client(6, OTHER));
    bench.pass(10 * SECOND);
    bench.closed(attempt, Cause::Reset);
    let attempt = connect(&bench.outputs()).unwrap();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(5)));
    bench.outputs();
    bench.pass(20 * SECOND);

    assert_eq!(
        lines(&bench.outputs()),
        ["client 02:00:00:00:00:02 left (timeout)"]
    );
}

#[test]
fn unknown_message_is_answered_and_ends_with_a_clear_error() {
    let (mut bench, attempt) = Bench::joined();
    let body = br#"{"type":"dance"}"#;
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bench.session.handle_control(attempt, &bytes, bench.now);
    let outputs = bench.outputs();

    assert!(matches!(sent(&outputs)[..], [Message::Disconnect(_)]));
    let (exit, sentence) = end(&outputs).unwrap();
    assert_eq!(exit, Exit::Failed);
    assert!(sentence.contains("dance"), "{sentence}");
}

#[test]
fn stats_go_every_ten_seconds_however_often_they_come() {
    let (mut bench, _) = Bench::joined();
    let mut count = 0;
    for _ in 0..300 {
        bench.pass(SECOND / 10);
        bench.session.handle_stats(Stats::default(), bench.now);
        count += sent(&bench.outputs()).len();
    }

    assert_eq!(count, 3);
}

#[test]
fn leaving_says_goodbye_before_it_closes() {
    let (mut bench, attempt) = Bench::joined();
    bench.session.leave(bench.now);
    assert!(matches!(
        sent(&bench.outputs())[..],
        [Message::Disconnect(_)]
    ));
    bench.pass(SECOND);
    let outputs = bench.outputs();

    assert!(matches!(outputs[0], Output::Close { attempt: a, .. } if a == attempt));
    assert_eq!(end(&outputs).unwrap().0.code(), 0);
}

proptest! {
    #[test]
    fn no_bytes_of_a_relay_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32)) {
        let (mut bench, attempt) = Bench::joined();
        for chunk in chunks {
            bench.session.handle_control(attempt, &chunk, bench.now);
        }
        prop_assert!(bench.outputs().len() < 1000);
    }

    #[test]
    fn in_any_order_of_events_there_are_at_most_two_connections_and_one_listened_to(steps in prop::collection::vec((0u8..10, 0u64..4), 0..200)) {
        let (mut bench, first) = Bench::joined();
        let mut open = vec![first];
        for (step, which) in steps {
            let attempt = open.get(usize::try_from(which).unwrap()).copied().unwrap_or(Attempt(which));
            match step {
                0 => bench.connected(attempt),
                1 => bench.say(attempt, Message::Welcome(welcome(5))),
                2 => {
                    open.retain(|other| *other != attempt);
                    bench.closed(attempt, Cause::TimedOut);
                }
                3 => bench.session.handle_silence(attempt, 2 * SECOND, bench.now),
                4 => bench.session.handle_silence(attempt, Duration::ZERO, bench.now),
                5 => bench.say(attempt, Message::Restarting(Restarting { reconnect_in_ms: 100, stay: false })),
                6 => bench.say(attempt, Message::Redirect(Redirect { worker: 1 })),
                7 => bench.say(attempt, Message::Restarting(Restarting { reconnect_in_ms: 100, stay: true })),
                8 => bench.say(attempt, Message::Move),
                _ => bench.pass(SECOND),
            }
            for output in bench.outputs() {
                match output {
                    Output::Connect { attempt, .. } => open.push(attempt),
                    Output::Close { attempt, .. } => open.retain(|other| *other != attempt),
                    Output::Ended(_) => return Ok(()),
                    _ => {}
                }
            }
            prop_assert!(open.len() <= 3, "{open:?}");
            prop_assert!(open.iter().filter(|attempt| bench.session.hears(**attempt)).count() <= 3);
            prop_assert!(!open.is_empty() || bench.session.poll_timeout().is_some());
        }
    }
}

const NEIGHBOR: Neighbor = Neighbor {
    source: MacAddr([0x06, 0x88, 0xb5, 1, 2, 3]),
    is_leaving: false,
};

impl Bench {
    /// Has one attempt answered that the room has a gateway.
    fn turned_away(&mut self) -> Vec<Output> {
        let attempt = self.next_attempt();
        self.connected(attempt);
        self.say(attempt, reject(RejectCode::GatewayPresent));

        self.outputs()
    }

    /// Lets time pass, with the active gateway heard every second and every attempt turned away. Returns what was told, and how often
    /// the place was asked for.
    fn beside(&mut self, seconds: u32) -> (Vec<String>, u32) {
        let (mut lines, mut asked) = (Vec::new(), 0);
        for tenth in 0..seconds * 10 {
            if tenth % 10 == 0 {
                self.session.handle_neighbor(NEIGHBOR, self.now);
            }
            let outputs = self.outputs();
            lines.extend(status(&outputs));
            if let Some(attempt) = connect(&outputs) {
                asked += 1;
                self.connected(attempt);
                self.say(attempt, reject(RejectCode::GatewayPresent));
            }
            self.pass(SECOND / 10);
        }
        lines.extend(status(&self.outputs()));

        (lines, asked)
    }
}

fn status(outputs: &[Output]) -> Vec<String> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Status(line) => Some(line.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_second_gateway_stands_by_and_says_so_once() {
    let mut bench = Bench::gateway(Standby::SameLan);
    assert!(
        status(&bench.turned_away()).is_empty(),
        "nobody was heard yet"
    );

    let (lines, _) = bench.beside(60);

    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("01:02:03"), "{lines:?}");
}

#[test]
fn a_standby_asks_now_and_then_while_the_other_gateway_is_heard() {
    let mut bench = Bench::gateway(Standby::SameLan);
    bench.turned_away();
    let (_, asked) = bench.beside(60);

    assert!((8..=25).contains(&asked), "{asked} times in a minute");
}

#[test]
fn a_standby_takes_over_as_soon_as_the_other_gateway_leaves_or_is_silent() {
    for is_leaving in [true, false] {
        let mut bench = Bench::gateway(Standby::SameLan);
        bench.turned_away();
        bench.beside(3);
        bench.session.handle_neighbor(
            Neighbor {
                is_leaving,
                ..NEIGHBOR
            },
            bench.now,
        );
        bench.outputs();
        let gone = bench.now;
        let attempt = bench.next_attempt();
        let waited = bench.now - gone;
        bench.connected(attempt);
        bench.say(attempt, Message::Welcome(welcome(5)));
        let outputs = bench.outputs();

        let patience = if is_leaving {
            SECOND / 4
        } else {
            SECOND * 5 / 2
        };
        assert!(waited <= patience, "{waited:?}");
        assert!(joins(&outputs).is_some());
        assert!(
            status(&outputs)[0].starts_with("took over: room PARTY"),
            "{outputs:?}"
        );
    }
}

#[test]
fn a_gateway_that_lost_its_place_to_another_stands_by() {
    let mut bench = Bench::gateway(Standby::SameLan);
    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, Message::Welcome(welcome(5)));
    bench.closed(attempt, Cause::TimedOut);
    bench.outputs();
    let outputs = bench.turned_away();
    assert_eq!(end(&outputs), None);

    let (lines, _) = bench.beside(1);
    assert!(lines[0].starts_with("standby: room PARTY"), "{lines:?}");
    assert_eq!(bench.session.budget(), 0, "nothing may be sent");
}

#[test]
fn a_gateway_that_is_not_heard_on_this_lan_is_waited_for_only_if_asked_for() {
    let ends = |standby| {
        let mut bench = Bench::gateway(standby);
        let mut outputs = bench.turned_away();
        let start = bench.now;
        while bench.now - start < SECOND * 5 && end(&outputs).is_none() {
            bench.pass(SECOND / 10);
            let new = bench.outputs();
            if let Some(attempt) = connect(&new) {
                bench.connected(attempt);
                bench.say(attempt, reject(RejectCode::GatewayPresent));
            }
            outputs.extend(new);
        }
        outputs
    };

    let (exit, sentence) = end(&ends(Standby::SameLan)).unwrap();
    assert_eq!(exit, Exit::Refused);
    assert!(
        sentence.contains("the sentence") && sentence.contains("--standby any"),
        "{sentence}"
    );
    let outputs = ends(Standby::Anywhere);
    assert_eq!(end(&outputs), None);
    assert!(
        status(&outputs)
            .iter()
            .any(|line| line.contains("another LAN")),
        "{outputs:?}"
    );
    assert!(end(&Bench::gateway(Standby::Never).turned_away()).is_some());
}

#[test]
fn a_standby_asks_on_while_the_relay_is_renewed() {
    let mut bench = Bench::gateway(Standby::SameLan);
    bench.turned_away();
    bench.beside(3);
    bench.outputs();

    let attempt = bench.next_attempt();
    bench.connected(attempt);
    bench.say(attempt, reject(RejectCode::ShuttingDown));
    let outputs = bench.outputs();
    assert_eq!(end(&outputs), None);
    assert!(joins(&outputs).is_none());

    let (_, asked) = bench.beside(60);
    assert!(asked >= 8, "{asked} times in a minute");
}

#[test]
fn a_gateway_and_nobody_else_hears_of_frames_that_are_not_a_clients_own() {
    let foreign = ForeignSource {
        peer: PeerId(6),
        mac: OTHER,
    };
    let told = |mut bench: Bench| {
        let attempt = bench.next_attempt();
        bench.connected(attempt);
        let can = hello(&bench.outputs()).can(Capability::ForeignSource);
        bench.say(attempt, Message::Welcome(welcome(5)));
        bench.outputs();
        bench.say(attempt, Message::ForeignSource(foreign));

        (can, bench.outputs())
    };

    let gateway = told(Bench::gateway(Standby::Never));
    assert_eq!(gateway, (true, vec![Output::ForeignSource(foreign)]));
    let (can, outputs) = told(Bench::new());
    assert!(!can && end(&outputs).is_some(), "{outputs:?}");
}
