//! What the system that a loop runs on can tell it, as functions that `os/` provides.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// The functions of a system that a member's program needs beside its device.
///
/// The loop calls them and names no system. Every `watch_*` function returns at once, and calls what
/// it was given on a thread of its own.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Returns the addresses of all interfaces but loopback.
    pub addresses: fn() -> io::Result<Vec<IpAddr>>,
    /// Calls the function when links, addresses or routes have changed.
    pub watch_network: fn(Box<dyn Fn() + Send>) -> io::Result<()>,
    /// Calls the function when a person or the system asks the program to end. A second request ends
    /// the program at once.
    pub watch_stop: fn(Box<dyn Fn() + Send>) -> io::Result<()>,
    /// Returns how long the system has slept since it was started.
    pub time_asleep: fn() -> Duration,
    /// Tells the service manager, if there is one, that the program does its work now.
    pub notify_ready: fn(),
    /// Tells the service manager, if there is one, that the program is about to end.
    pub notify_stopping: fn(),
    /// Tells the service manager, if it wants to know, that the program is alive, as long as the
    /// function says so.
    pub watch_alive: fn(Box<dyn FnMut() -> bool + Send>) -> io::Result<()>,
}
