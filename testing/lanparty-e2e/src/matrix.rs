//! Frames of every size over every kind of path: offloads at each end, both frame modes, several path MTUs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bed::{Bed, ETH, LAN, Side};
use crate::frames::{BROADCAST, contains, ethernet, ipx, length_field};
use crate::link::{self, End};
use crate::party::TAP;
use crate::program::{Program, ROOM};
use crate::raw::RawSocket;
use crate::traffic::{Enough, ping_with, tcp, udp_echo};
use crate::watch::{Seen, Watch};
use crate::{Namespace, command};

/// The address that the remote PC gets by hand.
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 50);

/// Bytes of each TCP transfer: some 2,000 full frames.
const TRANSFER: u64 = 3_000_000;

/// Payloads of UDP: a byte, a game's, one that fits most paths, a full frame, one that IP has to fragment.
const UDP_SIZES: [usize; 5] = [1, 512, 1400, 1472, 8000];

/// Payload of a ping of 1500 bytes of IP packet: minus 20 of IPv4 and 8 of ICMP.
const FULL_PING: u16 = 1472;

/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Whether the gateway's LAN card has offloads.
    pub gateway: bool,
    /// Whether the LAN host's card has.
    pub host: bool,
    /// Whether the remote PC's TAP hands over super-frames.
    pub tap: bool,
    /// Full-frame or native mode.
    pub full: bool,
    /// Largest packet of the path to `narrow`, in bytes.
    pub path_mtu: u32,
    /// Whose path that is.
    pub narrow: Side,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on| if on { "on" } else { "off" };
        write!(
            f,
            "{} frames, path MTU {} at {}, offloads: gateway {}, host {}, TAP {}",
            if self.full { "full" } else { "native" },
            self.path_mtu,
            self.narrow.router_port(),
            on(self.gateway),
            on(self.host),
            on(self.tap)
        )
    }
}

/// Returns the combinations in which every pair of values occurs.
pub const fn pairs() -> [Case; 6] {
    const fn case(
        path_mtu: u32,
        full: bool,
        [gateway, host, tap]: [bool; 3],
        narrow: Side,
    ) -> Case {
        Case {
            gateway,
            host,
            tap,
            full,
            path_mtu,
            narrow,
        }
    }

    [
        case(1280, true, [true, true, true], Side::Remote(0)),
        case(1280, false, [false, false, false], Side::Relay),
        case(1400, true, [false, true, false], Side::Gateway(0)),
        case(1400, false, [true, false, true], Side::Relay),
        case(1500, true, [true, false, false], Side::Relay),
        case(1500, false, [false, true, true], Side::Relay),
    ]
}

/// Returns every combination. A native room's members share their path's MTU, in a full one each has its own.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for path_mtu in [1280, 1400, 1500] {
        for (full, narrow) in [
            (true, Side::Remote(0)),
            (true, Side::Gateway(0)),
            (false, Side::Relay),
        ] {
            for bits in 0..8_u8 {
                cases.push(Case {
                    gateway: bits & 1 != 0,
                    host: bits & 2 != 0,
                    tap: bits & 4 != 0,
                    full,
                    path_mtu,
                    narrow,
                });
            }
        }
    }

    cases
}

/// A party in one of the combinations.
///
/// Fields drop in order: programs before the bed.
#[derive(Debug)]
struct Ends {
    _client: Program,
    gateway: Program,
    _relay: Program,
    bed: Bed,
    mtu: u16,
}

impl Case {
    /// Builds the party, and tries everything.
    ///
    /// # Errors
    ///
    /// Returns an error that says what does not pass.
    pub fn run(&self) -> Result<()> {
        self.try_run().with_context(|| self.to_string())
    }

