//! A relay under attack from the Internet: garbage from an admitted client, random packets, silent connections, floods.
//!
//! Everything happens on loopback; attackers and members have addresses of their own in 127.0.0.0/8, because a relay limits what one
//! address may do. The same rounds are a short test and, in the numbers of a real attack, the program `siege`.

mod member;
mod relay;
mod returning;
mod silent;
mod unvalidated;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lanparty_ctrl::Role;
use lanparty_linux::realtime::RealtimePriority;
use lanparty_proto::{MacAddr, overlay};
use rustix::process::{getpriority_process, setpriority_process};

pub use self::member::Member;
pub use self::relay::{Relay, end_all};
pub use self::returning::{Returned, returning};
pub use self::silent::{AT_A_TIME, Silence, silent};
pub use self::unvalidated::{flood, known, network, retry, scarce};
use crate::impair::Rng;

/// What an attack did to the relay and to a room that has nothing to do with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// What arrived: what the relay counted, or what the kernel did not drop in front of it.
    pub arrived: u64,
    /// By how much the relay's resident memory had grown once the attack was over, in bytes.
    pub growth: u64,
    /// The 99th percentile of a frame's time from member to member before the attack.
    pub quiet: Duration,
    /// The same during the attack.
    pub besieged: Duration,
    /// How long the attack took.
    pub time: Duration,
}

/// How long the quiet room is listened to before an attack.
const LISTENING: Duration = Duration::from_secs(1);

/// How long after an attack memory is read: a relay gives back what a crowd leaves behind within a second.
const SETTLING: Duration = Duration::from_secs(2);

/// Frames of the quiet room: one in this time, as a game sends.
const INTERVAL: Duration = Duration::from_millis(2);

/// The longest that anything honest may take before the siege has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The worker that keeps the quiet room.
pub const WITNESS_WORKER: u8 = 0;

/// Two members whose frames go on while others attack.
struct Witness {
    speaker: Member,
    listener: Member,
    latencies: Vec<Duration>,
}

impl Witness {
    fn join(relay: &Relay) -> Result<Self> {
        let one = MacAddr([2, 0, 0, 0, 0, 1]);
        let two = MacAddr([2, 0, 0, 0, 0, 2]);

        Ok(Self {
            speaker: Member::join_at(relay, WITNESS_WORKER, address(0, 1), "QUIET", one)?,
            listener: Member::join_at(relay, WITNESS_WORKER, address(0, 2), "QUIET", two)?,
            latencies: Vec::new(),
        })
    }

    /// Sends one frame to the other member and waits for it.
    fn exchange(&mut self) -> Result<()> {
        let start = Instant::now();
        let frame = member::ipx(MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]));
        self.speaker.send(&frame);
        while self.listener.take_datagram().is_none() {
            self.listener.turn(Duration::from_millis(1))?;
            self.speaker.turn(Duration::ZERO)?;
            ensure!(
                start.elapsed() < PATIENCE,
                "the quiet room is cut off: {:?} {:?}",
                self.speaker.cause(),
                self.listener.cause()
            );
        }
        self.latencies.push(start.elapsed());
        std::thread::sleep(INTERVAL);

        Ok(())
    }

    /// Returns the 99th percentile since the last call.
    fn take_p99(&mut self) -> Duration {
        self.latencies.sort_unstable();
        let at = self.latencies.len() * 99 / 100;
        let p99 = self.latencies.get(at).copied().unwrap_or_default();
        self.latencies.clear();

        p99
    }
}

