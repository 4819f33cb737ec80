//! softlan: puts remote players on the LAN of a party.

#[cfg(target_os = "linux")]
mod bindings;
#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod interface;
#[cfg(target_os = "linux")]
mod port;
#[cfg(target_os = "linux")]
mod run;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use lanparty_member::program;

    match program::parse::<cli::Cli>() {
        Ok(cli) => program::finish(run::run(&cli)),
        Err(code) => code,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
