//! Members of a relay by the thousand, at little cost: real QUIC links and control messages, a hundred links on one socket, one thread.
//!
//! Each socket has an address of its own in 127.0.0.0/8, in a network of its own, because a relay limits what one may do.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lanparty_ctrl::{
    Capability, Decoder, Hello, MAX_ADMITTED, Message, PROTOCOL_VERSION, Role, close_code, encode,
};
use lanparty_net::{
    CloseCause, DEVELOPMENT_NAME, Endpoint, LinkEvent, LinkId, MemberSettings, Trust,
};

use lanparty_proto::{MacAddr, PeerId, RoomId, overlay};
use lanparty_queue::{Class, Pace};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Members on one socket: fewer than a relay bears of one address (128), since a member that was sent to another worker counts twice
/// for a second.
const PER_SOCKET: usize = 80;

/// Members that are on their way in at a time: a rush, and still no flood.
const UNDER_WAY: usize = 128;

/// How long a member may take to get in. QUIC asks again after a second if the relay did not answer at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// EtherType of IPX, which the safety policy lets pass.
const IPX: [u8; 2] = [0x81, 0x37];

/// Where the time of sending stands in a frame: behind Ethernet and IPX headers.
const STAMP_AT: usize = 14 + 30;

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

#[derive(Debug)]
struct Socket {
    endpoint: Endpoint,
    seats: BTreeMap<LinkId, Seat>,
}

/// One member.
#[derive(Debug)]
struct Seat {
    number: u32,
    decoder: Decoder,
    place: Option<(RoomId, PeerId)>,
    sent: u32,
}

impl Seat {
    fn new(number: u32) -> Self {
        Self {
            number,
            decoder: Decoder::new(MAX_ADMITTED),
            place: None,
            sent: 0,
        }
    }

    /// A frame of `len` bytes that is sent at `stamp`, in a datagram.
    fn datagram(&self, to: MacAddr, len: u16, stamp: Duration) -> Option<Vec<u8>> {
        let (room, peer) = self.place?;
        let mut datagram = overlay::header(room, peer, false, len).to_vec();
        datagram.extend_from_slice(&to.0);
        datagram.extend_from_slice(&mac(self.number).0);
        datagram.extend_from_slice(&IPX);
        // No checksum, and a length that leaves the rest as padding.
        datagram.extend_from_slice(&[0xff, 0xff, 0, 30]);
        datagram.resize(overlay::HEADER_LEN + STAMP_AT, 0);
        let nanos = u64::try_from(stamp.as_nanos()).unwrap_or(u64::MAX);
        datagram.extend_from_slice(&nanos.to_be_bytes());
        datagram.resize(overlay::HEADER_LEN + usize::from(len), 0);

        Some(datagram)
    }
}

impl Crowd {
    /// Makes a crowd of up to `most` members that will fill rooms of `room_size` at `relay`.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificate is none, or loopback has not enough addresses.
    pub fn new(relay: SocketAddr, certificate: &[u8], room_size: u32, most: usize) -> Result<Self> {
        let trust = Trust::Pinned(certificate.to_vec().into());
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

    /// Returns how many have a place.
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
        socket.seats.insert(link, Seat::new(self.dialled));
        self.dialled += 1;

        Ok(())
    }

    /// Lets everybody be idle for a while: links stay alive, nobody says anything else.
    ///
    /// # Errors
    ///
    /// Returns an error if somebody loses its place.
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
    /// Returns an error if somebody loses its place, or what `each` returns.
    pub fn talk(
        &mut self,
        talk: Talk,
        time: Duration,
        mut each: impl FnMut() -> Result<()>,
    ) -> Result<u64> {
        let (start, mut total, mut looked) = (Instant::now(), 0, Instant::now());
        for seat in self.sockets.iter_mut().flat_map(|s| s.seats.values_mut()) {
            seat.sent = 0;
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
            for link in std::mem::take(&mut socket.seats).into_keys() {
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
            bail!("a member lost its place: {ended}");
        }

        Ok(())
    }
}

/// What a turn of one socket brought.
#[derive(Debug, Default)]
struct News {
    joined: usize,
    received: u64,
    ended: Option<String>,
}

impl Socket {
    fn open(number: usize, settings: MemberSettings) -> Result<Self> {
        let (second, third) = (u8::try_from(2 + number / 250)?, u8::try_from(number % 250)?);
        let from = Ipv4Addr::new(127, second, third, 1);
        let socket = UdpSocket::bind((from, 0)).context("no such address on loopback")?;

        Ok(Self {
            endpoint: Endpoint::member(socket, settings)?,
            seats: BTreeMap::new(),
        })
    }

