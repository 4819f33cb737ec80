//! Besieges a relay on loopback in the numbers of a real attack, and prints what that did.
#![expect(clippy::print_stdout, reason = "figures are for a person")]

use anyhow::{Result, ensure};
use clap::Parser as _;
use lanparty_e2e::siege::{self, Outcome, Relay};

/// Besieges a relay of its own on loopback: garbage from an admitted client, random packets, silent connections, floods.
///
/// It ends with an error if the relay crashes, grows by 16 MiB, or keeps silent connections for longer than six seconds.
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
}

/// By how much a relay may grow under attack, in bytes.
const MAX_GROWTH: u64 = 16 << 20;

/// In how many seconds silent connections must be gone.
const MAX_SILENCE: f64 = 6.0;

fn main() -> Result<()> {
    let cli = Cli::parse();
    siege::threshold(&mut Relay::start("threshold", &[])?)?;
    println!("garbage: disconnected at the threshold, and kept out");
    siege::flood(&Relay::start("flood", &[])?)?;
    println!("connections of one address: no more than its share");
    siege::retry(&Relay::start("retry", &[])?)?;
    println!("a rush of strangers: Retry seen on the wire");

    siege::scarce(&Relay::start("scarce", &["--memory", "20"])?)?;
    println!("memory short: nobody new is let in, and somebody again once it is not");

    let mut relay = Relay::start("returning", &[])?;
    let (outcome, returned) = siege::returning(&mut relay, cli.returns)?;
    println!(
        "a client that comes again: thrown out {} times at the threshold, refused {} of {} times at once afterwards",
        returned.thrown_out, returned.refused, returned.tried_again
    );
    report("malformed datagrams borne by default limits", outcome)?;

    // Nobody sends millions past the default threshold: this relay is told to bear them, so that its parsers see all.
    let patient = ["--strikes", "0", "--max-strikes", "4294967295"];
    let mut relay = Relay::start("datagrams", &patient)?;
    report(
        "garbage datagrams of an admitted client, threshold off",
        siege::datagrams(&mut relay, cli.datagrams)?,
    )?;
    let mut relay = Relay::start("packets", &[])?;
    report("random packets", siege::packets(&mut relay, cli.packets)?)?;
    let mut relay = Relay::start("silent", &[])?;
    let (outcome, silence) = siege::silent(&mut relay, cli.silent)?;
    let rid = silence.rid.as_secs_f64();
    println!(
        "silent connections: {} at a time at most, gone {rid:.1} s after the last",
        silence.most
    );
    report("silent connections", outcome)?;
    ensure!(
        rid < MAX_SILENCE,
        "silent connections are kept for too long"
    );

    Ok(())
}

fn report(what: &str, outcome: Outcome) -> Result<()> {
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
    ensure!(growth < MAX_GROWTH, "the relay grew by {growth} bytes");

    Ok(())
}
