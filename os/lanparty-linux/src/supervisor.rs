//! What a service manager is told (`sd_notify(3)`): ready, still alive, about to end.
//!
//! Without a service manager that listens (`NOTIFY_SOCKET` is not set) nothing happens.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How long we may be silent before we are ended and started again.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Finds the service manager in the environment.
    pub fn from_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|name| address(&name));
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        // A manager that watches one process does not watch its children (`WATCHDOG_PID`, `sd_watchdog_enabled(3)`).
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| is_ours && *microseconds > 0);

        Self::new(address, watchdog.map(Duration::from_micros))
    }

    fn new(address: Option<SocketAddr>, watchdog: Option<Duration>) -> Self {
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not stop us.
            socket.set_nonblocking(true).ok()?;

            Some((socket, address))
        });

        Self { socket, watchdog }
    }

    /// Tells that the service does its work now.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Tells that the service is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Tells that another process is the service now, which has taken over.
    pub fn main_process(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}"));
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.socket {
            // A manager that is gone or busy is told again at the next sign of life.
            let _told = socket.send_to_addr(what.as_bytes(), address);
        }
    }

    /// Gives signs of life on a thread of its own, twice as often as asked for, as long as `is_alive` says so.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub fn watch(self, mut is_alive: impl FnMut() -> bool + Send + 'static) -> io::Result<()> {
        let Some(interval) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return Ok(());
        };
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || -> ! {
                loop {
                    if is_alive() {
                        self.tell("WATCHDOG=1");
                    }
                    std::thread::sleep(interval / 2);
                }
            })?;

        Ok(())
    }
}

/// Returns the address of a socket in the file system, or in the abstract namespace if the name begins with `@`.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lanparty_samples::Scratch;

    use super::*;

    #[test]
    fn the_manager_hears_what_it_is_told() {
        let scratch = Scratch::new("notify");
        let path = scratch.file("socket");
        let manager = UnixDatagram::bind(&path).unwrap();
        let supervisor =
            Supervisor::new(address(path.as_os_str()), Some(Duration::from_millis(20)));
        let mut buffer = [0; 64];
        let mut heard = || {
            let len = manager.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..len]).into_owned()
        };

        supervisor.ready();
        assert_eq!(heard(), "READY=1");
        supervisor.stopping();
        assert_eq!(heard(), "STOPPING=1");
        let mut signs = [true, false].into_iter();
        supervisor
            .watch(move || signs.next().unwrap_or(true))
            .unwrap();
        assert_eq!(heard(), "WATCHDOG=1");
        assert_eq!(heard(), "WATCHDOG=1");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let supervisor = Supervisor::new(address(OsStr::new("not an address")), None);

        supervisor.ready();
        supervisor.watch(|| panic!("nobody asks")).unwrap();
    }
}
