//! Against the driver's stand-in (`testing/wine/faketap.c`), whose frames come and go by UDP.
//!
//! There is one adapter, and one opener at a time: the tests take turns.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanparty_win32::wait_any;

use super::*;

const MAC: MacAddr = MacAddr([0x02, 0x5e, 0x10, 0x00, 0x00, 0x07]);
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

static TURN: Mutex<()> = Mutex::new(());

/// The adapter, and the other end of its cable.
struct Bench {
    adapter: Adapter,
    wire: UdpSocket,
    driver: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let port = |name| -> u16 {
            let text = std::env::var(name).expect("the test runs by testing/wine/run");
            text.parse().unwrap()
        };
        let wire = UdpSocket::bind((Ipv4Addr::LOCALHOST, port("SOFTLAN_FAKETAP_PEER"))).unwrap();
        wire.set_read_timeout(PATIENCE).unwrap();
        let adapter = adapters().unwrap().remove(0);

        Self {
            adapter,
            wire,
            driver: (Ipv4Addr::LOCALHOST, port("SOFTLAN_FAKETAP_PORT")).into(),
            _turn: turn,
        }
    }

    /// Opens the adapter with the tunnel MAC.
    fn open(&self) -> Tap {
        prepare(&self.adapter, MAC).unwrap();

        Tap::open(&self.adapter, MAC).unwrap()
    }

    fn inject(&self, frame: &[u8]) {
        self.wire.send_to(frame, self.driver).unwrap();
    }
}

fn frame(number: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![number; len];
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);

    frame
}

/// Receives until `count` frames came.
fn receive(tap: &mut Tap, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let batch = tap.receive().unwrap();
        frames.extend((0..batch).map(|place| tap.received(place).unwrap().frame.to_vec()));
        if batch == 0 {
            let readable = wait_any(&[tap.readable()], PATIENCE).unwrap();
            assert_eq!(readable, Some(0), "{} of {count} frames came", frames.len());
        }
    }

    frames
}

#[test]
fn frames_come_in_order_and_whole() {
    let bench = Bench::new();
    let mut tap = bench.open();
    tap.set_up(true).unwrap();
    for round in 0..20 {
        let sent: Vec<_> = (0..50)
            .map(|number| frame(number ^ round, 14 + usize::from(number) * 30))
            .collect();
        for frame in &sent {
            bench.inject(frame);
        }

        assert_eq!(receive(&mut tap, sent.len()), sent);
    }
    assert_eq!(tap.statistics().received, 1000);
    assert!(tap.received(BATCH).is_none());
}

#[test]
fn frames_go_in_pieces_and_arrive_whole() {
    let bench = Bench::new();
    let mut tap = bench.open();
    tap.set_up(true).unwrap();
    let mut buffer = [0; 2048];
    for round in 0..4_u8 {
        for number in 0..100 {
            let whole = frame(number ^ round, 14 + usize::from(number) * 15);
            let (head, tail) = whole.split_at(14);
            tap.send(&VnetHeader::NONE, &[IoSlice::new(head), IoSlice::new(tail)]);
            let len = bench.wire.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..len], whole);
        }
    }
    assert_eq!(tap.flush(), LinkState::Up);
    assert_eq!(tap.statistics().sent, 400);
    assert_eq!(tap.statistics().send_busy, 0);
}

#[test]
fn what_the_driver_would_break_is_refused_and_counted() {
    let bench = Bench::new();
    let mut tap = bench.open();
    tap.set_up(true).unwrap();
    let mut tagged = frame(1, 60);
    tagged[12..14].copy_from_slice(&TAGGED);
    let bad = [
        tagged,
        frame(1, 1515),
        vec![0; 13],
        vec![0; 4000],
        Vec::new(),
    ];
    for frame in &bad {
        tap.send(&VnetHeader::NONE, &[IoSlice::new(frame)]);
    }
    let mut unfinished = VnetHeader::NONE;
    unfinished.flags = lanparty_offload::vnet::FLAG_NEEDS_CSUM;
    tap.send(&unfinished, &[IoSlice::new(&frame(1, 60))]);

    assert_eq!(tap.statistics().send_refused, 6);
    assert_eq!(tap.statistics().sent, 0);
}

#[test]
fn while_the_cable_is_out_nothing_is_sent_and_nothing_waits() {
    let bench = Bench::new();
    let mut tap = bench.open();
    tap.send(&VnetHeader::NONE, &[IoSlice::new(&frame(1, 60))]);

    assert_eq!(tap.flush(), LinkState::Down);
    assert_eq!(tap.statistics().send_down, 1);
    assert_eq!(tap.receive().unwrap(), 0);
    assert!(tap.poll_timeout().is_none());
    assert_eq!(
        wait_any(&[tap.readable()], Some(Duration::ZERO)).unwrap(),
        None
    );
}

#[test]
fn a_system_that_slept_is_heard_again_and_nothing_spins() {
    let bench = Bench::new();
    let mut tap = bench.open();
    tap.set_up(true).unwrap();
    bench.inject(&[0]);
    assert_eq!(wait_any(&[tap.readable()], PATIENCE).unwrap(), Some(0));
    assert_eq!(tap.receive().unwrap(), 0);
    let again = tap.poll_timeout().expect("a time to ask again");
    assert!(again > Instant::now());

    // The first look plugs the cable in, and a later one lets reads wait.
    while let Some(again) = tap.poll_timeout().filter(|again| *again > Instant::now()) {
        std::thread::sleep(again.saturating_duration_since(Instant::now()));
        assert_eq!(tap.receive().unwrap(), 0);
    }
    bench.inject(&frame(7, 60));
    assert_eq!(receive(&mut tap, 1), [frame(7, 60)]);
    assert!(tap.poll_timeout().is_none());
}

#[test]
fn one_program_has_the_adapter() {
    let bench = Bench::new();
    let tap = bench.open();
    let error = Tap::open(&bench.adapter, MAC).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the TAP adapter \"Ethernet 7\" is in use by another program; close that, for example OpenVPN"
    );

    drop(tap);
    assert!(Tap::open(&bench.adapter, MAC).is_ok());
}

#[test]
fn the_mac_is_written_once_and_checked() {
    let bench = Bench::new();
    let other = MacAddr([0x02, 0x5e, 0x10, 0x00, 0x00, 0x08]);
    assert!(prepare(&bench.adapter, other).unwrap());
    assert!(!prepare(&bench.adapter, other).unwrap());
    let error = Tap::open(&bench.adapter, MAC).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has the MAC address 02:5e:10:00:00:08 and did not take"),
        "{error}"
    );

    // The driver takes no address of a vendor's.
    let vendor = MacAddr([0x00, 0x11, 0x5e, 0x10, 0x00, 0x01]);
    let error = prepare(&bench.adapter, vendor).unwrap_err();
    assert!(matches!(error, AdapterError::WrongMac { .. }), "{error}");
    assert!(prepare(&bench.adapter, MAC).unwrap());
}

#[test]
fn an_adapter_that_went_is_told() {
    let Bench {
        adapter: mut gone,
        _turn,
        ..
    } = Bench::new();
    gone.id = AdapterId(lanparty_win32::Guid(0xdead));
    let error = Tap::open(&gone, MAC).unwrap_err();

    assert!(
        error.to_string().contains("is not there any more"),
        "{error}"
    );
}
