//! The namespace test bed: a whole party on one machine, with real kernels and real programs.
//!
//! ```text
//! remote0 --wan0--+                         +--wan0-- relay
//! remote1 --wan0--+-- inet (IP router) -----+
//!                                           +--wan0-- gw0 --lan0-- sw (bridge br0) --eth0-- host0
//!                                                                          +--------eth0-- host1
//! ```
//!
//! Every box is a network namespace, every cable a veth pair. Names carry the process id, so beds of
//! parallel tests do not meet, and a bed that starts removes what crashed runs have left
//! ([`netns::sweep`]). A [`Bed`] removes everything when it is dropped, also while unwinding.
//!
//! The bed needs root, and the Debian packages that `CONTRIBUTING.md` lists. What is missing is an
//! error with a sentence; nothing is skipped.

#![expect(
    clippy::missing_panics_doc,
    reason = "a panic of the bed is a failing test, its text says why"
)]

pub mod attack;
pub mod bed;
pub mod command;
pub mod dhcp;
pub mod frames;
pub mod impair;
pub mod link;
pub mod matrix;
pub mod netns;
pub mod openttd;
pub mod party;
pub mod program;
pub mod raw;
pub mod reliability;
pub mod siege;
pub mod traffic;
pub mod unit;
pub mod watch;
pub mod windows;

pub use self::bed::{Bed, BedBuilder, Side};
pub use self::netns::Namespace;
pub use self::party::Party;
pub use self::program::Program;
