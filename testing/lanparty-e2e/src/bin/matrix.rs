//! Tries frames of every size in every combination of offloads, frame mode and path MTU, and prints what does not pass.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::process::ExitCode;

use clap::Parser;
use lanparty_e2e::matrix;

/// Tries frames of every size in every combination of offloads, frame mode and path MTU.
#[derive(Parser, Debug)]
struct Cli {
    /// Only combinations whose description contains this (`full`, `path MTU 1280`, `host off`)
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut failed = 0_usize;
    for case in matrix::all() {
        if !case.to_string().contains(&cli.only) {
            continue;
        }
        match case.run() {
            Ok(()) => println!("ok      {case}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {error:#}");
            }
        }
    }

    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        println!("{failed} combinations failed");
        ExitCode::FAILURE
    }
}
