//! Besieges a relay on loopback in the numbers of a real attack, and prints what that did.
#![expect(clippy::print_stdout, reason = "figures are for a person")]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use lanparty_e2e::siege::{self, AT_A_TIME, Outcome, Relay, Silence, WITNESS_WORKER};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Besieges a relay of its own on loopback: garbage from an admitted client, random packets, silent connections, floods.
///
/// It ends with an error if the relay crashes, grows by 16 MiB, delays another room by a millisecond more, or keeps silent connections
/// for longer than six seconds. Latencies mean something on a machine that has nothing else to do.
#[derive(clap::Parser, Debug)]
#[command(version)]
struct Cli {
    /// Datagrams of an admitted client that are garbage.
    #[arg(long, default_value_t = 10_000_000)]
    datagrams: u64,
    /// Random packets at the relay's port.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// How often a client that sends garbage comes again after it was thrown out.
    #[arg(long, default_value_t = 1000)]
    returns: u32,
    /// Connections that never say hello.
    #[arg(long, default_value_t = 5000)]
    silent: usize,
    /// Plays the rounds whose name contains this alone.
    #[arg(long, default_value = "")]
    only: String,
}

/// By how much a relay may grow under attack, in bytes.
const MAX_GROWTH: u64 = 16 << 20;

/// By how much a relay may grow while thousands are silent, in bytes: four fifths of the memory that it may have by default.
const MAX_CROWD: u64 = 819 << 20;

/// By how much the 99th percentile of another room's latency may grow.
const MAX_DELAY: Duration = Duration::from_millis(1);

/// How long a relay is told to wait for a hello, in seconds, where more are to be there at a time than shake hands in three.
const HELLO_DEADLINE: &str = "20";

/// By how much that may be missed.
const SLACK: Duration = Duration::from_millis(500);

/// In how much time silent connections must be gone.
const MAX_SILENCE: Duration = Duration::from_secs(6);

/// Connections that a relay lets be silent by default, with those that do not know yet that they had to go.
const MAX_SILENT: usize = 2048 + AT_A_TIME;

/// By how much a relay may stay larger after thousands have been there, in bytes: tables do not shrink.
const MAX_REMAINS: u64 = 32 << 20;

/// A round of the siege, and its name.
type Round = (&'static str, fn(&Cli) -> Result<()>);

/// All rounds.
const ROUNDS: [Round; 12] = [
    ("threshold", threshold),
    ("flood", flood),
    ("network", network),
    ("retry", retry),
    ("known", known),
    ("scarce", scarce),
    ("returning", returning),
    ("datagrams", datagrams),
    ("packets", packets),
    ("silent", silent),
    ("crowded", crowded),
    ("crowd-all", crowd),
];

fn main() -> Result<()> {
    let cli = Cli::parse();
    end_with_signals()?;
    let mut failed = Vec::new();
    for (name, round) in ROUNDS.iter().filter(|(name, _)| name.contains(&cli.only)) {
        if let Err(error) = round(&cli) {
            println!("{name} FAILED: {error:#}");
            failed.push(*name);
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));

    Ok(())
}

/// Has a signal end the relay with the siege.
fn end_with_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot catch signals")?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            siege::end_all();
            // Ends this process as the signal does, or it would have been ignored.
            let _ended = signal_hook::low_level::emulate_default_handler(signal);
        }
    });

    Ok(())
}

fn threshold(_: &Cli) -> Result<()> {
    siege::threshold(&mut Relay::start("threshold", &[])?)?;
    println!("garbage: disconnected at the threshold, and kept out");

    Ok(())
}

fn flood(_: &Cli) -> Result<()> {
    siege::flood(&Relay::start("flood", &[])?)?;
    println!("connections of one address: no more than its share");

    Ok(())
}

fn network(_: &Cli) -> Result<()> {
    siege::network(
        &Relay::start("network", &["--network-connections", "40"])?,
        40,
    )?;
    println!("connections of one network: no more than its share");

    Ok(())
}

fn retry(_: &Cli) -> Result<()> {
    siege::retry(&Relay::start("retry", &[])?)?;
    println!("a rush of unvalidated peers: Retry seen on the wire");

    Ok(())
}

fn known(_: &Cli) -> Result<()> {
    siege::known(&Relay::start("known", &["--handshakes", "0"])?)?;
    println!("who was here lately: let in without a Retry while unvalidated peers need one");

    Ok(())
}

fn scarce(_: &Cli) -> Result<()> {
    siege::scarce(&Relay::start("scarce", &["--memory", "20"])?)?;
    println!("memory short: nobody new is let in, and somebody again once it is not");

    Ok(())
}

