//! softlan: puts remote players on the LAN of a party.

#[cfg(target_os = "linux")]
mod bindings;
#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(target_os = "linux")]
mod handover;
#[cfg(target_os = "linux")]
mod interface;
#[cfg(target_os = "linux")]
mod port;
#[cfg(target_os = "linux")]
mod run;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use lanparty_driver::program;

    // The options alone make a gateway; a first word of its own asks for something else.
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == "doctor") {
        let words = std::iter::once("lanparty-gateway doctor".into()).chain(words);
        return match program::parse_from::<doctor::Cli>(words) {
            Ok(cli) => program::finish(doctor::run(&cli)),
            Err(code) => code,
        };
    }

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
    let _told = writeln!(std::io::stderr(), "the gateway runs on Linux alone");

    ExitCode::from(REFUSED)
}
