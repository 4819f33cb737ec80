//! Members of a relay by the thousand, at little cost: real QUIC links and control messages, a hundred links on one socket, one thread.
//!
//! Each socket has an address of its own in 127.0.0.0/8, in a network of its own, because a relay limits what one may do.

mod member;
mod socket;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lanparty_ctrl::close_code;
use lanparty_net::{DEVELOPMENT_NAME, MemberSettings, Trust, read_certificate};
use lanparty_proto::MacAddr;
use lanparty_queue::Pace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::member::{Member, mac};
use self::socket::Socket;

/// Members on one socket: fewer than a relay bears of one address (128), since a member that was sent to another worker counts twice
/// for a second.
const PER_SOCKET: usize = 80;

/// Members that are on their way in at a time: a rush, and still no flood.
const UNDER_WAY: usize = 128;

/// How long a member may take to get in. QUIC asks again after a second if the relay did not answer at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// What some members say.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    /// How many of them talk: the first.
    pub busy: u32,
    /// Frames a second of each.
    pub rate: u32,
    /// Bytes of each frame, 60 at least.
    pub len: u16,
    /// To everybody of the room instead of one neighbour.
    pub to_all: bool,
    /// What a member that is late sends at once; the rest is not made up for.
    pub at_once: u32,
}

impl Talk {
    /// What is to be sent next by a member with this number.
    fn target(self, number: u32) -> MacAddr {
        if self.to_all {
            MacAddr([0xff; 6])
        } else {
            mac(number ^ 1)
        }
    }
}

/// Many members of one relay.
#[derive(Debug)]
pub struct Crowd {
    relay: SocketAddr,
    room_size: u32,
    sockets: Vec<Socket>,
    dialled: u32,
    joined: usize,
    received: u64,
    delays: Vec<f64>,
    clock: Instant,
    ended: Option<String>,
}

impl Crowd {
    /// Makes a crowd of up to `most` members that will fill rooms of `room_size` at `relay`.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificate is none, or loopback has not enough addresses.
    pub fn new(relay: SocketAddr, certificate: &[u8], room_size: u32, most: usize) -> Result<Self> {
        let trust = Trust::Pinned(read_certificate(certificate)?);
        let settings = MemberSettings::new(DEVELOPMENT_NAME.into(), &trust, Pace::Off)?;
        let sockets = (0..most.div_ceil(PER_SOCKET).max(1))
            .map(|number| Socket::open(number, settings.clone()))
            .collect::<Result<_>>()?;

        Ok(Self {
            relay,
            room_size: room_size.max(2),
            sockets,
            dialled: 0,
            joined: 0,
            received: 0,
            delays: Vec::new(),
            clock: Instant::now(),
            ended: None,
        })
    }

    /// Returns how many are members.
    pub const fn joined(&self) -> usize {
        self.joined
    }

    /// Returns how many datagrams came.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Lets `count` more members join, some at a time.
    ///
    /// # Errors
    ///
    /// Returns an error if one of them is not let in.
    pub fn join(&mut self, count: usize) -> Result<()> {
        let (goal, mut progress) = (self.joined + count, Instant::now());
        while self.joined < goal {
            let (before, mut under_way) = (self.joined, self.dialled as usize - self.joined);
            while under_way < UNDER_WAY && (self.dialled as usize) < goal {
                self.dial()?;
                under_way += 1;
            }
            self.turn(Duration::from_millis(5))?;
            if self.joined > before {
                progress = Instant::now();
            }
            ensure!(
                progress.elapsed() < PATIENCE,
                "{} of {goal} have joined, and no more do",
                self.joined
            );
        }

        Ok(())
    }

    /// Starts the next member's connection, from the next address in turn: a relay lets few in from one at a time.
    fn dial(&mut self) -> Result<()> {
        let at = self.dialled as usize % self.sockets.len();
        let socket = self.sockets.get_mut(at).context("there are sockets")?;
        let link = socket.endpoint.connect(self.relay, None, Instant::now())?;
        socket.members.insert(link, Member::new(self.dialled));
        self.dialled += 1;

        Ok(())
    }

    /// Lets everybody be idle for a while: links stay alive, nobody says anything else.
    ///
    /// # Errors
    ///
    /// Returns an error if somebody loses its membership.
    pub fn rest(&mut self, time: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.turn(Duration::from_millis(20))?;
        }

        Ok(())
    }

    /// Returns how long each datagram that came since the last call was under way, in milliseconds, queues of the senders included.
    pub fn take_delays(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.delays)
    }

    /// Lets members talk until `time` is over; calls `each` about ten times a second. Returns how many frames were sent.
    ///
    /// # Errors
    ///
    /// Returns an error if somebody loses its membership, or what `each` returns.
    pub fn talk(
        &mut self,
        talk: Talk,
        time: Duration,
        mut each: impl FnMut() -> Result<()>,
    ) -> Result<u64> {
        let (start, mut total, mut looked) = (Instant::now(), 0, Instant::now());
        for member in self.sockets.iter_mut().flat_map(|s| s.members.values_mut()) {
            member.sent = 0;
        }
        while start.elapsed() < time {
            let due = start.elapsed().as_secs_f64() * f64::from(talk.rate);
            for socket in &mut self.sockets {
                total += socket.talk(talk, due, self.clock);
            }
            self.turn(Duration::from_millis(1))?;
            if looked.elapsed() > Duration::from_millis(100) {
                looked = Instant::now();
                each()?;
            }
        }

        Ok(total)
    }

    /// Lets everybody leave.
    ///
    /// # Errors
    ///
    /// Returns an error if the sockets cannot be waited for.
    pub fn leave(mut self) -> Result<()> {
        let now = Instant::now();
        for socket in &mut self.sockets {
            for link in std::mem::take(&mut socket.members).into_keys() {
                socket.endpoint.close(link, close_code::LEFT, "bye", now);
            }
        }
        self.rest(Duration::from_millis(500))
    }

    /// One turn of everybody: waits for packets for at most `patience`, and does what is due.
    fn turn(&mut self, patience: Duration) -> Result<()> {
        let timeout = Timespec::try_from(patience)?;
        let mut fds: Vec<_> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket.endpoint.socket(), PollFlags::IN))
            .collect();
        poll(&mut fds, Some(&timeout))?;
        let (relay, room_size, clock) = (self.relay, self.room_size, self.clock);
        for socket in &mut self.sockets {
            let news = socket.turn(relay, room_size, clock, &mut self.delays)?;
            self.joined += news.joined;
            self.received += news.received;
            self.ended = self.ended.take().or(news.ended);
        }
        if let Some(ended) = &self.ended {
            bail!("a member lost its membership: {ended}");
        }

        Ok(())
    }
}
