//! Network namespaces: made, entered, removed, and swept after a crash.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::command::{output, sh, tool};

/// What the names of our namespaces and folders begin with; a process id in hexadecimal follows.
pub const PREFIX: &str = "softlan-";

/// Where `ip netns` keeps its names.
const NETNS_DIR: &str = "/run/netns";

/// A network namespace that disappears, with every process in it, when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    handle: File,
}

impl Namespace {
    /// Makes a namespace called `name`, with its loopback up.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is taken or we may not make namespaces.
    pub fn create(name: String) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("the test bed makes network namespaces: run it as root (sudo)");
        }
        sh(&format!("ip netns add {name}"))?;
        let handle = File::open(Path::new(NETNS_DIR).join(&name))
            .context("failed to open the new namespace")?;
        let namespace = Self { name, handle };
        namespace.sh("ip link set lo up")?;

        Ok(namespace)
    }

    /// Returns the name that `ip netns exec` knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a command that runs `program` in this namespace, seeing its `/sys/class/net`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = tool("ip");
        command.args(["netns", "exec", &self.name]).arg(program);

        command
    }

    /// Runs `words` (blanks separate arguments) in this namespace and returns what it printed.
    ///
    /// # Errors
    ///
    /// Returns an error with the tool's own words if it fails.
    pub fn sh(&self, words: &str) -> Result<String> {
        let mut parts = words.split_whitespace();
        let program = parts.next().context("an empty command")?;

        output(self.command(program).args(parts))
    }

    /// Calls `work` on a thread inside this namespace; sockets and threads it makes stay there.
    ///
    /// # Panics
    ///
    /// Panics if the namespace cannot be entered, and passes on a panic of `work`.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("root may enter a namespace that it made");
                work()
            });

            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Writes a sysctl (`net.ipv4.ip_forward`) of this namespace.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel does not know it or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = PathBuf::from("/proc/sys").join(key.replace('.', "/"));

        self.enter(|| fs::write(&path, value))
            .with_context(|| format!("failed to set {key} to {value}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes the namespaces, their processes, and the folders that dead processes have left.
///
/// Only names that carry our prefix and the id of a process that no longer runs are touched.
pub fn sweep() {
    for name in names_in(Path::new(NETNS_DIR)) {
        if is_orphan(&name) {
            remove(&name);
        }
    }
    let folders = std::env::temp_dir();
    for name in names_in(&folders) {
        if is_orphan(&name) {
            // A parallel run may sweep the same folder: whoever comes first wins.
            drop(fs::remove_dir_all(folders.join(name)));
        }
    }
}

/// Kills what still runs in namespace `name`, and removes it.
fn remove(name: &str) {
    let pids = sh(&format!("ip netns pids {name}")).unwrap_or_default();
    for pid in pids
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter_map(Pid::from_raw)
    {
        // Whatever runs in a namespace of ours was started by us; our own threads only visit.
        if pid.as_raw_nonzero().get().unsigned_abs() != std::process::id() {
            let _gone_before = kill_process(pid, Signal::KILL).is_err();
        }
    }
    // Bounded patience: the name can go while dying processes still hold the namespace itself.
    for _ in 0..20 {
        if sh(&format!("ip netns delete {name}")).is_ok()
            || !Path::new(NETNS_DIR).join(name).exists()
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();

    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Returns whether `name` is one of ours and the process that made it is gone.
fn is_orphan(name: &str) -> bool {
    let Some(owner) = owner(name) else {
        return false;
    };
    let Some(pid) = i32::try_from(owner).ok().and_then(Pid::from_raw) else {
        return false;
    };

    matches!(test_kill_process(pid), Err(error) if io::Error::from(error).kind() == io::ErrorKind::NotFound
        || error == rustix::io::Errno::SRCH)
}

/// Reads the process id out of `softlan-PID-…`.
fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;

    u32::from_str_radix(pid, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_is_read_from_names_of_ours_only() {
        assert_eq!(owner("softlan-1f-0-relay"), Some(31));
        assert_eq!(owner("softlan-relay"), None);
        assert_eq!(owner("other-1f-0-relay"), None);
    }

    #[test]
    fn living_processes_are_no_orphans() {
        let own = format!("{PREFIX}{:x}-0-relay", std::process::id());

        assert!(!is_orphan(&own));
        assert!(is_orphan("softlan-3fffffff-0-relay"));
    }
}
