//! A crowd that finishes its handshakes and never says hello: all at a time, from many addresses.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lanparty_ctrl::Role;
use lanparty_net::{Endpoint, LinkEvent, LinkId, MemberSettings};
use lanparty_proto::MacAddr;

use super::{Member, Outcome, PATIENCE, Relay, address, bound, measure, member};

/// Connections of one address: what it may have at once by default, with some left for packets that were lost.
const PER_ADDRESS: usize = 50;

/// Handshakes at a time: what a core or two can finish within a round trip of a retry.
pub const AT_A_TIME: usize = 128;

/// How long a handshake may take before it counts as stalled: the loss of any of its packets is made good within two seconds.
const STALLED: Duration = Duration::from_secs(5);

/// What became of connections that never said hello.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence {
    /// How many finished their handshake.
    pub connected: usize,
    /// How many had not finished it after [`STALLED`].
    pub stalled: usize,
    /// How many were open at a time at most.
    pub most: usize,
    /// In what time they came.
    pub rush: Duration,
    /// By how much the relay's resident memory had grown while most were there, in bytes.
    pub peak: u64,
    /// How long somebody took to join a room while they were there.
    pub joined_in: Duration,
    /// How often the relay put out the one that was silent for longest.
    pub crowded_out: u64,
    /// How long after the last handshake the relay was rid of all.
    pub rid: Duration,
}

/// All connections of one address.
struct Loiterers {
    endpoint: Endpoint,
    from: Ipv4Addr,
    connections: Vec<Connection>,
}

/// One of them.
struct Connection {
    link: LinkId,
    since: Instant,
    is_connected: bool,
    has_ended: bool,
    said: usize,
}

impl Loiterers {
    fn new(number: usize, settings: &MemberSettings) -> Result<Self> {
        // A network of its own, as peers from all over have.
        let from = Ipv4Addr::new(127, 10, u8::try_from(number)?, 1);
        let socket = UdpSocket::bind(bound(from)).context("no such address on loopback")?;

        Ok(Self {
            endpoint: Endpoint::member(socket, settings.clone())?,
            from,
            connections: Vec::with_capacity(PER_ADDRESS),
        })
    }

    fn dial(&mut self, relay: &Relay) -> Result<()> {
        let since = Instant::now();
        let link = self
            .endpoint
            .connect(relay.address(), None, since)
            .with_context(|| format!("{} cannot connect", self.from))?;
        self.connections.push(Connection {
            link,
            since,
            is_connected: false,
            has_ended: false,
            said: 0,
        });

        Ok(())
    }

    fn turn(&mut self) {
        let now = Instant::now();
        while self.endpoint.receive(now) {}
        self.endpoint.handle_timeout(now);
        while let Some(event) = self.endpoint.poll_event() {
            let (link, is_connected, has_ended) = match event {
                LinkEvent::Connected { link } => (link, true, false),
                LinkEvent::Closed { link, .. } => (link, false, true),
                LinkEvent::Control { .. } | LinkEvent::Budget { .. } => continue,
            };
            if let Some(connection) = self
                .connections
                .iter_mut()
                .find(|connection| connection.link == link)
            {
                connection.is_connected |= is_connected;
                connection.has_ended |= has_ended;
            }
        }
        self.endpoint.flush(now);
    }

    /// Lets every second one say the next byte of its hello.
    fn dribble(&mut self) {
        /// The length of a message of 1024 bytes, which a hello may have.
        const BEGINNING: [u8; 4] = [0, 0, 4, 0];
        for connection in self.connections.iter_mut().step_by(2) {
            if connection.is_connected && !connection.has_ended {
                let byte = BEGINNING.get(connection.said).copied().unwrap_or(b' ');
                connection.said += 1;
                // A link that is gone takes nothing, and says so by its end.
                let _taken = self.endpoint.send_control(connection.link, vec![byte]);
            }
        }
    }

    fn count(&self, is_counted: impl Fn(&Connection) -> bool) -> usize {
        self.connections
            .iter()
            .filter(|connection| is_counted(connection))
            .count()
    }
}

/// `count` connections and a few more from a fiftieth as many addresses that finish their handshakes and never finish their hello: every second one says
/// nothing, the others a byte now and then. All are gone soon, somebody else joins meanwhile, and another room does not notice.
///
/// # Errors
///
/// Returns an error if the relay keeps any, does not shake hands with all, or lets nobody else in.
pub fn silent(relay: &mut Relay, count: usize) -> Result<(Outcome, Silence)> {
    let mut silence = Silence::default();
    let before = relay.resident()?;
    let outcome = measure(relay, |relay| {
        silence = besiege(relay, count, before)?;

        Ok(u64::try_from(silence.connected)?)
    })?;
    let status = relay.status()?;
    ensure!(status["members_admitted"] == 3, "{status}");
    let crowded_out = status["limits_reached"]["silent_connections"].as_u64();
    silence.crowded_out = crowded_out.unwrap_or(0);

    Ok((outcome, silence))
}

fn besiege(relay: &Relay, count: usize, before: u64) -> Result<Silence> {
    let settings = member::settings(relay)?;
    let mut crowd = (0..(count + AT_A_TIME).div_ceil(PER_ADDRESS))
        .map(|number| Loiterers::new(number, &settings))
        .collect::<Result<Vec<_>>>()?;

    let mut silence = Silence::default();
    let (start, mut dialled) = (Instant::now(), 0);
    while silence.connected < count {
        // One that was lost keeps nobody waiting: there are a few more than are asked for.
        let late = total(&crowd, |connection| {
            connection.has_ended && !connection.is_connected
        });
        let under_way = dialled - silence.connected - late;
        for _ in under_way..AT_A_TIME {
            let place = dialled % crowd.len();
            if let Some(loiterers) = crowd.get_mut(place) {
                loiterers.dial(relay)?;
                dialled += 1;
            }
        }
        crowd.iter_mut().for_each(Loiterers::turn);
        silence.connected = total(&crowd, |connection| connection.is_connected);
        silence.most = silence.most.max(total(&crowd, Connection::is_open));
        ensure!(start.elapsed() < PATIENCE, "handshakes take too long");
    }
    let last = Instant::now();
    silence.rush = start.elapsed();
    silence.peak = relay.resident()?.saturating_sub(before);

    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    Member::join(relay, address(250, 4), Role::Client, "AMIDST", Some(mac))?;
    silence.joined_in = last.elapsed();
    while total(&crowd, Connection::is_open) > 0 {
        for loiterers in &mut crowd {
            loiterers.dribble();
            loiterers.turn();
        }
        ensure!(last.elapsed() < PATIENCE, "silent connections are kept");
        std::thread::sleep(Duration::from_millis(10));
    }
    silence.rid = last.elapsed();
    silence.stalled = total(&crowd, |connection| {
        !connection.is_connected && connection.since.elapsed() > STALLED
    });

    Ok(silence)
}

impl Connection {
    const fn is_open(&self) -> bool {
        self.is_connected && !self.has_ended
    }
}

fn total(crowd: &[Loiterers], is_counted: impl Fn(&Connection) -> bool) -> usize {
    crowd.iter().map(|one| one.count(&is_counted)).sum()
}
