//! softlan: joins a LAN party from a Windows 11 PC.

#[cfg(windows)]
mod cli;
#[cfg(windows)]
mod doctor;
#[cfg(windows)]
mod port;
#[cfg(windows)]
mod route_monitor;
#[cfg(windows)]
mod run;

use std::process::ExitCode;

#[cfg(windows)]
fn main() -> ExitCode {
    match lanparty_program::parse::<cli::Cli>() {
        Ok(cli) => lanparty_program::finish(run::run(&cli)),
        Err(code) => code,
    }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    let text = "this client runs on Windows alone; on Linux use lanparty-client-linux";

    lanparty_program::finish(Err(lanparty_program::Refused(text.to_owned()).into()))
}
