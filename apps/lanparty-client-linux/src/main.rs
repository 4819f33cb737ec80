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
    use lanparty_driver::program;

    match program::parse::<cli::Cli>() {
        Ok(cli) => program::finish(run::run(&cli)),
        Err(code) => code,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;
    /// Refused by the world.
    const REFUSED: u8 = 2;

    // Nobody is left to tell if the terminal is gone.
    let _told = writeln!(
        std::io::stderr(),
        "this client runs on Linux alone; on Windows use lanparty-client-win"
    );

    ExitCode::from(REFUSED)
}
