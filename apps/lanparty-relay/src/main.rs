//! softlan: the relay program.

mod cli;
mod directory;
mod failure;
mod handover;
mod identity;
mod limiter;
mod listen;
mod ports;
mod run;
mod status;
mod status_server;
mod worker;

use std::path::Path;
use std::process::ExitCode;

use lanparty_state::{Environment, StateDir};

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    let ended = match &cli.command {
        Some(Command::Status { state_dir }) => show_status(state_dir.as_deref()),
        None => run::run(&cli.run),
    };

    match ended {
        Ok(()) => {
            lanparty_telemetry::flush();
            ExitCode::SUCCESS
        }
        Err(failure) => failure.report(),
    }
}

fn show_status(state_dir: Option<&Path>) -> Result<(), Failure> {
    let state = StateDir::open(state_dir, &Environment::read())
        .map_err(|error| Failure::Refused(error.into()))?;
    let text = status_server::ask(&state).map_err(Failure::Refused)?;

    run::say(&text)
}
