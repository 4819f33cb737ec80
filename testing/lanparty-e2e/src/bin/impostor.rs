//! Stands in the place of a program that hands over, and spoils what the old process hands over on its way to the program itself.
//!
//! `lanparty_e2e::program::Installed` puts it there, and the program beside it.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, bail};
use lanparty_e2e::program::Spoil;
use lanparty_handover::{Predecessor, Program, Successor};

fn main() -> Result<()> {
    let own = std::env::current_exe().context("cannot find out where this program is")?;
    let spoil = Spoil::read_beside(&own)?;
    let program = Program::remember()?;
    // What is started by this name is the program itself from here on.
    std::fs::rename(own.with_extension("real"), &own)?;

    let mut predecessor = Predecessor::meet()?;
    let mut successor = Successor::start(&program)?;
    predecessor.prepared()?;
    let (fds, record) = predecessor.receive()?;
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    successor.pass(&fds, &spoil.apply(record))?;
    let ended = successor.process.wait()?;

    bail!("the program got a spoiled record and ended with {ended}")
}
