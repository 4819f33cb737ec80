//! What Linux can do with UDP sockets beyond what every system can: trains to several peers with one system call.
//!
//! On other systems there is nothing here.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{MAX_TRAINS, prepare, send_trains};
