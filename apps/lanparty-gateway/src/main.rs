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
    // The options alone make a gateway; a first word of its own asks for something else.
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == "doctor") {
        let words = std::iter::once("lanparty-gateway doctor".into()).chain(words);
        return match lanparty_program::parse_from::<doctor::Cli>(words) {
            Ok(cli) => lanparty_program::finish(doctor::run(&cli)),
            Err(code) => code,
        };
    }

    match lanparty_program::parse::<cli::Cli>() {
        Ok(cli) => lanparty_program::finish(run::run(&cli)),
        Err(code) => code,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let text = "the gateway runs on Linux alone";

    lanparty_program::finish(Err(lanparty_program::Refused(text.to_owned()).into()))
}