    fn turn(
        &mut self,
        relay: SocketAddr,
        room_size: u32,
        clock: Instant,
        delays: &mut Vec<f64>,
    ) -> Result<News> {
        let (mut news, now) = (News::default(), Instant::now());
        while self.endpoint.receive(now) {}
        self.endpoint.handle_timeout(now);
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                LinkEvent::Connected { link } => self.greet(link, room_size)?,
                LinkEvent::Control { link, bytes } => {
                    let Some(seat) = self.seats.get_mut(&link) else {
                        continue;
                    };
                    seat.decoder.push(&bytes);
                    self.read(link, relay, &mut news)?;
                }
                LinkEvent::Closed { link, cause } if self.seats.remove(&link).is_some() => {
                    news.ended = Some(describe(&cause));
                }
                LinkEvent::Budget { .. } | LinkEvent::Closed { .. } => {}
            }
        }
        while let Some((_, datagram)) = self.endpoint.poll_datagram() {
            news.received += 1;
            delays.extend(delay(&datagram, now.saturating_duration_since(clock)));
        }
        self.endpoint.flush(now);

        Ok(news)
    }

    fn greet(&mut self, link: LinkId, room_size: u32) -> Result<()> {
        let seat = self.seats.get(&link).context("a link has a seat")?;
        let hello = Hello {
            version: PROTOCOL_VERSION,
            role: Role::Client,
            room: format!("CROWD{}", seat.number / room_size).parse()?,
            mac: Some(mac(seat.number)),
            budget: 1434,
            capabilities: vec![Capability::FullFrame],
            generation: 1,
            resume: None,
            instance: None,
            down_rate: None,
            program: "crowd".into(),
            program_version: "1".into(),
        };
        self.endpoint
            .send_control(link, encode(&Message::Hello(hello)));

        Ok(())
    }

    fn read(&mut self, link: LinkId, relay: SocketAddr, news: &mut News) -> Result<()> {
        while let Some(seat) = self.seats.get_mut(&link) {
            match seat.decoder.poll_message()? {
                Some(Message::Welcome(welcome)) => {
                    seat.place = Some((welcome.room, welcome.peer));
                    news.joined += 1;
                }
                Some(Message::Redirect(redirect)) => {
                    let (number, now) = (seat.number, Instant::now());
                    self.seats.remove(&link);
                    self.endpoint
                        .close(link, close_code::LEFT, "redirected", now);
                    let link = self.endpoint.connect(relay, Some(redirect.worker), now)?;
                    self.seats.insert(link, Seat::new(number));
                }
                Some(Message::Reject(reject)) => bail!("not let in: {}", reject.message),
                Some(_) => {}
                None => break,
            }
        }

        Ok(())
    }

    /// Queues what is due of the busy members here.
    fn talk(&mut self, talk: Talk, due: f64, clock: Instant) -> u64 {
        let (mut total, now) = (0, Instant::now());
        let stamp = now.saturating_duration_since(clock);
        let busy = self.seats.iter_mut();
        for (link, seat) in busy.filter(|(_, seat)| seat.number < talk.busy) {
            let to = talk.target(seat.number);
            for _ in 0..talk.at_once {
                let datagram = seat.datagram(to, talk.len, stamp);
                let Some(datagram) = datagram.filter(|_| f64::from(seat.sent) < due) else {
                    break;
                };
                seat.sent += 1;
                total += 1;
                let flow = seat.number;
                // A full queue drops; what counts is what it holds.
                let _dropped =
                    self.endpoint
                        .queue(*link, datagram.into(), flow, Class::Normal, 0, now);
            }
        }
        self.endpoint.flush(now);

        total
    }
}

/// Returns how long a datagram was under way that arrived at `now`, in milliseconds.
fn delay(datagram: &[u8], now: Duration) -> Option<f64> {
    let stamp = datagram.get(overlay::HEADER_LEN + STAMP_AT..)?;
    let nanos = u64::from_be_bytes(*stamp.first_chunk()?);

    Some(
        now.saturating_sub(Duration::from_nanos(nanos))
            .as_secs_f64()
            * 1e3,
    )
}

/// Returns the MAC of a member.
fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();

    MacAddr([2, 1, a, b, c, d])
}

fn describe(cause: &CloseCause) -> String {
    format!("{cause:?}")
}

#[cfg(test)]
mod tests {
    use lanparty_proto::{Frame, Overlay};

    use super::*;

    #[test]
    fn neighbours_talk_to_each_other_in_frames_that_parse() {
        let mut seat = Seat::new(6);
        seat.place = Some((RoomId(1), PeerId(7)));
        let sent = Duration::from_millis(30);
        let datagram = seat.datagram(mac(7), 200, sent).unwrap();
        assert_eq!(delay(&datagram, Duration::from_millis(35)), Some(5.0));
        let frame = Frame::parse(Overlay::parse(&datagram, false).unwrap().payload).unwrap();

        assert_eq!(frame.destination(), mac(7));
        assert_eq!(frame.source(), mac(6));
        assert_eq!(frame.bytes().len(), 200);
    }
}