/// Runs `attack` on a thread of its own beside a quiet room, and measures both rooms' relay.
fn measure(
    relay: &mut Relay,
    attack: impl FnOnce(&Relay) -> Result<u64> + Send,
) -> Result<Outcome> {
    // As a member's data path does. Attackers are ordinary: they share this machine, but what they take of it is not the relay's doing.
    let niceness = getpriority_process(None)?;
    let realtime = RealtimePriority::secure(true);
    let _registered = realtime.register();
    let mut witness = Witness::join(relay)?;
    let begin = Instant::now();
    while begin.elapsed() < LISTENING {
        witness.exchange()?;
    }
    let quiet = witness.take_p99();
    let before = relay.resident()?;
    let start = Instant::now();
    let shared = &*relay;
    let arrived = std::thread::scope(|scope| {
        let attacker = scope.spawn(move || {
            // As it was started; what a thread of the real-time class starts is ordinary otherwise.
            setpriority_process(None, niceness)?;

            attack(shared)
        });
        while !attacker.is_finished() {
            witness.exchange()?;
        }
        attacker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let time = start.elapsed();
    let besieged = witness.take_p99();
    witness.exchange()?;
    std::thread::sleep(SETTLING);
    ensure!(relay.is_running(), "the relay has crashed");

    Ok(Outcome {
        arrived,
        growth: relay.resident()?.saturating_sub(before),
        quiet,
        besieged,
        time,
    })
}

/// Garbage from an admitted client: it is disconnected at the threshold, kept out for a while, and nobody else notices.
///
/// # Errors
///
/// Returns an error if the relay does not throw the client out, or if anything else breaks.
pub fn threshold(relay: &mut Relay) -> Result<()> {
    let mac = MacAddr([2, 0, 0, 0, 0, 3]);
    let mut client = Member::join(relay, address(0, 3), Role::Client, "VICTIM", Some(mac))?;
    let kinds: [&[u8]; 3] = [&[], &[0], &[0xff; 64]];
    let mut sent = 0;
    let start = Instant::now();
    while client.cause().is_none() {
        client.send_raw(kinds.iter().cycle().nth(sent).copied().unwrap_or_default());
        client.turn(Duration::from_millis(1))?;
        sent += 1;
        ensure!(start.elapsed() < PATIENCE, "garbage is borne for ever");
    }

    let again = Member::join(relay, address(0, 3), Role::Client, "VICTIM", Some(mac));
    ensure!(again.is_err(), "who sent garbage is let in again at once");
    let status = relay.status()?;
    ensure!(status["members_malformed"] == 1, "{status}");

    Ok(())
}

/// Mutated, truncated and empty datagrams from a client, at a relay that was told to bear any number of them.
///
/// It goes on until the relay has counted `count` of them: what queues on the way lose does not. The client's room is kept by `worker`.
///
/// # Errors
///
/// Returns an error if the relay crashes, or ends the connection.
pub fn datagrams(relay: &mut Relay, worker: u8, count: u64) -> Result<Outcome> {
    measure(relay, |relay| {
        let mac = MacAddr([2, 0, 0, 0, 0, 4]);
        let mut client = Member::join_at(relay, worker, address(0, 4), "LOUD", mac)?;
        let mut rng = Rng::new(count);
        loop {
            let heard = relay.heard("LOUD")?;
            if heard >= count {
                return Ok(heard);
            }
            for _ in 0..LOOK.min(count).div_ceil(BATCH) {
                for _ in 0..BATCH {
                    let garbage = mutated(&client, mac, &mut rng);
                    client.queue(&garbage);
                }
                client.turn(Duration::ZERO)?;
                while !client.is_drained() {
                    client.turn(Duration::from_millis(1))?;
                }
                ensure!(client.cause().is_none(), "ended: {:?}", client.cause());
            }
        }
    })
}

/// Datagrams that are queued before they are sent; the queue in front of a link holds more.
const BATCH: u64 = 64;

/// Datagrams or packets between two looks at how many have arrived.
const LOOK: u64 = 50_000;

/// Returns a good datagram with something wrong, or nothing at all.
fn mutated(client: &Member, mac: MacAddr, rng: &mut Rng) -> Vec<u8> {
    let random = rng.next_u64();
    let mut frame = member::ipx(MacAddr::BROADCAST, mac);
    // The innards of a frame that pass the header are of every kind.
    for byte in frame.iter_mut().skip(12) {
        *byte = u8::try_from(rng.next_u64() & 0xff).unwrap_or(0);
    }
    let header = client.header(frame.len());
    let mut datagram = [&header[..], &frame].concat();
    let bit = usize::try_from(random >> 8 & 0x3ff).unwrap_or(0);
    match random & 3 {
        0 => datagram.truncate(bit % (datagram.len() + 1)),
        1 => {
            let at = bit % (overlay::HEADER_LEN * 8);
            if let Some(byte) = datagram.get_mut(at / 8) {
                *byte ^= 1 << (at % 8);
            }
        }
        2 => datagram.clear(),
        _ => {}
    }

    datagram
}

/// Random packets at the port, of all sizes and from many sockets, until `count` have got past the kernel.
///
/// # Errors
///
/// Returns an error if the relay crashes.
pub fn packets(relay: &mut Relay, count: u64) -> Result<Outcome> {
    measure(relay, |relay| {
        let sockets = (0..16)
            .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<std::io::Result<Vec<_>>>()?;
        let mut rng = Rng::new(count);
        let mut packet = vec![0; 1472];
        let (mut sent, lost) = (0, relay.lost_by_kernel()?);
        loop {
            let arrived = u64::saturating_sub(sent, relay.lost_by_kernel()? - lost);
            if arrived >= count {
                return Ok(arrived);
            }
            for socket in sockets
                .iter()
                .cycle()
                .take(usize::try_from(LOOK.min(count))?)
            {
                let body = random_packet(&mut packet, &mut rng);
                sent += u64::from(socket.send_to(body, relay.address()).is_ok());
            }
        }
    })
}

/// Makes the next random packet: every second looks like QUIC version 1 at first sight.
fn random_packet<'a>(packet: &'a mut [u8], rng: &mut Rng) -> &'a [u8] {
    let random = rng.next_u64();
    let len = usize::try_from(random >> 16 & 0x7ff).unwrap_or(0) % packet.len();
    for chunk in packet.chunks_mut(64) {
        if let Some(place) = chunk.first_chunk_mut() {
            *place = rng.next_u64().to_ne_bytes();
        }
    }
    // Long header, fixed bit, version, and the length of a connection id (RFC 9000, 17.2).
    if random & 1 == 0
        && let Some(place) = packet.first_chunk_mut()
    {
        *place = [0xc0 | place[0] & 0x3f, 0, 0, 0, 1, 8];
    }

    packet.get(..len).unwrap_or_default()
}

/// Returns an address of loopback for an attacker or a member.
fn address(third: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, third, last)
}

/// Returns where a member's socket is bound.
fn bound(address: Ipv4Addr) -> SocketAddr {
    (address, 0).into()
}
