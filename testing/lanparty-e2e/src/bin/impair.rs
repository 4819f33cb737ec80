//! A bad line between UDP clients and a server; the same seed gives the same line.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use lanparty_e2e::impair::{Impairment, Loss, Proxy, Rate};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// Puts a bad line between UDP clients and a server. SIGUSR1 gives every client another source port.
#[derive(clap::Parser, Debug)]
#[command(version)]
struct Cli {
    /// Where clients send to.
    #[arg(long)]
    listen: SocketAddr,
    /// Where their packets go.
    #[arg(long)]
    server: SocketAddr,
    /// Decides every loss; the same seed gives the same line.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds on the way, each direction.
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// More milliseconds, evenly from nothing to this.
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// Percent of packets that are lost.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Packets that are lost in a row, on average.
    #[arg(long, default_value_t = 1.0)]
    burst: f64,
    /// Percent of packets that later ones overtake.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// Percent of packets that arrive twice.
    #[arg(long, default_value_t = 0.0)]
    duplicate: f64,
    /// Percent of packets with a flipped bit.
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// Mbit/s, each direction.
    #[arg(long)]
    rate: Option<u64>,
    /// Milliseconds that the buffer in front of a limited line holds.
    #[arg(long, default_value_t = 200)]
    buffer: u64,
    /// Largest UDP payload that passes.
    #[arg(long)]
    mtu: Option<usize>,
}

impl Cli {
    fn impairment(&self) -> Impairment {
        let loss = match self.loss / 100.0 {
            0.0 => Loss::None,
            rate if self.burst > 1.0 => Loss::Bursts {
                rate,
                length: self.burst,
            },
            rate => Loss::Independent(rate),
        };

        Impairment {
            delay: Duration::from_millis(self.delay),
            jitter: Duration::from_millis(self.jitter),
            loss,
            reorder: self.reorder / 100.0,
            reorder_by: Duration::from_millis(5),
            duplicate: self.duplicate / 100.0,
            corrupt: self.corrupt / 100.0,
            rate: self.rate.map(|megabits| Rate {
                bits: megabits * 1_000_000,
                buffer: megabits * 125 * self.buffer,
            }),
            mtu: self.mtu,
        }
    }
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let line = cli.impairment();
    let proxy = match Proxy::start(cli.listen, cli.server, line, line, cli.seed) {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("failed to listen on {}: {error}", cli.listen);
            return ExitCode::FAILURE;
        }
    };
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGUSR1]).expect("these signals can be caught");
    println!(
        "impair ready: {} -> {} (seed {})",
        proxy.address(),
        cli.server,
        cli.seed
    );
    for signal in &mut signals {
        if signal != SIGUSR1 {
            break;
        }
        proxy.rebind();
    }

    ExitCode::SUCCESS
}
