//! Members that share a socket: their links, and what comes by them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use lanparty_ctrl::{Hello, Message, close_code, encode};
use lanparty_net::{CloseCause, Endpoint, LinkEvent, LinkId, MemberSettings};
use lanparty_queue::TrafficClass;

use super::Talk;
use super::member::{Member, delay, mac};

/// Links on one socket, and whose they are.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) endpoint: Endpoint,
    pub(super) members: BTreeMap<LinkId, Member>,
}

/// What a turn of one socket brought.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) joined: usize,
    pub(super) received: u64,
    pub(super) ended: Option<String>,
}

impl Socket {
    pub(super) fn open(number: usize, settings: MemberSettings) -> Result<Self> {
        let (second, third) = (u8::try_from(2 + number / 250)?, u8::try_from(number % 250)?);
        let from = Ipv4Addr::new(127, second, third, 1);
        let socket = UdpSocket::bind((from, 0)).context("no such address on loopback")?;

        Ok(Self {
            endpoint: Endpoint::member(socket, settings)?,
            members: BTreeMap::new(),
        })
    }

    pub(super) fn turn(
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
                    let Some(member) = self.members.get_mut(&link) else {
                        continue;
                    };
                    member.decoder.push(&bytes);
                    self.read(link, relay, &mut news)?;
                }
                LinkEvent::Closed { link, cause } if self.members.remove(&link).is_some() => {
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
        let member = self.members.get(&link).context("a link has a member")?;
        let hello = Hello {
            room: format!("CROWD{}", member.number / room_size).parse()?,
            ..lanparty_samples::hello(Some(mac(member.number)))
        };
        self.endpoint
            .send_control(link, encode(&Message::Hello(hello)));

        Ok(())
    }

    fn read(&mut self, link: LinkId, relay: SocketAddr, news: &mut News) -> Result<()> {
        while let Some(member) = self.members.get_mut(&link) {
            match member.decoder.poll_message()? {
                Some(Message::Welcome(welcome)) => {
                    member.ids = Some((welcome.room, welcome.peer));
                    news.joined += 1;
                }
                Some(Message::Redirect(redirect)) => {
                    let (number, now) = (member.number, Instant::now());
                    self.members.remove(&link);
                    self.endpoint
                        .close(link, close_code::LEFT, "redirected", now);
                    let link = self.endpoint.connect(relay, Some(redirect.worker), now)?;
                    self.members.insert(link, Member::new(number));
                }
                Some(Message::Reject(reject)) => bail!("not let in: {}", reject.message),
                Some(_) => {}
                None => break,
            }
        }

        Ok(())
    }

    /// Queues what is due of the busy members here.
    pub(super) fn talk(&mut self, talk: Talk, due: f64, clock: Instant) -> u64 {
        let (mut total, now) = (0, Instant::now());
        let stamp = now.saturating_duration_since(clock);
        let busy = self.members.iter_mut();
        for (link, member) in busy.filter(|(_, member)| member.number < talk.busy) {
            let to = talk.target(member.number);
            for _ in 0..talk.at_once {
                let datagram = member.datagram(to, talk.len, stamp);
                let Some(datagram) = datagram.filter(|_| f64::from(member.sent) < due) else {
                    break;
                };
                member.sent += 1;
                total += 1;
                let flow = member.number;
                // A full queue drops; what counts is what it holds.
                let _dropped =
                    self.endpoint
                        .queue(*link, datagram.into(), flow, TrafficClass::Normal, 0, now);
            }
        }
        self.endpoint.flush(now);

        total
    }
}

fn describe(cause: &CloseCause) -> String {
    format!("{cause:?}")
}
