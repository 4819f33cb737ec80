//! Those who have no place in a room and never get one, because they are many.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lanparty_ctrl::Role;
use lanparty_proto::MacAddr;

use super::{Member, PATIENCE, Relay, address, member};

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
    let before = relay.status()?["incoming_connections"]["accepted"]
        .as_u64()
        .unwrap_or(0);
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
    let accepted = relay.status()?["incoming_connections"]["accepted"]
        .as_u64()
        .unwrap_or(0)
        - before;
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
/// Returns an error if memory never runs short, or the relay goes on refusing.
pub fn scarce(relay: &Relay) -> Result<()> {
    let refused = |relay: &Relay| -> Result<u64> {
        Ok(relay.status()?["incoming_connections"]["refused"]
            .as_u64()
            .unwrap_or(0))
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
        ensure!(
            start.elapsed() < PATIENCE,
            "the relay goes on refusing: {error}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }

    Ok(())
}

/// Connections of one network, each from another address: so many are let in at a time, and another network still finds its way.
///
/// # Errors
///
/// Returns an error if the relay, which was told to let `most` in, does not keep to it or does not name the limit.
pub fn network(relay: &Relay, most: u8) -> Result<()> {
    let mut members = (0..2 * most)
        .map(|last| Member::dial(relay, address(248, last)))
        .collect::<Result<Vec<_>>>()?;
    let limit = |name: &str| -> Result<u64> {
        let reached = relay.status()?["limits_reached"][name].as_u64();

        Ok(reached.unwrap_or(0))
    };
    let start = Instant::now();
    while limit("network_connections")? == 0 {
        for member in &mut members {
            member.turn(Duration::ZERO)?;
        }
        let connections = relay.status()?["connections"].as_u64().unwrap_or(0);
        ensure!(connections <= most.into(), "{connections} of one network");
        ensure!(start.elapsed() < PATIENCE, "no limit is reached");
    }
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    Member::join(relay, address(249, 1), Role::Client, "OTHER", Some(mac))?;

    Ok(())
}

/// Who was here lately joins again while every unvalidated peer has to prove its address, and is not asked to.
///
/// # Errors
///
/// Returns an error if it is asked, or an unvalidated peer is not.
pub fn known(relay: &Relay) -> Result<()> {
    let retried = || -> Result<u64> {
        Ok(relay.status()?["incoming_connections"]["retried"]
            .as_u64()
            .unwrap_or(0))
    };
    let settings = member::settings(relay)?;
    let come = |last| -> Result<u64> {
        let (from, mac) = (address(250, 5), MacAddr([2, 0, 0, 0, 1, last]));
        let before = retried()?;
        Member::join_with(
            relay,
            &settings,
            None,
            from,
            Role::Client,
            "AGAIN",
            Some(mac),
        )?;

        Ok(retried()? - before)
    };
    ensure!(
        come(0)? > 0,
        "an unvalidated peer need not prove its address"
    );
    for last in 1..6 {
        ensure!(
            come(last)? == 0,
            "who was here lately has to prove its address"
        );
    }

    Ok(())
}

/// A rush of unvalidated peers: beyond some number a second they must prove their addresses, which shows as Retry packets on the wire
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
    ensure!(retries > 0, "no peer had to prove its address");

    Ok(())
}
