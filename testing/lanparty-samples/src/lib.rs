//! Frames and rooms that the tests of several crates start from, written apart from the code under test.

pub mod dhcp;
mod room;
mod sum;
mod super_frame;

pub use room::{GATEWAY, ROOM, client, hello, join, joined};
pub use sum::sum;
pub use super_frame::SuperFrame;
