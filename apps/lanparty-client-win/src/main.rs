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
    use lanparty_driver::program;

    match program::parse::<cli::Cli>() {
        Ok(cli) => program::finish(run::run(&cli)),
        Err(code) => code,
    }
}

#[cfg(not(windows))]
fn main() -> ExitCode {
    use std::io::Write as _;
    /// Refused by the world.
    const REFUSED: u8 = 2;

    // Nobody is left to tell if the terminal is gone.
    let _told = writeln!(
        std::io::stderr(),
        "this client runs on Windows alone; on Linux use lanparty-client-linux"
    );

    ExitCode::from(REFUSED)
}
