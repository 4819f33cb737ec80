//! A process that took over from one of ours: not our child, and ours to end.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that took over from one of ours.
#[derive(Debug)]
pub(super) struct SuccessorProcess {
    pub(super) pid: u32,
    /// Names the process also when another one has its number.
    process: OwnedFd,
}

impl SuccessorProcess {
    /// Names the process `pid`, which runs.
    pub(super) fn new(pid: u32) -> Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.context("not a process id")?;

        Ok(Self {
            pid,
            process: pidfd_open(number, PidfdFlags::empty())?,
        })
    }

    /// Names a child of the process `parent`, if it has one.
    pub(super) fn child_of(parent: u32) -> Option<Self> {
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let child = numbers.find(|pid| parent_of(*pid) == Some(parent))?;

        Self::new(child).ok()
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(pidfd_send_signal(&self.process, signal)?)
    }

    pub(super) fn is_running(&self) -> bool {
        // The descriptor of a process is readable once it has ended.
        let mut fds = [PollFd::new(&self.process, PollFlags::IN)];
        let ended = poll(&mut fds, Some(&Timespec::default()));

        ended == Ok(0)
    }

    /// Waits for the end; returns whether it came.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.is_running() && start.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }

        !self.is_running()
    }
}

/// Returns the parent of the process `pid`: the second word behind the name in parentheses (`proc_pid_stat(5)`).
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;

    behind.split_ascii_whitespace().nth(1)?.parse().ok()
}
