//! Numbered packets at an even pace, one way: what a game sends, and what tells how long it was cut off.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::netns::Namespace;

/// Bytes of a packet: a number, and what a game would say.
const LEN: usize = 100;

/// How long the receiver waits for stragglers once nothing more is sent.
const STRAGGLERS: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Log {
    /// When packet N was sent.
    sent: Vec<Instant>,
    /// When packet N arrived, and how often.
    arrived: Vec<(Option<Instant>, u32)>,
    /// Arrivals in order, for gaps.
    last: Option<Instant>,
    longest_gap: Duration,
}

/// A stream of numbered UDP packets between two boxes.
#[derive(Debug)]
pub struct Stream {
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What came of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Packets that the sender's kernel took.
    pub sent: usize,
    /// Those that arrived.
    pub arrived: usize,
    /// Arrivals beyond the first of a packet.
    pub twice: usize,
    /// The longest time between two arrivals.
    pub longest_gap: Duration,
}

impl Outcome {
    /// Returns packets that never came.
    pub const fn lost(self) -> usize {
        self.sent - self.arrived
    }
}

impl Stream {
    /// Starts to send a packet every `interval` from `from` to `address`, which is `to`'s.
    ///
    /// # Errors
    ///
    /// Returns an error if the boxes give no sockets.
    pub fn start(
        from: &Namespace,
        to: &Namespace,
        address: IpAddr,
        interval: Duration,
    ) -> Result<Self> {
        let receiver = to.enter(|| UdpSocket::bind((address, 0)))?;
        receiver.set_read_timeout(Some(Duration::from_millis(50)))?;
        // A burst after an outage must not be lost by the test itself.
        socket2::SockRef::from(&receiver).set_recv_buffer_size(4 << 20)?;
        let target = receiver.local_addr()?;
        let sender = from.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
        let mut stream = Self {
            log: Arc::default(),
            stop: Arc::default(),
            done: Arc::default(),
            threads: Vec::new(),
        };
        let (log, stop) = (Arc::clone(&stream.log), Arc::clone(&stream.stop));
        let sending = move || send(&sender, target, interval, &log, &stop);
        let (log, done) = (Arc::clone(&stream.log), Arc::clone(&stream.done));
        let receiving = move || receive(&receiver, &log, &done);

        stream.threads = vec![std::thread::spawn(sending), std::thread::spawn(receiving)];

        Ok(stream)
    }

    /// Waits for the first packet that was sent after `since`, and returns how long after `since` it arrived.
    ///
    /// # Errors
    ///
    /// Returns an error if none arrives for `patience`.
    pub fn first_after(&self, since: Instant, patience: Duration) -> Result<Duration> {
        while since.elapsed() < patience {
            if let Some(at) = self.arrival_after(since) {
                return Ok(at.saturating_duration_since(since));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("no packet arrived within {patience:?}");
    }

    fn arrival_after(&self, since: Instant) -> Option<Instant> {
        let log = lock(&self.log);
        let first = log.sent.partition_point(|sent| *sent <= since);
        let arrivals = log.arrived.iter().skip(first);

        arrivals.filter_map(|(at, _)| *at).min()
    }

    /// Stops sending, waits for stragglers, and tells what came of it.
    pub fn finish(mut self) -> Outcome {
        self.end();
        let log = lock(&self.log);
        let arrived = log.arrived.iter().filter(|(at, _)| at.is_some()).count();
        let all: u32 = log.arrived.iter().map(|(_, times)| times).sum();

        Outcome {
            sent: log.sent.len(),
            arrived,
            twice: usize::try_from(all).unwrap_or(usize::MAX) - arrived,
            longest_gap: log.longest_gap,
        }
    }

    fn end(&mut self) {
        if !self.stop.swap(true, Ordering::Relaxed) {
            std::thread::sleep(STRAGGLERS);
        }
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ended = thread.join();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.end();
    }
}

fn lock(log: &Mutex<Log>) -> std::sync::MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send(
    socket: &UdpSocket,
    target: SocketAddr,
    interval: Duration,
    log: &Mutex<Log>,
    stop: &AtomicBool,
) {
    let mut packet = [0x5a; LEN];
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += interval;
        let (now, number) = (Instant::now(), lock(log).sent.len());
        if let Some(place) = packet.first_chunk_mut() {
            *place = (number as u64).to_be_bytes();
        }
        // The number is known before the packet is on its way.
        lock(log).sent.push(now);
        if socket.send_to(&packet, target).is_err() {
            // No route or no neighbour: the kernel did not take it, so nobody lost it.
            let mut log = lock(log);
            log.sent.pop();
            drop(log);
            next = next.max(Instant::now());
        }
    }
}

fn receive(socket: &UdpSocket, log: &Mutex<Log>, done: &AtomicBool) {
    let mut packet = [0; LEN];
    while !done.load(Ordering::Relaxed) {
        let number = match socket.recv(&mut packet) {
            Ok(LEN) => packet.first_chunk().copied().map(u64::from_be_bytes),
            Ok(_) => None,
            Err(error) if is_quiet(&error) => None,
            Err(_) => return,
        };
        if let Some(number) = number.and_then(|number| usize::try_from(number).ok()) {
            lock(log).arrived(number, Instant::now());
        }
    }
}

fn is_quiet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

impl Log {
    fn arrived(&mut self, number: usize, now: Instant) {
        // Nobody else knows our port: a number that was never sent is a broken test.
        assert!(number < self.sent.len(), "packet {number} was never sent");
        if self.arrived.len() <= number {
            self.arrived.resize(number + 1, (None, 0));
        }
        if let Some((at, times)) = self.arrived.get_mut(number) {
            at.get_or_insert(now);
            *times += 1;
        }
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now.saturating_duration_since(last));
        }
    }
}
