//! The attack tools of Debian's `thc-ipv6`, `dsniff` and `yersinia`, each for a few seconds, and what must not come of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::bed::Bed;
use crate::link::End;
use crate::program::Program;
use crate::raw::RawSocket;

/// How long a tool may take to send its first frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long each tool is let loose from then on: the floods send some ten thousand frames.
const TIME: Duration = Duration::from_secs(1);

/// How long a tool that was told to end may take; most do not care to be told.
const GRACE: Duration = Duration::from_millis(300);

/// Runs each line of `tools` (a program and its arguments) in a namespace, on an interface, for a moment.
///
/// # Errors
///
/// Returns an error if a tool cannot be started or puts no frame on the wire: a tool that does nothing proves nothing.
pub fn run_all(bed: &Bed, (namespace, interface): End<'_>, tools: &[String]) -> Result<()> {
    let mut silent = Vec::new();
    for (number, words) in tools.iter().enumerate() {
        let before = sent((namespace, interface))?;
        let mut parts = words.split_whitespace();
        let mut command = namespace.command(parts.next().context("an empty command")?);
        // yersinia attacks until somebody presses a key; an open pipe presses none. It leaves its log where it is.
        command
            .args(parts)
            .current_dir(bed.dir())
            .env("TERM", "xterm")
            .stdin(Stdio::piped());
        let mut tool = Program::start(bed.dir(), &format!("attack{number}"), command)?;
        let (patience, mut first) = (Instant::now() + PATIENCE, None);
        while tool.is_running() {
            let now = Instant::now();
            if first.is_none() && sent((namespace, interface))? > before {
                first = Some(now);
            }
            if now > first.map_or(patience, |first| first + TIME) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if tool.is_running() {
            tool.signal(rustix::process::Signal::TERM)?;
            if tool.wait(GRACE).is_err() {
                tool.kill()?;
            }
        }
        if sent((namespace, interface))? == before {
            silent.push(format!("\n`{words}`{}", tool.story()));
        }
    }
    ensure!(silent.is_empty(), "these sent nothing: {}", silent.concat());

    Ok(())
}

fn sent(end: End<'_>) -> Result<u64> {
    let text = crate::link::attribute(end, "statistics/tx_packets")?;

    text.parse().context("not a number of packets")
}

/// Hears an interface while `attack` runs, and counts for each reason the frames that `judge` gives one for.
///
/// # Errors
///
/// Returns the attack's error, or one if the interface goes away.
pub fn watch(
    end: End<'_>,
    judge: impl Fn(&[u8]) -> Option<&'static str> + Sync,
    attack: impl FnOnce() -> Result<()>,
) -> Result<BTreeMap<&'static str, usize>> {
    let socket = RawSocket::open(end)?;
    let is_over = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| -> Result<_> {
            let mut found = BTreeMap::new();
            loop {
                // Asked before the last look, so that what came before the end is seen.
                let is_last = is_over.load(Ordering::Relaxed);
                let frame = socket.recv(Duration::from_millis(200))?;
                let reason = frame
                    .as_ref()
                    .filter(|frame| !frame.outgoing)
                    .and_then(|frame| judge(&frame.bytes));
                if let Some(reason) = reason {
                    *found.entry(reason).or_default() += 1;
                }
                if is_last && frame.is_none() {
                    return Ok(found);
                }
            }
        });
        let attacked = attack();
        is_over.store(true, Ordering::Relaxed);
        let found = watcher
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        attacked?;

        found
    })
}

/// Returns an outsider's way of saying why a client's frame has no business on a LAN, written without a look at the policy.
pub fn forbidden_from_client(frame: &[u8], own: Ipv4Addr) -> Option<&'static str> {
    let at = |from: usize, len: usize| frame.get(from..from + len).unwrap_or_default();
    match at(0, 6) {
        [1, 0x80, 0xc2, 0, 0, last] if *last < 0x30 => return Some("bridge group"),
        [1, 0, 0x0c, ..] => return Some("Cisco group"),
        _ => {}
    }

    match at(12, 2) {
        [0x81 | 0x91, 0] | [0x88, 0xa8] => Some("VLAN tag"),
        [0x88, 0x47] => Some("MPLS"),
        [0x88, 0x8e] => Some("EAPOL"),
        [0x08, 0x06] if at(22, 6) != at(6, 6) => Some("ARP for another machine"),
        [0x08, 0x06] if at(28, 4) != own.octets() && at(28, 4) != [0; 4] => {
            Some("ARP for another address")
        }
        [0x08, 0x00] => forbidden_ipv4(at(14, frame.len().saturating_sub(14))),
        [0x86, 0xdd] => forbidden_ipv6(at(14, frame.len().saturating_sub(14))),
        _ => None,
    }
}

fn forbidden_ipv4(packet: &[u8]) -> Option<&'static str> {
    let ports = (packet.get(9), packet.get(20..24));
    match ports {
        (Some(17), Some([0, 67, ..])) => Some("DHCP server"),
        (Some(17), Some([.., 0x07, 0xc1])) => Some("HSRP"),
        (Some(1), Some([5, ..])) => Some("ICMP redirect"),
        _ => None,
    }
}

fn forbidden_ipv6(packet: &[u8]) -> Option<&'static str> {
    // Behind extension headers a router advertisement is looked for at every multiple of eight bytes.
    const EXTENSIONS: [u8; 4] = [0, 43, 44, 60];
    let next = packet.get(6)?;
    let first = packet.get(40)?;
    match next {
        58 if *first == 134 => Some("router advertisement"),
        58 if *first == 137 => Some("redirect"),
        44 => Some("IPv6 fragment"),
        17 if packet.get(40..42) == Some(&[0x02, 0x23]) => Some("DHCPv6 server"),
        next if EXTENSIONS.contains(next) => packet
            .get(40..)?
            .chunks(8)
            .any(|chunk| chunk.starts_with(&[134, 0]))
            .then_some("hidden router advertisement"),
        _ => None,
    }
}
