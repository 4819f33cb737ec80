//! A UDP proxy with an impaired line in each direction.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::{Impairment, Line, LineCounts};

/// Clients of one proxy at a time: more than any test has. A further one takes the place of the one that was silent longest.
const MAX_SESSIONS: usize = 64;

/// How often the thread looks at its switches (stop, rebind) when no packet moves.
const TICK: Duration = Duration::from_millis(20);

/// Packets read from one socket before others get their turn.
const BATCH: usize = 64;

/// Bytes of receive buffer asked for: a burst of a fast sender must not be lost by the proxy itself.
const SOCKET_BUFFER: usize = 4 << 20;

/// What a proxy has done so far, both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came in.
    pub received: u64,
    /// Packets passed on (duplicates count twice).
    pub forwarded: u64,
}

/// A proxy between UDP clients and one server, on a thread of its own; stops when dropped.
///
/// Prints its seed when dropped by a failing test.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    seed: u64,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    black_hole: AtomicBool,
    rebinds: AtomicU32,
    received: AtomicU64,
    forwarded: AtomicU64,
    clients: AtomicUsize,
    entered_up: AtomicUsize,
    lost_up: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy from `listen` to `server`. Sockets belong to the caller's network namespace.
    ///
    /// # Errors
    ///
    /// Returns an error if `listen` is taken.
    pub fn start(
        listen: SocketAddr,
        server: SocketAddr,
        up: Impairment,
        down: Impairment,
        seed: u64,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        prepare(&socket)?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            socket,
            server,
            impairments: [up, down],
            seed,
            shared: Arc::clone(&shared),
            sessions: Vec::new(),
            rebinds: 0,
        };
        let thread = std::thread::Builder::new()
            .name("impair".to_owned())
            .spawn(move || worker.run())?;

        Ok(Self {
            address,
            seed,
            shared,
            thread: Some(thread),
        })
    }

    /// Returns where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Swallows everything, or passes packets again.
    pub fn set_black_hole(&self, on: bool) {
        self.shared.black_hole.store(on, Ordering::Relaxed);
    }

    /// Gives every client another source port towards the server, as a NAT that lost its table does.
    pub fn rebind(&self) {
        self.shared.rebinds.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many sockets of clients have come so far.
    pub fn clients(&self) -> usize {
        self.shared.clients.load(Ordering::Relaxed)
    }

    /// Returns what the lines from clients to the server have done so far.
    pub fn line_up(&self) -> LineCounts {
        LineCounts {
            entered: self.shared.entered_up.load(Ordering::Relaxed),
            lost: self.shared.lost_up.load(Ordering::Relaxed),
        }
    }

    /// Returns what went through.
    pub fn counts(&self) -> Counts {
        Counts {
            received: self.shared.received.load(Ordering::Relaxed),
            forwarded: self.shared.forwarded.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    #[expect(clippy::print_stderr, reason = "a failing test names its seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("impairment seed: {}", self.seed);
        }
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// One client's socket towards the server, and its two lines.
struct Session {
    client: SocketAddr,
    heard: Instant,
    socket: UdpSocket,
    up: Line,
    down: Line,
}

struct Worker {
    socket: UdpSocket,
    server: SocketAddr,
    impairments: [Impairment; 2],
    seed: u64,
    shared: Arc<Shared>,
    sessions: Vec<Session>,
    rebinds: u32,
}

impl Worker {
    fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.wait();
            self.rebind();
            let now = Instant::now();
            self.read_clients(&mut buffer, now);
            self.read_server(&mut buffer, now);
            self.deliver(Instant::now());
        }
    }

    fn wait(&self) {
        let next = self
            .sessions
            .iter()
            .flat_map(|session| [session.up.poll_timeout(), session.down.poll_timeout()]);
        let time = next.flatten().min().map_or(TICK, |next| {
            next.saturating_duration_since(Instant::now()).min(TICK)
        });
        let timeout = Timespec::try_from(time).expect("a tick fits");
        let sockets = std::iter::once(&self.socket)
            .chain(self.sessions.iter().map(|session| &session.socket));
        let mut fds: Vec<_> = sockets
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        // An interrupted wait is a short wait.
        let _ready = poll(&mut fds, Some(&timeout)).unwrap_or(0);
    }

    fn rebind(&mut self) {
        let wanted = self.shared.rebinds.load(Ordering::Relaxed);
        if wanted == self.rebinds {
            return;
        }
        self.rebinds = wanted;
        for session in &mut self.sessions {
            if let Ok(socket) = towards(self.server) {
                session.socket = socket;
            }
        }
    }

    fn read_clients(&mut self, buffer: &mut [u8], now: Instant) {
        for _ in 0..BATCH {
            let Ok((len, client)) = self.socket.recv_from(buffer) else {
                return;
            };
            if !self.count_received() {
                continue;
            }
            let packet = buffer.get(..len).unwrap_or_default().to_vec();
            let Some(session) = self.session(client, now) else {
                continue;
            };
            let before = session.up.counts();
            session.up.handle_packet(packet, now);
            let done = session.up.counts().since(before);
            let shared = &self.shared;
            shared.entered_up.fetch_add(done.entered, Ordering::Relaxed);
            shared.lost_up.fetch_add(done.lost, Ordering::Relaxed);
        }
    }

    fn read_server(&mut self, buffer: &mut [u8], now: Instant) {
        for session in &mut self.sessions {
            for _ in 0..BATCH {
                // An error is an empty socket or the echo of a closed port; both mean: nothing to pass on.
                let Ok(len) = session.socket.recv(buffer) else {
                    break;
                };
                self.shared.received.fetch_add(1, Ordering::Relaxed);
                if !self.shared.black_hole.load(Ordering::Relaxed) {
                    session
                        .down
                        .handle_packet(buffer.get(..len).unwrap_or_default().to_vec(), now);
                }
            }
        }
    }

    /// Counts a packet; returns whether it may go on.
    fn count_received(&self) -> bool {
        self.shared.received.fetch_add(1, Ordering::Relaxed);

        !self.shared.black_hole.load(Ordering::Relaxed)
    }

    fn session(&mut self, client: SocketAddr, now: Instant) -> Option<&mut Session> {
        let known = self
            .sessions
            .iter()
            .position(|session| session.client == client);
        let index = known.or_else(|| self.open(client, now))?;
        let session = self.sessions.get_mut(index)?;
        session.heard = now;

        Some(session)
    }

    fn open(&mut self, client: SocketAddr, now: Instant) -> Option<usize> {
        let [up, down] = self.impairments;
        let number = self.shared.clients.fetch_add(1, Ordering::Relaxed);
        let seed = self.seed.wrapping_add(2 * number as u64);
        let session = Session {
            client,
            heard: now,
            socket: towards(self.server).ok()?,
            up: Line::new(up, seed),
            down: Line::new(down, seed.wrapping_add(1)),
        };
        if self.sessions.len() < MAX_SESSIONS {
            self.sessions.push(session);
            return Some(self.sessions.len() - 1);
        }
        let sessions = self.sessions.iter().enumerate();
        let (silent, _) = sessions.min_by_key(|(_, session)| session.heard)?;
        *self.sessions.get_mut(silent)? = session;

        Some(silent)
    }

    fn deliver(&mut self, now: Instant) {
        let mut forwarded = 0;
        for session in &mut self.sessions {
            // A full socket or an unreachable peer loses the packet, as a line does.
            while let Some(packet) = session.up.poll_packet(now) {
                forwarded += u64::from(session.socket.send(&packet).is_ok());
            }
            while let Some(packet) = session.down.poll_packet(now) {
                forwarded += u64::from(self.socket.send_to(&packet, session.client).is_ok());
            }
        }
        self.shared
            .forwarded
            .fetch_add(forwarded, Ordering::Relaxed);
    }
}