fn returning(cli: &Cli) -> Result<()> {
    let mut relay = Relay::start("returning", &[])?;
    let (outcome, returned) = siege::returning(&mut relay, cli.returns)?;
    println!(
        "a client that comes again: thrown out {} times at the threshold, refused {} of {} times at once afterwards",
        returned.thrown_out, returned.refused, returned.tried_again
    );

    report(
        "malformed datagrams borne by default limits",
        outcome,
        MAX_GROWTH,
    )
}

fn datagrams(cli: &Cli) -> Result<()> {
    // Nobody sends millions past the default threshold: this relay is told to bear them, so that its parsers see all.
    let patient = ["--violations", "0", "--max-violations", "4294967295"];
    let whose = [
        (WITNESS_WORKER, "the same"),
        (WITNESS_WORKER + 1, "another"),
    ];
    for (worker, which) in whose {
        let mut relay = Relay::start("datagrams", &patient)?;
        let outcome = siege::datagrams(&mut relay, worker, cli.datagrams / 2)?;
        let what =
            format!("garbage datagrams of an admitted client at {which} worker, threshold off");
        report(&what, outcome, MAX_GROWTH)?;
    }

    Ok(())
}

fn packets(cli: &Cli) -> Result<()> {
    let mut relay = Relay::start("packets", &[])?;
    let outcome = siege::packets(&mut relay, cli.packets)?;

    report("random packets", outcome, MAX_GROWTH)
}

fn silent(cli: &Cli) -> Result<()> {
    play_silent(cli, "limits as they are", &[], MAX_SILENCE).map(drop)
}

fn crowded(cli: &Cli) -> Result<()> {
    let options = ["--hello-deadline", HELLO_DEADLINE];
    let patience = hello_deadline()? + SLACK;
    let silence = play_silent(cli, "a patient relay", &options, patience)?;
    ensure!(
        silence.crowded_out > 0 || cli.silent <= MAX_SILENT,
        "no limit is named"
    );

    Ok(())
}

fn crowd(cli: &Cli) -> Result<()> {
    let options = [
        "--hello-deadline",
        HELLO_DEADLINE,
        "--silent-connections",
        "0",
    ];
    let patience = hello_deadline()? + SLACK;
    let silence = play_silent(cli, "all there", &options, patience)?;
    ensure!(silence.most >= cli.silent, "not all were there at a time");

    Ok(())
}

fn hello_deadline() -> Result<Duration> {
    Ok(Duration::from_secs(HELLO_DEADLINE.parse()?))
}

fn play_silent(cli: &Cli, how: &str, options: &[&str], patience: Duration) -> Result<Silence> {
    let mut relay = Relay::start("silent", options)?;
    let (outcome, silence) = siege::silent(&mut relay, cli.silent)?;
    let what = format!("silent connections, {how}");
    describe(&what, silence);
    report(&what, outcome, MAX_REMAINS)?;
    ensure!(
        silence.most <= MAX_SILENT || options.contains(&"--silent-connections"),
        "too many at a time"
    );
    ensure!(silence.stalled == 0, "handshakes had no answer");
    ensure!(silence.peak < MAX_CROWD, "they took too much memory");
    ensure!(silence.rid < patience, "they are kept for too long");

    Ok(silence)
}

fn describe(what: &str, silence: Silence) {
    println!(
        "{what}: {} shook hands in {:.1} s, {} never; {} at a time at most, with memory +{} MiB; {} crowded out; somebody else joined in {:.0} ms; gone {:.1} s after the last",
        silence.connected,
        silence.rush.as_secs_f64(),
        silence.stalled,
        silence.most,
        silence.peak >> 20,
        silence.crowded_out,
        silence.joined_in.as_secs_f64() * 1e3,
        silence.rid.as_secs_f64(),
    );
}

fn report(what: &str, outcome: Outcome, max_growth: u64) -> Result<()> {
    let Outcome {
        arrived,
        growth,
        quiet,
        besieged,
        time,
    } = outcome;
    println!(
        "{what}: {arrived} arrived in {:.1} s; memory +{} KiB; p99 of another room {:.3} ms, quiet {:.3} ms",
        time.as_secs_f64(),
        growth / 1024,
        besieged.as_secs_f64() * 1e3,
        quiet.as_secs_f64() * 1e3,
    );
    ensure!(growth < max_growth, "the relay grew by {growth} bytes");
    ensure!(
        besieged < quiet + MAX_DELAY,
        "another room was delayed by a millisecond more"
    );

    Ok(())
}
