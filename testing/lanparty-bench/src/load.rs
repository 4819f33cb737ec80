//! Traffic that costs little itself: bulk TCP, small UDP packets at a pace, and pings.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lanparty_e2e::Namespace;

use crate::figures::RoundTrips;

/// Bytes that a write or read moves at most.
const CHUNK: usize = 128 * 1024;

/// How long a connection may take and a transfer may stand still: a stalled rival is a result, not a hang.
const STALL: Duration = Duration::from_secs(10);

/// UDP packets between two looks at the clock: enough that the clock costs nothing, few enough that no queue is overrun by them alone.
const BURST: u32 = 16;

/// A sender this late does not catch up by a flood.
const TOO_LATE: Duration = Duration::from_millis(20);

/// Where traffic goes: from a box to an address of another.
#[derive(Debug, Clone, Copy)]
pub struct Direction<'a> {
    /// Who sends.
    pub from: &'a Namespace,
    /// Who receives.
    pub to: &'a Namespace,
    /// The receiver's address.
    pub address: Ipv4Addr,
}

/// Sends by `streams` TCP connections for `time`, and returns the bytes a second that arrived.
///
/// # Errors
///
/// Returns an error if a connection fails or stalls.
pub fn tcp(direction: Direction<'_>, streams: usize, time: Duration) -> Result<f64> {
    let stop = AtomicBool::new(false);

    tcp_until(direction, streams, &stop, |stop| {
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    })
    .map(|(rate, ())| rate)
}

/// Keeps `streams` TCP connections busy while `meanwhile` runs; returns the bytes a second that arrived, and what it returned.
///
/// # Errors
///
/// Returns an error if a connection fails or stalls.
pub fn tcp_until<T>(
    direction: Direction<'_>,
    streams: usize,
    stop: &AtomicBool,
    meanwhile: impl FnOnce(&AtomicBool) -> T,
) -> Result<(f64, T)> {
    let listener = direction
        .to
        .enter(|| TcpListener::bind((direction.address, 0)))
        .with_context(|| format!("failed to listen on {}", direction.address))?;
    let target = listener.local_addr()?;
    std::thread::scope(|scope| {
        let pairs: Vec<_> = (0..streams)
            .map(|_| {
                let sink = direction
                    .from
                    .enter(|| TcpStream::connect_timeout(&target, STALL))
                    .with_context(|| format!("failed to connect to {target}"))?;
                let (source, _) = listener.accept()?;
                Ok((sink, source))
            })
            .collect::<Result<_>>()?;
        let start = Instant::now();
        let ends: Vec<_> = pairs
            .into_iter()
            .map(|(sink, source)| {
                scope.spawn(move || send(sink, stop));
                scope.spawn(move || receive(source))
            })
            .collect();
        let value = meanwhile(stop);
        stop.store(true, Ordering::Relaxed);
        let window = start.elapsed();
        let mut bytes = 0.0;
        for end in ends {
            bytes += end.join().ok().context("a receiver panicked")??;
        }

        Ok((bytes / start.elapsed().max(window).as_secs_f64(), value))
    })
}

/// Writes until told to stop; a broken connection is the receiver's to report.
fn send(mut stream: TcpStream, stop: &AtomicBool) {
    let chunk = vec![0x5a; CHUNK];
    let limited = stream.set_write_timeout(Some(STALL));
    while limited.is_ok() && !stop.load(Ordering::Relaxed) {
        if stream.write_all(&chunk).is_err() {
            return;
        }
    }
}

fn receive(mut stream: TcpStream) -> Result<f64> {
    stream.set_read_timeout(Some(STALL))?;
    let (mut chunk, mut bytes) = (vec![0; CHUNK], 0.0);
    loop {
        let len = stream.read(&mut chunk).context("TCP stands still")?;
        if len == 0 {
            return Ok(bytes);
        }
        bytes += u32::try_from(len).map_or(0.0, f64::from);
    }
}

/// What became of a series of UDP packets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Packets {
    /// Sent a second.
    pub offered: f64,
    /// Arrived a second.
    pub delivered: f64,
}

/// Sends UDP packets with 64 bytes at `pace` a second for `time`.
///
/// # Errors
///
/// Returns an error if a socket cannot be made.
pub fn udp(direction: Direction<'_>, pace: u32, time: Duration) -> Result<Packets> {
    let receiver = direction
        .to
        .enter(|| UdpSocket::bind((direction.address, 0)))?;
    // The receiver must not be what drops: root may pass the system's limit.
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&receiver, 16 << 20)?;
    receiver.set_read_timeout(Some(Duration::from_millis(500)))?;
    let target = receiver.local_addr()?;
    let sender = direction.from.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
    sender.connect(target)?;

    std::thread::scope(|scope| {
        let counted = scope.spawn(|| count(&receiver));
        let sent = blast(&sender, pace, time);
        let (arrived, span) = counted.join().ok().context("a receiver panicked")?;

        Ok(Packets {
            offered: f64::from(sent) / time.as_secs_f64(),
            // What waited in queues arrives after the last was sent: that time counts too.
            delivered: f64::from(arrived) / span.max(time).as_secs_f64(),
        })
    })
}

fn blast(socket: &UdpSocket, pace: u32, time: Duration) -> u32 {
    let step = Duration::from_secs(1) * BURST / pace.max(1);
    let (start, mut sent) = (Instant::now(), 0);
    let mut next = start;
    loop {
        let now = Instant::now();
        if now - start >= time {
            return sent;
        }
        if next > now {
            std::thread::sleep(next - now);
        } else if now - next > TOO_LATE {
            next = now;
        }
        for _ in 0..BURST {
            // A full queue on the way out is a lost packet like any other.
            sent += u32::from(socket.send(&[0; 64]).is_ok());
        }
        next += step;
    }
}

/// Counts until nothing has come for a while; returns how many came, and from the first to the last.
fn count(socket: &UdpSocket) -> (u32, Duration) {
    let (mut buffer, mut count) = ([0; 2048], 0);
    let mut span: Option<(Instant, Instant)> = None;
    while socket.recv(&mut buffer).is_ok() {
        count += 1;
        let now = Instant::now();
        span = Some((span.map_or(now, |(first, _)| first), now));
    }

    (
        count,
        span.map_or(Duration::ZERO, |(first, last)| last - first),
    )
}

/// Sends `count` pings, one every `interval`.
///
/// # Errors
///
/// Returns an error if `ping` cannot run.
pub fn ping(direction: Direction<'_>, count: usize, interval: Duration) -> Result<RoundTrips> {
    let mut command = direction.from.command("ping");
    command
        .args(["-n", "-W", "1", "-s", "56", "-c", &count.to_string(), "-i"])
        .arg(format!("{:.4}", interval.as_secs_f64()))
        .arg(direction.address.to_string());
    let said = lanparty_e2e::command::run(&mut command)?;

    Ok(RoundTrips::of_ping(
        &String::from_utf8_lossy(&said.stdout),
        count,
    ))
}

/// Waits until the other end answers pings.
///
/// # Errors
///
/// Returns an error if it does not within 40 s, which is longer than any rival's way to get ready.
pub fn wait_reachable(direction: Direction<'_>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(40) {
        if ping(direction, 1, Duration::from_millis(10))?
            .quantile(500)
            .is_some()
        {
            return Ok(());
        }
    }

    Err(io::Error::from(io::ErrorKind::TimedOut))
        .with_context(|| format!("{} is not reachable", direction.address))
}
