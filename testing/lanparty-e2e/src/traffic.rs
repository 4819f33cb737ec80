//! Traffic between namespaces: pings, TCP transfers with hashes, UDP echoes.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ring::digest::{Context as Hash, Digest, SHA256};

use crate::impair::Rng;
use crate::netns::Namespace;

/// How long a transfer may stand still before it counts as broken.
const STALL: Duration = Duration::from_secs(30);

/// Bytes a write or read moves at most.
const CHUNK: usize = 64 * 1024;

/// What `ping` reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ping {
    /// Requests sent.
    pub sent: u32,
    /// Answers received.
    pub received: u32,
    /// Average round trip in milliseconds, if anything came back.
    pub average_ms: Option<f64>,
}

/// Sends `count` echo requests, five a second, with `ping`.
///
/// # Errors
///
/// Returns an error if `ping` cannot run (no route counts as an error too).
pub fn ping(namespace: &Namespace, address: IpAddr, count: u32) -> Result<Ping> {
    ping_with(namespace, address, &["-c", &count.to_string()])
}

/// Runs `ping` with options of your own (`-s 1472 -M do`).
///
/// # Errors
///
/// Returns an error if `ping` cannot run.
pub fn ping_with(namespace: &Namespace, address: IpAddr, options: &[&str]) -> Result<Ping> {
    let mut command = namespace.command("ping");
    command
        .args(["-n", "-q", "-i", "0.2", "-W", "2"])
        .args(options)
        .arg(address.to_string());
    let result = crate::command::run(&mut command)?;

    parse_ping(&String::from_utf8_lossy(&result.stdout))
        .with_context(|| format!("ping {address} said: {}", crate::command::said(&result)))
}

fn parse_ping(text: &str) -> Option<Ping> {
    let summary = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let numbers: Vec<u32> = summary
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let average_ms = text
        .lines()
        .find(|line| line.starts_with("rtt"))
        .and_then(|line| line.split(" = ").nth(1)?.split('/').nth(1)?.parse().ok());

    Some(Ping {
        sent: *numbers.first()?,
        received: *numbers.get(1)?,
        average_ms,
    })
}

/// What a TCP transfer did.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// Bytes that arrived, all with the right hash.
    pub bytes: u64,
    /// From the first byte read to the last.
    pub time: Duration,
    /// The longest time between two reads that brought something.
    pub longest_stall: Duration,
}

impl Transfer {
    /// Returns the rate in Mbit/s.
    pub fn megabits(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let bits = self.bytes as f64 * 8.0;

        bits / self.time.as_secs_f64().max(1e-9) / 1e6
    }
}

/// Sends random bytes by TCP from `sender` to `address`, which is `receiver`'s, until `enough` says so.
///
/// # Errors
///
/// Returns an error if the connection fails, stalls, or the SHA-256 of both ends differs.
pub fn tcp(
    sender: &Namespace,
    receiver: &Namespace,
    address: IpAddr,
    enough: Enough,
) -> Result<Transfer> {
    let listener = receiver
        .enter(|| TcpListener::bind((address, 0)))
        .with_context(|| format!("failed to listen on {address}"))?;
    let target = listener.local_addr()?;

    std::thread::scope(|scope| {
        let received = scope.spawn(|| receive(&listener));
        // If the sender fails before it connects, the receiver must not wait for ever: its accept has a deadline.
        let sent = sender.enter(|| send(target, enough));
        let received = received
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let sent = sent.with_context(|| format!("failed to send to {target}"))?;
        let (received, transfer) = received.context("failed to receive")?;
        ensure!(
            sent.as_ref() == received.as_ref(),
            "what arrived by TCP is not what was sent"
        );

        Ok(transfer)
    })
}

/// Transfers as [`tcp`] does, and returns the longest time in which nothing arrived.
///
/// # Errors
///
/// Returns an error as [`tcp`] does.
pub fn stall(
    sender: &Namespace,
    receiver: &Namespace,
    address: IpAddr,
    enough: Enough,
) -> Result<Duration> {
    tcp(sender, receiver, address, enough).map(|transfer| transfer.longest_stall)
}

