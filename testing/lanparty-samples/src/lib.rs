//! What the tests of several crates start from, written apart from the code under test: frames,
//! rooms, a time, a folder.

pub mod dhcp;
mod room;
mod scratch;
mod start;
mod sum;
mod super_frame;

pub use room::{GATEWAY, ROOM, client, hello, join, joined};
pub use scratch::Scratch;
pub use start::start;
pub use sum::sum;
pub use super_frame::SuperFrame;