fn towards(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    prepare(&socket)?;

    Ok(socket)
}

fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = socket2::SockRef::from(socket);
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;

    socket.set_send_buffer_size(SOCKET_BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let address = socket.local_addr().unwrap();

        (socket, address)
    }

    fn perfect(server: SocketAddr) -> Proxy {
        let line = Impairment::default();

        Proxy::start((Ipv4Addr::LOCALHOST, 0).into(), server, line, line, 1).unwrap()
    }

    fn ask(client: &UdpSocket, proxy: &Proxy, server: &UdpSocket, data: &[u8]) -> SocketAddr {
        let mut buffer = [0; 100];
        client.send_to(data, proxy.address()).unwrap();
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], data);
        server.send_to(data, from).unwrap();
        let (len, answerer) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], answerer), (data, proxy.address()));

        from
    }

    #[test]
    fn packets_pass_both_ways_and_rebinding_changes_the_port() {
        let (server, address) = loopback();
        let (client, _) = loopback();
        let proxy = perfect(address);

        let before = ask(&client, &proxy, &server, b"one");
        assert_eq!(ask(&client, &proxy, &server, b"two"), before);
        proxy.rebind();
        std::thread::sleep(3 * TICK);
        assert_ne!(ask(&client, &proxy, &server, b"three"), before);
        // Six came in and six went on; the last may still be on its way into the count.
        assert_eq!(proxy.counts().received, 6);
    }

    #[test]
    fn black_hole_swallows_until_it_is_off() {
        let (server, address) = loopback();
        let (client, _) = loopback();
        let proxy = perfect(address);

        proxy.set_black_hole(true);
        client.send_to(b"lost", proxy.address()).unwrap();
        let waited = Instant::now();
        while proxy.counts().received < 1 && waited.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        proxy.set_black_hole(false);
        ask(&client, &proxy, &server, b"found");
    }
}
