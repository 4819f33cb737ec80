//! A DHCP client on the TAP device, for systems that do not start one by themselves.

#![expect(
    clippy::disallowed_methods,
    reason = "the system's DHCP clients are programs, and the person asks for one"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lanparty_program::Refused;

/// The programs to look for, best first, how each stays in the foreground on one interface, and how it leaves the default route alone
/// where that is not up to its script.
const KNOWN: [(&str, &[&str], &[&str]); 3] = [
    ("dhcpcd", &["--nobackground", "--waitip"], &["--nogateway"]),
    ("dhclient", &["-d"], &[]),
    ("udhcpc", &["-f", "-R", "-i"], &[]),
];

/// Where system programs are, also for a user whose PATH leaves out the administrator's.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// A DHCP client that was found, and runs once it was started.
#[derive(Debug)]
pub(crate) struct DhcpClient {
    program: PathBuf,
    arguments: Vec<&'static str>,
    child: Option<Child>,
}

impl DhcpClient {
    /// Finds the program `wanted`, or the best that is there for `auto`. It takes a default route only if `takes_routes`.
    ///
    /// # Errors
    ///
    /// Returns an error if the program is not known or not installed.
    pub(crate) fn find(wanted: &str, takes_routes: bool) -> Result<Self, Refused> {
        let found = KNOWN
            .iter()
            .filter(|(name, ..)| wanted == "auto" || wanted == *name)
            .find_map(|(name, arguments, no_route)| {
                let program = FOLDERS
                    .iter()
                    .map(|folder| Path::new(folder).join(name))
                    .find(|path| path.exists())?;

                Some(Self {
                    program,
                    arguments: no_route
                        .iter()
                        .filter(|_| !takes_routes)
                        .chain(*arguments)
                        .copied()
                        .collect(),
                    child: None,
                })
            });

        found.ok_or_else(|| {
            let what = if wanted == "auto" {
                "none of dhcpcd, dhclient and udhcpc"
            } else {
                "no such DHCP client"
            };
            Refused(format!(
                "{what} is installed; install one, or leave out --dhcp and set an address by hand"
            ))
        })
    }

    /// Starts the program on `interface`, unless it runs already.
    pub(crate) fn start(&mut self, interface: &str) {
        let is_running = self
            .child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if is_running {
            return;
        }
        let started = Command::new(&self.program)
            .args(&self.arguments)
            .arg(interface)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.child = Some(child),
            Err(error) => {
                tracing::warn!(program = %self.program.display(), %error, "cannot start the DHCP client");
            }
        }
    }
}

impl Drop for DhcpClient {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
