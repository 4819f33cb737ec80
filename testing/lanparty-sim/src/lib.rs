//! A whole party in virtual time: state machines joined by simulated wires.
//!
//! [`Party`] drives the real relay's core and the real members' sessions; [`Wire`] loses, delays, reorders and duplicates what they say to
//! each other; [`Model`] says, as naively as possible, who must hear what. Everything follows from one seed, so that a failure can be
//! run again: tests print it.

mod model;
mod party;
mod rng;
mod wire;

pub use model::{Model, Refused};
pub use party::{Heard, Party, Player, frame};
pub use rng::Rng;
pub use wire::{Line, Wire};
