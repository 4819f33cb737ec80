//! Cables and what one can do to them: offloads, MTU, carrier, addresses, counters.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::sh;
use crate::netns::Namespace;

/// Offloads of a veth as `ethtool -K` names them.
const OFFLOADS: [&str; 5] = ["tso", "gso", "gro", "tx", "sg"];

/// One end of a cable.
pub type End<'a> = (&'a Namespace, &'a str);

/// Lays a cable (a veth pair, MTU 1500, offloads off as on a wire) and brings both ends up.
///
/// # Errors
///
/// Returns an error if an interface name is taken.
pub fn cable(a: End<'_>, b: End<'_>) -> Result<()> {
    sh(&format!(
        "ip -n {} link add {} mtu 1500 type veth peer name {} mtu 1500 netns {}",
        a.0.name(),
        a.1,
        b.1,
        b.0.name()
    ))?;
    for end in [a, b] {
        set_offloads(end, false)?;
        set_up(end, true)?;
    }

    Ok(())
}

/// Switches segmentation and checksum offloads of an interface, as most real cards have them, on or off.
///
/// # Errors
///
/// Returns an error if ethtool refuses.
pub fn set_offloads((namespace, interface): End<'_>, on: bool) -> Result<()> {
    let state = if on { "on" } else { "off" };
    let features = OFFLOADS
        .map(|offload| format!("{offload} {state}"))
        .join(" ");
    namespace.sh(&format!("ethtool -K {interface} {features}"))?;

    Ok(())
}

/// Brings an interface up or down; the other end of the cable loses its carrier.
///
/// # Errors
///
/// Returns an error if there is no such interface.
pub fn set_up((namespace, interface): End<'_>, up: bool) -> Result<()> {
    let state = if up { "up" } else { "down" };
    namespace.sh(&format!("ip link set {interface} {state}"))?;

    Ok(())
}

/// Sets the MTU (bytes of IP packet) of an interface.
///
/// # Errors
///
/// Returns an error if the device cannot carry it.
pub fn set_mtu((namespace, interface): End<'_>, mtu: u32) -> Result<()> {
    namespace.sh(&format!("ip link set {interface} mtu {mtu}"))?;

    Ok(())
}

/// Reads one of the files of `/sys/class/net/INTERFACE`: `address`, `mtu`, `carrier`, `statistics/rx_packets`.
///
/// # Errors
///
/// Returns an error if there is no such interface or file.
pub fn attribute((namespace, interface): End<'_>, name: &str) -> Result<String> {
    let text = namespace.sh(&format!("cat /sys/class/net/{interface}/{name}"))?;

    Ok(text.trim().to_owned())
}

/// Reads the interface's own MAC address.
///
/// # Errors
///
/// Returns an error if there is no such interface.
pub fn mac(end: End<'_>) -> Result<[u8; 6]> {
    let text = attribute(end, "address")?;
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()
        .context("not a MAC")?;

    bytes.try_into().ok().context("not six bytes")
}

/// Returns whether the namespace has such an interface.
pub fn exists((namespace, interface): End<'_>) -> bool {
    namespace
        .sh(&format!("ip link show dev {interface}"))
        .is_ok()
}

/// Waits until `done` returns true.
///
/// # Errors
///
/// Returns an error that names `what` once `patience` is over.
pub fn wait_until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > patience {
            bail!("waited {patience:?} in vain for {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }

    Ok(())
}

/// Everything of a box that a program must put back: links, addresses, routes of both families, and rules.
///
/// Two snapshots are equal when a person would see no difference.
///
/// # Errors
///
/// Returns an error if `ip` fails.
pub fn snapshot(namespace: &Namespace) -> Result<String> {
    let mut text = String::new();
    for query in [
        "ip -o -4 address",
        "ip -o link",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "ip -4 rule",
        "ip -6 rule",
    ] {
        let mut lines: Vec<String> = namespace
            .sh(query)?
            .lines()
            .map(|line| line.trim().to_owned())
            .collect();
        lines.sort();
        text.push_str(&lines.join("\n"));
        text.push_str("\n--\n");
    }

    Ok(text)
}
