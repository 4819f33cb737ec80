//! A program and its successor: a new process of the same program takes over what the old one has open.
//!
//! The old process starts its program again, which is the new release by then, with one end of a socket as standard input:
//!
//! | who | says | then |
//! |---|---|---|
//! | successor | [`Predecessor::prepared`] | it has read its settings; what is wrong with them ends it here, and the old process goes on |
//! | old process | [`Successor::pass`] | descriptors, and what it knows |
//! | successor | [`Predecessor::listening`] | it has begun; or it is silent, and the network says so |
//! | old process | [`Successor::tell`], or closes the socket | the rest is the successor's |
#![cfg(unix)]

mod predecessor;
mod successor;

use std::time::Duration;

pub use predecessor::Predecessor;
pub use successor::{Program, Successor};

/// The option by which a program knows that it is a successor.
pub const OPTION: &str = "--take-over";

/// See the crate's table.
const PREPARED: u8 = b'P';

/// See the crate's table.
const LISTENING: u8 = b'L';

/// How long the other process may take for each of its steps: loading certificate and keys takes milliseconds, a resolver seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most descriptors that pass: a relay has two sockets for each of 64 workers, and one for metrics. The system allows 253
/// (`SCM_MAX_FD`).
const MAX_FDS: usize = 2 * 64 + 1;

/// The most bytes that pass. A relay full of members (10,000) with full tables of stations (1024 rooms) has 60 MiB.
const MAX_STATE: u32 = 128 * 1024 * 1024;
