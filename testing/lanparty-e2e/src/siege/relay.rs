//! The relay that is attacked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::{output, tool};
use crate::program::{Program, binary};

/// Relays that run, with their folders, for [`end_all`].
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

/// Ends every relay that this process has started, and removes its folder: for who is told to end before the siege is over.
pub fn end_all() {
    for (pid, folder) in running().drain(..) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // It may have crashed, which is what a siege finds out; nobody waits for it but us, so the number is still its own.
        let _ended = pid.map(|pid| kill_process(pid, Signal::KILL));
        drop(std::fs::remove_dir_all(folder));
    }
}

fn running() -> MutexGuard<'static, Vec<(u32, PathBuf)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A relay on loopback, with its folder; both go when dropped.
#[derive(Debug)]
pub struct Relay {
    program: Program,
    folder: PathBuf,
    address: SocketAddr,
    certificate: Vec<u8>,
}

impl Relay {
    /// Starts a relay on a port of the system's choice, with `options` besides.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not get ready.
    pub fn start(name: &str, options: &[&str]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("siege-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut command = tool(binary("lanparty-relay")?);
        command
            .args(["--listen", "127.0.0.1:0", "--state-dir"])
            .arg(folder.join("state"))
            .arg("--dev-cert-out")
            .arg(folder.join("cert.pem"))
            .args(["--log", "warn,ends=info"])
            .args(options);
        let mut program = Program::start(&folder, "relay", command)?;
        running().push((program.pid(), folder.clone()));
        let line = program.wait_line("relay ready")?;
        let address = line
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .context("the relay says where it listens")?;
        let certificate = std::fs::read(folder.join("cert.pem"))?;

        Ok(Self {
            program,
            folder,
            address,
            certificate,
        })
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its certificate (DER).
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Has a new process take over from it.
    ///
    /// # Errors
    ///
    /// Returns an error if none does.
    pub fn hand_over(&mut self, patience: Duration) -> Result<()> {
        self.program.hand_over(patience)
    }

    /// Returns whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// Returns its resident memory in bytes (`VmRSS` of `/proc/PID/status`).
    ///
    /// # Errors
    ///
    /// Returns an error if it is gone.
    pub fn resident(&self) -> Result<u64> {
        let path = Path::new("/proc")
            .join(self.program.pid().to_string())
            .join("status");
        let text = std::fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmRSS")?
            .parse()?;

        Ok(kib * 1024)
    }

    /// Returns how many datagrams of a room's members it has judged, those that went nowhere included.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody answers.
    pub fn heard(&self, room: &str) -> Result<u64> {
        let status = self.status()?;
        let rooms = status["rooms"].as_array().into_iter().flatten();
        let members = rooms
            .filter(|found| found["code"] == room)
            .flat_map(|found| found["members"].as_array().into_iter().flatten());

        Ok(members
            .map(|member| {
                let drops = member["drops"].as_object().into_iter().flatten();
                let drops: u64 = drops.filter_map(|(_, count)| count.as_u64()).sum();
                member["up"]["frames"].as_u64().unwrap_or(0) + drops
            })
            .sum())
    }

    /// Returns how many packets the kernel has dropped because its sockets were full (`/proc/net/udp`, last column).
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel's table cannot be read.
    pub fn lost_by_kernel(&self) -> Result<u64> {
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/thread-self/net/udp")?;
        let ours = table.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next()?;
            local
                .ends_with(&port)
                .then(|| words.last()?.parse::<u64>().ok())?
        });

        Ok(ours.sum::<u64>())
    }

    /// Returns what the relay's processes have logged.
    pub fn logs(&self) -> String {
        self.program.stderr()
    }

    /// Returns what `lanparty-relay status` says.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody answers.
    pub fn status(&self) -> Result<serde_json::Value> {
        let mut command = tool(binary("lanparty-relay")?);
        command
            .args(["status", "--state-dir"])
            .arg(self.folder.join("state"));

        Ok(serde_json::from_str(&output(&mut command)?)?)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        running().retain(|(_, folder)| *folder != self.folder);
        // It may have crashed, which is what a siege finds out.
        drop(self.program.kill());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
