//! Those who have no place in a room and never get one: silent, many, or both.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lanparty_ctrl::Role;
use lanparty_proto::MacAddr;

use super::{Member, Outcome, PATIENCE, Relay, address, measure};

/// What became of connections that never said hello.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence {
    /// How many the relay had at a time at most, as far as it was asked.
    pub most: u64,
    /// How long after the last one was there the relay was rid of all.
    pub rid: Duration,
}

/// Connections from many addresses that finish their handshake and never finish their hello: every second one says nothing, the
/// others a byte now and then. All are gone, and the room they leave is whole.
///
/// # Errors
///
/// Returns an error if the relay keeps any.
pub fn silent(relay: &mut Relay, count: usize) -> Result<(Outcome, Silence)> {
    let mut silence = Silence::default();
    let outcome = measure(relay, |relay| {
        let mut members = Vec::with_capacity(count);
        for number in 0..count {
            members.push(Member::dial(relay, many(number)?)?);
            for member in members.iter_mut().rev().take(32) {
                member.turn(Duration::ZERO)?;
            }
            if number % 250 == 0 {
                silence.most = silence.most.max(connections(relay)?);
                dribble(&mut members)?;
            }
        }
        silence.most = silence.most.max(connections(relay)?);
        let last = Instant::now();
        while members.iter().any(|member| member.cause().is_none()) {
            dribble(&mut members)?;
            ensure!(last.elapsed() < PATIENCE, "silent connections are kept");
        }
        silence.rid = last.elapsed();

        Ok(u64::try_from(count)?)
    })?;
    let status = relay.status()?;
    ensure!(status["members_admitted"] == 2, "{status}");

    Ok((outcome, silence))
}

/// Gives every member a turn, and lets every second one say the next byte of its hello.
fn dribble(members: &mut [Member]) -> Result<()> {
    for pair in members.chunks_mut(2) {
        for member in &mut *pair {
            member.turn(Duration::ZERO)?;
        }
        if let Some(member) = pair.first_mut() {
            member.dribble();
        }
    }

    Ok(())
}

fn connections(relay: &Relay) -> Result<u64> {
    Ok(relay.status()?["connections"].as_u64().unwrap_or(0))
}

/// Returns the address of one of many: fifty connections each.
fn many(number: usize) -> Result<Ipv4Addr> {
    let third = 1 + u8::try_from(number / 50 % 200)?;
    let last = 1 + u8::try_from(number % 50)?;

    Ok(address(third, last))
}

/// Connections of one address: a few are let in, and another address still finds its way.
///
/// # Errors
///
/// Returns an error if the relay lets in more than its limits say.
pub fn flood(relay: &Relay) -> Result<()> {
    let before = relay.status()?["door"]["accepted"].as_u64().unwrap_or(0);
    let mut members = (0..200)
        .map(|_| Member::dial(relay, address(250, 1)))
        .collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        for member in &mut members {
            member.turn(Duration::ZERO)?;
        }
    }
    let seconds = start.elapsed().as_secs() + 1;
    let accepted = relay.status()?["door"]["accepted"].as_u64().unwrap_or(0) - before;
    ensure!(
        accepted <= 64 + 20 * seconds,
        "{accepted} connections of one address were let in"
    );
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    Member::join(relay, address(250, 2), Role::Client, "OTHER", Some(mac))?;

    Ok(())
}

/// Silent connections until a relay with little memory lets nobody in any more: once they are gone it does again.
///
/// # Errors
///
/// Returns an error if memory never runs short, or the door stays closed.
pub fn scarce(relay: &Relay) -> Result<()> {
    let refused = |relay: &Relay| -> Result<u64> {
        Ok(relay.status()?["door"]["refused"].as_u64().unwrap_or(0))
    };
    let mut members = Vec::new();
    while refused(relay)? == 0 {
        for _ in 0..50 {
            let number = members.len();
            ensure!(number < 5000, "memory never runs short");
            members.push(Member::dial(relay, many(number)?)?);
        }
        for member in members.iter_mut().rev().take(200) {
            member.turn(Duration::ZERO)?;
        }
    }
    drop(members);

    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    let start = Instant::now();
    while let Err(error) = Member::join(relay, address(250, 3), Role::Client, "AFTER", Some(mac)) {
        ensure!(start.elapsed() < PATIENCE, "the door stays closed: {error}");
        std::thread::sleep(Duration::from_millis(500));
    }

    Ok(())
}

/// A rush of strangers: beyond some number a second they must prove their addresses, which shows as Retry packets on the wire
/// (RFC 9000, 17.2.5).
///
/// # Errors
///
/// Returns an error if no Retry comes.
pub fn retry(relay: &Relay) -> Result<()> {
    // First packets of real connections, caught before they reach a relay.
    let trap = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    trap.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut initials = Vec::new();
    for _ in 0..400 {
        let mut member = Member::dial_to(relay, trap.local_addr()?, address(251, 1))?;
        member.turn(Duration::ZERO)?;
        let mut packet = vec![0; 1500];
        let len = trap.recv(&mut packet)?;
        packet.truncate(len);
        initials.push(packet);
    }
    let senders = (1..=100)
        .map(|last| UdpSocket::bind((address(252, last), 0)))
        .collect::<std::io::Result<Vec<_>>>()?;
    for (packet, sender) in initials.iter().zip(senders.iter().cycle()) {
        sender.send_to(packet, relay.address())?;
    }
    let mut retries = 0;
    for sender in &senders {
        sender.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut answer = [0; 2048];
        while let Ok((_, from)) = sender.recv_from(&mut answer) {
            let [first, ..] = answer;
            ensure!(from == relay.address(), "an answer of {from}");
            retries += u32::from(first & 0xf0 == 0xf0);
        }
    }
    ensure!(retries > 0, "no stranger had to prove its address");

    Ok(())
}