    fn try_run(&self) -> Result<()> {
        let mut ends = self.start()?;
        let bed = &ends.bed;
        let taps: End<'_> = (bed.remote(0), TAP);
        let [at_host, at_gateway, at_tap] =
            [(bed.host(0), ETH), (bed.gateway(0), LAN), taps].map(Watch::start);
        let (at_host, at_gateway, at_tap) = (at_host?, at_gateway?, at_tap?);

        check_tcp(bed)?;
        check_udp(bed)?;
        self.check_pings(&ends)?;
        self.check_frames(&mut ends)?;

        self.judge(&at_host.finish(), &at_gateway.finish(), &at_tap.finish())?;
        for namespace in [ends.bed.host(0), ends.bed.remote(0)] {
            check_counters(namespace)?;
        }

        Ok(())
    }

    fn start(&self) -> Result<Ends> {
        let bed = Bed::new()?;
        Bed::set_offloads(bed.gateway_cable(0), self.gateway)?;
        Bed::set_offloads(bed.host_cable(0), self.host)?;
        bed.set_path_mtu(self.narrow, self.path_mtu)?;

        let frames = if self.full { "full" } else { "native" };
        let relay = bed.start_relay()?;
        let mut command = bed.gateway_command(0, ROOM)?;
        command.args(["--frames", frames]);
        let mut gateway = Program::start(bed.dir(), "gateway", command)?;
        let ready = gateway.wait_line("gateway ready")?;
        let mut command = bed.client_command(0, ROOM)?;
        command.args(["--frames", frames]);
        let mut client = Program::start(bed.dir(), "client", command)?;
        client.wait_line("joined")?;

        let tap = (bed.remote(0), TAP);
        link::set_offloads(tap, self.tap)?;
        let mtu = link::attribute(tap, "mtu")?.parse()?;
        ensure!(
            ready.contains(&format!("MTU {mtu}")),
            "the TAP's MTU is {mtu}, but: {ready}"
        );
        ensure!(!self.full || mtu == 1500, "a full room with MTU {mtu}");
        bed.remote(0)
            .sh(&format!("ip address add {REMOTE}/24 broadcast + dev {TAP}"))?;

        Ok(Ends {
            _client: client,
            gateway,
            _relay: relay,
            bed,
            mtu,
        })
    }

    /// In full mode a ping of 1500 bytes that must not be fragmented is answered; in native mode it is told the room's MTU.
    fn check_pings(&self, ends: &Ends) -> Result<()> {
        let bed = &ends.bed;
        let ways: [(&Namespace, IpAddr); 2] = [
            (bed.remote(0), Bed::host_address(0).into()),
            (bed.host(0), REMOTE.into()),
        ];
        for (from, to) in ways {
            let ping = |size: u16| {
                let options = ["-c", "3", "-s", &size.to_string(), "-M", "do"];

                ping_with(from, to, &options).with_context(|| format!("to {to}"))
            };
            if self.full {
                let pinged = ping(FULL_PING)?;
                ensure!(
                    pinged.received == 3,
                    "full-size pings to {to} got {} answers of 3",
                    pinged.received
                );
                continue;
            }
            let mut command = from.command("ping");
            command.args(["-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do"]);
            command.args(["-s", &FULL_PING.to_string(), &to.to_string()]);
            let said = command::said(&command::run(&mut command)?);
            ensure!(
                said.contains(&format!("mtu = {}", ends.mtu))
                    || said.contains(&format!("mtu={}", ends.mtu)),
                "a full-size ping to {to} in a room of MTU {} was told: {said}",
                ends.mtu
            );
            let pinged = ping(ends.mtu - 28)?;
            ensure!(
                pinged.received == 3,
                "pings of the room's MTU to {to} got {} answers of 3",
                pinged.received
            );
        }

        Ok(())
    }

