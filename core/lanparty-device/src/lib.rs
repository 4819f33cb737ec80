//! What the loop of client and gateway asks of the system: frames of a device, and news of the host.
//!
//! A [`FrameDevice`] is a TAP device or a packet socket; `os/` implements it, and the loop, which is
//! written against this trait alone, does not know which one it has. A [`Host`] is a set of functions
//! that a system has for the loop, so that the loop names no system.

mod device;
mod host;

pub use device::{Capabilities, FrameDevice, LinkState, Losses, Ready, Received, Statistics};
pub use host::Host;