/// When a transfer is over.
#[derive(Debug, Clone, Copy)]
pub enum Enough {
    /// After so many bytes.
    Bytes(u64),
    /// After this time.
    Time(Duration),
}

fn send(target: SocketAddr, enough: Enough) -> io::Result<Digest> {
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(10))?;
    stream.set_write_timeout(Some(STALL))?;
    let (mut rng, mut hash) = (Rng::new(u64::from(target.port())), Hash::new(&SHA256));
    let (start, mut sent) = (Instant::now(), 0_u64);
    let mut chunk = vec![0; CHUNK];
    loop {
        let left = match enough {
            Enough::Bytes(bytes) => bytes.saturating_sub(sent),
            Enough::Time(time) => {
                if start.elapsed() < time {
                    u64::MAX
                } else {
                    0
                }
            }
        };
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        if part == 0 {
            break;
        }
        rng.fill(&mut chunk);
        let piece = chunk.get(..part).unwrap_or_default();
        stream.write_all(piece)?;
        hash.update(piece);
        sent += part as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // The receiver closes once it has everything: only then is the transfer over.
    stream.set_read_timeout(Some(STALL))?;
    let _eof = stream.read(&mut [0])?;

    Ok(hash.finish())
}

fn receive(listener: &TcpListener) -> Result<(Digest, Transfer)> {
    let mut stream = accept(listener)?;
    stream.set_read_timeout(Some(STALL))?;
    let (mut hash, mut bytes) = (Hash::new(&SHA256), 0_u64);
    let mut chunk = vec![0; CHUNK];
    let start = Instant::now();
    let (mut last, mut longest_stall) = (start, Duration::ZERO);
    loop {
        let len = stream
            .read(&mut chunk)
            .with_context(|| format!("stalled after {bytes} bytes"))?;
        longest_stall = longest_stall.max(last.elapsed());
        last = Instant::now();
        if len == 0 {
            break;
        }
        hash.update(chunk.get(..len).unwrap_or_default());
        bytes += len as u64;
    }

    Ok((
        hash.finish(),
        Transfer {
            bytes,
            time: start.elapsed(),
            longest_stall,
        },
    ))
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if start.elapsed() > Duration::from_secs(15) {
            bail!("nobody connected");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a UDP packet of `data` from `asker` to `address`, which is `server`'s, and waits for its echo.
///
/// The path may lose packets when it is new: asked again up to five times.
///
/// # Errors
///
/// Returns an error if no equal echo comes back.
pub fn udp_echo(asker: &Namespace, server: &Namespace, address: IpAddr, data: &[u8]) -> Result<()> {
    let echo = server.enter(|| UdpSocket::bind((address, 0)))?;
    let target = echo.local_addr()?;
    let any: IpAddr = if address.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = asker.enter(|| UdpSocket::bind((any, 0)))?;
    for socket in [&echo, &socket] {
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    }
    let mut buffer = vec![0; 65_536];
    for _ in 0..5 {
        socket.send_to(data, target)?;
        let Ok((len, from)) = echo.recv_from(&mut buffer) else {
            continue;
        };
        echo.send_to(buffer.get(..len).unwrap_or_default(), from)?;
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            ensure!(from == target, "the echo came from {from}");
            ensure!(
                buffer.get(..len) == Some(data),
                "the echo differs from what was sent"
            );
            return Ok(());
        }
    }
    bail!("no echo of {} bytes from {target}", data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_of_ping_is_understood() {
        let text = "4 packets transmitted, 3 received, 25% packet loss, time 605ms\n\
                    rtt min/avg/max/mdev = 0.030/0.042/0.055/0.010 ms\n";

        assert_eq!(
            parse_ping(text),
            Some(Ping {
                sent: 4,
                received: 3,
                average_ms: Some(0.042)
            })
        );
    }

    #[test]
    fn lost_pings_have_no_average() {
        let text = "2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 201ms\n";

        assert_eq!(
            parse_ping(text),
            Some(Ping {
                sent: 2,
                received: 0,
                average_ms: None
            })
        );
    }
}