    /// Frames that are not IP: IPX of the room's size, and tags that the LAN may send.
    fn check_frames(&self, ends: &mut Ends) -> Result<()> {
        let bed = &ends.bed;
        let remote = RawSocket::open((bed.remote(0), TAP))?;
        let host = RawSocket::open((bed.host(0), ETH))?;
        let (remote_mac, host_mac) = (
            link::mac((bed.remote(0), TAP))?,
            link::mac((bed.host(0), ETH))?,
        );

        let full_ipx = |source, len: usize| {
            let marker = [0x49].repeat(len - 30);
            length_field(BROADCAST, source, &ipx(BROADCAST, source, &marker))
        };
        for (from, source, to) in [(&remote, remote_mac, &host), (&host, host_mac, &remote)] {
            let frame = full_ipx(source, ends.mtu.into());
            from.send(&frame)?;
            to.expect("IPX of the room's size", PATIENCE, |bytes| bytes == frame)?;
        }
        // IEEE 802.1Q, priority 5 of VLAN 0, and a customer's VLAN 7 in a provider's VLAN 100 (802.1ad).
        let tags: [(&str, u16, &[u8]); 2] = [
            ("a priority tag", 0x8100, &[0xa0, 0, 8, 0]),
            (
                "a service and a customer tag",
                0x88a8,
                &[0, 100, 0x81, 0, 0, 7, 8, 0],
            ),
        ];
        for (what, ether_type, rest) in tags {
            let payload = [rest, &limited(what.as_bytes())].concat();
            let frame = ethernet(BROADCAST, host_mac, ether_type, &payload);
            host.send(&frame)?;
            let arrived =
                remote.expect(what, PATIENCE, |bytes| contains(bytes, what.as_bytes()))?;
            ensure!(
                arrived == frame,
                "{what} did not survive: {:02x?}",
                arrived.get(..26)
            );
        }
        if !self.full {
            host.send(&full_ipx(host_mac, 1500))?;
            ends.gateway.wait_line("cannot pass")?;
        }

        Ok(())
    }

    /// No frame has a wrong checksum, and where offloads are on, super-frames are what they should be.
    fn judge(&self, host: &Seen, gateway: &Seen, tap: &Seen) -> Result<()> {
        for (seen, place) in [(host, "LAN host"), (gateway, "gateway"), (tap, "TAP")] {
            ensure!(
                seen.bad.is_empty(),
                "bad checksums at the {place}: {:#?}",
                seen.bad
            );
            ensure!(seen.frames > 100, "the {place} saw {} frames", seen.frames);
        }
        ensure!(
            self.host || host.pending + host.super_frames == 0,
            "the LAN host's card has no offloads, and yet: {host:?}"
        );
        ensure!(
            self.gateway || gateway.pending + gateway.super_frames == 0,
            "the gateway's card has no offloads, and yet: {gateway:?}"
        );
        if self.gateway && self.host {
            ensure!(
                host.super_frames > 0 && gateway.super_frames > 0,
                "no super-frames with offloads on: host {host:?}, gateway {gateway:?}"
            );
        }
        ensure!(
            tap.super_frames > 0,
            "the TAP gets no super-frames: {tap:?}"
        );

        Ok(())
    }
}

fn check_tcp(bed: &Bed) -> Result<()> {
    let (remote, host) = (bed.remote(0), bed.host(0));
    let enough = Enough::Bytes(TRANSFER);
    tcp(remote, host, Bed::host_address(0).into(), enough).context("TCP to the LAN")?;
    tcp(host, remote, REMOTE.into(), enough).context("TCP from the LAN")?;

    Ok(())
}

fn check_udp(bed: &Bed) -> Result<()> {
    let (remote, host) = (bed.remote(0), bed.host(0));
    for size in UDP_SIZES {
        udp_echo(remote, host, Bed::host_address(0).into(), &vec![0x5a; size])
            .context("UDP to the LAN")?;
        udp_echo(host, remote, REMOTE.into(), &vec![0xa5; size]).context("UDP from the LAN")?;
    }

    Ok(())
}

/// The kernel's own count of packets with wrong checksums.
fn check_counters(namespace: &Namespace) -> Result<()> {
    let text = namespace.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))?;
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            ensure!(
                name != "InCsumErrors" || value == "0",
                "the kernel counts wrong checksums: {names} {values}"
            );
        }
    }

    Ok(())
}

/// An IPv4 packet to 255.255.255.255, as games look for servers.
fn limited(marker: &[u8]) -> Vec<u8> {
    crate::frames::udp4(([192, 168, 77, 10], 27_015), ([255; 4], 27_015), marker)
}
