//! softlan: joins a LAN party from a Linux PC.

#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod dhcp;
#[cfg(target_os = "linux")]
mod port;
#[cfg(target_os = "linux")]
mod run;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match lanparty_program::parse::<cli::Cli>() {
        Ok(cli) => lanparty_program::finish(run::run(&cli)),
        Err(code) => code,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let text = "this client runs on Linux alone; on Windows use lanparty-client-win";

    lanparty_program::finish(Err(lanparty_program::Refused(text.to_owned()).into()))
}
