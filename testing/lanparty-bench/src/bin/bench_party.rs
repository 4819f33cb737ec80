//! The whole-party benchmark: softlan beside everything else that is installed, in one topology; `scripts/bench-party` builds and
//! starts it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use lanparty_bench::figures::RoundTrips;
use lanparty_bench::load::{Direction, Packets, ping, tcp, tcp_until, udp, wait_reachable};
use lanparty_bench::meter::{Meter, resident_kib};
use lanparty_bench::rival::{REMOTE_ADDRESS, Rival, Tunnel};
use lanparty_bench::table::{Bulk, Row, tables};
use lanparty_e2e::Bed;

/// What the remote player's line is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// As fast as the machine.
    Fast,
    /// 100 Mbit/s down, 40 up, with 200 ms of buffer.
    Line,
}

/// Measures a whole party in network namespaces: throughput, packet rate, round trips, CPU time and memory.
#[derive(clap::Parser, Debug)]
#[command(version)]
struct Cli {
    /// Who is measured; everybody installed, unless said.
    #[arg(value_enum)]
    rivals: Vec<Rival>,
    /// The remote player's line.
    #[arg(long, value_enum, default_value = "fast")]
    scenario: Scenario,
    /// Milliseconds of delay each way on `line`; needs a kernel with netem.
    #[arg(long, default_value_t = 0)]
    delay: u32,
    /// Seconds of each TCP transfer.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// TCP transfers in each direction; the table shows their median.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Pings of each series.
    #[arg(long, default_value_t = 1500)]
    pings: usize,
    /// UDP packets a second that are offered; more than anybody delivers.
    #[arg(long, default_value_t = 120_000)]
    offered: u32,
    /// Leave the offloads of the LAN's cables on, as most PCs have them.
    #[arg(long)]
    offload: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let rivals = if cli.rivals.is_empty() {
        Rival::ALL.to_vec()
    } else {
        cli.rivals.clone()
    };
    let (mut rows, mut failed) = (Vec::new(), false);
    for rival in rivals {
        if !rival.is_installed() {
            println!("{}: not installed", rival.label());
            continue;
        }
        println!("measuring {}", rival.label());
        match measure(rival, &cli) {
            Ok(row) => rows.push(row),
            Err(error) => {
                eprintln!("{}: {error:#}", rival.label());
                failed = true;
            }
        }
    }
    println!("{}", tables(&rows));

    ExitCode::from(u8::from(failed))
}

fn measure(rival: Rival, cli: &Cli) -> Result<Row> {
    let bed = Bed::new()?;
    if cli.offload {
        Bed::set_offloads(bed.gateway_cable(0), true)?;
        Bed::set_offloads(bed.host_cable(0), true)?;
    }
    let tunnel = rival.start(&bed)?;
    let up = Direction {
        from: bed.remote(0),
        to: bed.host(0),
        address: Bed::host_address(0),
    };
    let down = Direction {
        from: bed.host(0),
        to: bed.remote(0),
        address: REMOTE_ADDRESS,
    };
    wait_reachable(up)?;
    if cli.scenario == Scenario::Line {
        shape(&bed, &tunnel, cli.delay)?;
    }

    let interval = Duration::from_millis(match cli.scenario {
        Scenario::Fast => 2,
        Scenario::Line => 5,
    });
    let pinging = || ping(up, cli.pings, interval);
    let idle = pinging()?;
    let [first, second] = [up, down].map(|direction| measure_way(direction, &tunnel, cli, pinging));
    let ((tcp_up, tcp4_up, udp_up, beside_up), (tcp_down, tcp4_down, udp_down, beside_down)) =
        (first?, second?);
    let mut resident_mib = 0.0;
    for program in &tunnel.programs {
        resident_mib += f64::from(u32::try_from(resident_kib(program.pid())?)?) / 1024.0;
    }

    Ok(Row {
        label: rival.label(),
        tcp: [tcp_up, tcp_down],
        tcp4: [tcp4_up, tcp4_down],
        udp: [udp_up, udp_down],
        trips: [idle, beside_up, beside_down],
        resident_mib,
    })
}

/// Measures one direction: TCP, four TCP streams, UDP under overload, and the round trips of `pinging` beside TCP.
fn measure_way(
    direction: Direction<'_>,
    tunnel: &Tunnel,
    cli: &Cli,
    pinging: impl Fn() -> Result<RoundTrips>,
) -> Result<(Bulk, f64, Packets, RoundTrips)> {
    let time = Duration::from_secs(cli.seconds.max(1));
    let mut bulk = Bulk::default();
    for _ in 0..cli.runs.max(1) {
        measure_tcp(direction, tunnel, time, &mut bulk).context("TCP")?;
    }
    let tcp4 = tcp(direction, 4, time).context("four TCP streams")? * 8e-6;
    let packets = udp(direction, cli.offered, time).context("UDP")?;
    // Whatever UDP has left in queues drains before round trips are measured.
    std::thread::sleep(Duration::from_secs(1));
    let beside = |_: &AtomicBool| {
        std::thread::sleep(Duration::from_millis(1500));
        pinging()
    };
    let (_rate, trips) =
        tcp_until(direction, 1, &AtomicBool::new(false), beside).context("TCP beside pings")?;

    Ok((bulk, tcp4, packets, trips?))
}

/// Measures one TCP transfer, and the CPU time of the tunnel's programs per gigabyte of it.
fn measure_tcp(
    direction: Direction<'_>,
    tunnel: &Tunnel,
    time: Duration,
    bulk: &mut Bulk,
) -> Result<()> {
    let pids: Vec<u32> = tunnel
        .programs
        .iter()
        .map(lanparty_e2e::Program::pid)
        .collect();
    let meter = Meter::start(&pids)?;
    let rate = tcp(direction, 1, time)?;
    let gigabytes = (rate * meter.seconds() / 1e9).max(f64::MIN_POSITIVE);
    bulk.cpu_per_gb = meter.used()?.iter().map(|used| used / gigabytes).collect();
    bulk.megabits.push(rate * 8e-6);

    Ok(())
}

/// Limits the remote player's line as a home router does: a rate, and a deep buffer in front of it.
fn shape(bed: &Bed, tunnel: &Tunnel, delay: u32) -> Result<()> {
    let [router, own] = &tunnel.line;
    for (namespace, device, rate) in [(bed.inet(), router, 100), (bed.remote(0), own, 40)] {
        namespace
            .sh(&format!("tc qdisc replace dev {device} root handle 1: tbf rate {rate}mbit burst 16kb latency 200ms"))
            .context("the kernel has no token bucket filter (sch_tbf)")?;
        if delay > 0 {
            namespace
                .sh(&format!("tc qdisc replace dev {device} parent 1:1 handle 2: netem limit 2000 delay {delay}ms"))
                .context("the kernel has no netem (sch_netem): leave --delay out")?;
        }
    }

    Ok(())
}
