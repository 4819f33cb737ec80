//! An attacker that does not give up: thrown out at the threshold, it comes again, from the same address and from others.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lanparty_ctrl::Role;
use lanparty_proto::MacAddr;

use super::{Member, Outcome, PATIENCE, Relay, measure, mutated};
use crate::impair::Rng;

/// Datagrams of one connection in one turn: several times what a relay forgives.
const VOLLEY: usize = 256;

/// What an attacker that comes again and again achieved.
#[derive(Debug, Clone, Copy, Default)]
pub struct Returned {
    /// How often it was let in, and thrown out at the threshold.
    pub thrown_out: u64,
    /// How often it tried again at once from the address that it was thrown out with.
    pub tried_again: u64,
    /// How often that was refused.
    pub refused: u64,
}

/// A client at a relay with the limits it has by default: it joins, sends garbage until it is thrown out, tries again at once, and
/// goes on from another address, `count` times.
///
/// # Errors
///
/// Returns an error if the relay crashes, does not throw it out, or lets it in again at once.
pub fn returning(relay: &mut Relay, count: u32) -> Result<(Outcome, Returned)> {
    let mut returned = Returned::default();
    let mut outcome = measure(relay, |relay| {
        let mut rng = Rng::new(count.into());
        let mac = MacAddr([2, 0, 0, 0, 0, 5]);
        for number in 0..count {
            // From one network after the other: none may come again all the time.
            let [_, _, third, second] = number.to_be_bytes();
            let from = Ipv4Addr::new(127, second, third, 3);
            attack(relay, from, mac, &mut rng)?;
            returned.thrown_out += 1;
            returned.tried_again += 1;
            let again = Member::join(relay, from, Role::Client, "VICTIM", Some(mac));
            returned.refused += u64::from(again.is_err());
        }

        Ok(0)
    })?;
    let status = relay.status()?;
    outcome.arrived = malformed(&status);
    ensure!(
        status["members_malformed"] == returned.thrown_out,
        "not everybody was thrown out: {status}"
    );
    ensure!(
        returned.refused == returned.tried_again,
        "who was thrown out is let in again at once: {returned:?}"
    );

    Ok((outcome, returned))
}

/// Joins and sends garbage until the relay shows it out.
fn attack(relay: &Relay, from: Ipv4Addr, mac: MacAddr, rng: &mut Rng) -> Result<()> {
    let mut client = Member::join(relay, from, Role::Client, "VICTIM", Some(mac))?;
    let start = Instant::now();
    while !client.is_shown_out() {
        for _ in 0..VOLLEY {
            let garbage = mutated(&client, mac, rng);
            client.queue(&garbage);
        }
        client.turn(Duration::ZERO)?;
        ensure!(start.elapsed() < PATIENCE, "garbage is borne for ever");
    }

    Ok(())
}

/// Returns how many malformed datagrams the relay counted.
fn malformed(status: &serde_json::Value) -> u64 {
    let drops = status["drops"].as_object().into_iter().flatten();
    let malformed = drops
        .filter(|(reason, _)| reason.starts_with("malformed") || reason.starts_with("foreign"));

    malformed.filter_map(|(_, count)| count.as_u64()).sum()
}
