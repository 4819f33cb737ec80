//! Numbered packets, each answered before the next is sent: for promises that not one is lost.
//!
//! A stream at an even pace piles up in front of programs that get no time from a busy machine, and a queue that has been standing for too
//! long drops its oldest, as it should (RFC 8289). Of a dialogue one packet is on its way at a time, which no queue drops.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::netns::Namespace;

/// How long an answer may take before its packet counts as lost. Nothing in the tunnel keeps a packet for so long, however slow the
/// machine.
const LOST: Duration = Duration::from_secs(5);

/// How far apart packets are at least.
const PACE: Duration = Duration::from_millis(2);

/// A dialogue between two boxes.
#[derive(Debug)]
pub struct Dialogue {
    /// No further packet is sent.
    stop: Arc<AtomicBool>,
    /// None is on its way any more. Not the same as `stop`: the last packet would sometimes be nobody's to answer, and count as lost.
    is_over: Arc<AtomicBool>,
    asker: JoinHandle<io::Result<Outcome>>,
    answerer: JoinHandle<u64>,
}

/// What came of a dialogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Packets, answers included.
    pub packets: u64,
    /// Packets without an answer.
    pub lost: u64,
    /// Packets and answers that came more than once.
    pub twice: u64,
    /// The longest time to an answer.
    pub slowest: Duration,
}

impl Dialogue {
    /// Starts to talk from `from` to `address`, which is `to`'s.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn start(from: &Namespace, to: &Namespace, address: IpAddr) -> Result<Self> {
        let far = to.enter(|| UdpSocket::bind((address, 0)))?;
        let near = from.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
        near.connect(far.local_addr()?)
            .context("no way to the other box")?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::new(AtomicBool::new(false));
        let (asking, answering) = (Arc::clone(&stop), Arc::clone(&is_over));

        Ok(Self {
            stop,
            is_over,
            asker: std::thread::spawn(move || ask(&near, &asking)),
            answerer: std::thread::spawn(move || answer(&far, &answering)),
        })
    }

    /// Ends the dialogue, and tells what came of it.
    ///
    /// # Errors
    ///
    /// Returns an error if a box refuses to send.
    pub fn finish(self) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let asked = self.asker.join().ok().context("the asker panicked");
        self.is_over.store(true, Ordering::Relaxed);
        let asked = asked?;
        let mut outcome = asked.context("the asker cannot send")?;
        outcome.twice += self.answerer.join().ok().context("the answerer panicked")?;

        Ok(outcome)
    }
}

fn ask(socket: &UdpSocket, stop: &AtomicBool) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        socket.send(&number.to_be_bytes())?;
        let is_answered = hear(socket, number, asked + LOST, &mut outcome)?;
        outcome.packets += 1 + u64::from(is_answered);
        outcome.lost += u64::from(!is_answered);
        if is_answered {
            outcome.slowest = outcome.slowest.max(asked.elapsed());
        }
        std::thread::sleep(PACE.saturating_sub(asked.elapsed()));
    }

    Ok(outcome)
}

/// Waits for the answer to `number`; an earlier one has come before.
fn hear(
    socket: &UdpSocket,
    number: u64,
    deadline: Instant,
    outcome: &mut Outcome,
) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        match receive(socket) {
            Some((heard, _)) if heard == number => return Ok(true),
            Some(_) => outcome.twice += 1,
            None => {}
        }
    }
}

/// Answers every packet, and returns how many came twice.
fn answer(socket: &UdpSocket, stop: &AtomicBool) -> u64 {
    let (mut next, mut twice) = (0, 0);
    let is_set = socket.set_read_timeout(Some(Duration::from_millis(50)));
    assert!(is_set.is_ok(), "50 ms is a time");
    while !stop.load(Ordering::Relaxed) {
        let Some((number, from)) = receive(socket) else {
            continue;
        };
        twice += u64::from(number < next);
        next = next.max(number + 1);
        // Without an answer the packet counts as lost.
        let _sent = socket.send_to(&number.to_be_bytes(), from);
    }

    twice
}

fn receive(socket: &UdpSocket) -> Option<(u64, std::net::SocketAddr)> {
    let mut word = [0; 8];
    let (len, from) = socket.recv_from(&mut word).ok()?;

    (len == word.len()).then_some((u64::from_be_bytes(word), from))
}
