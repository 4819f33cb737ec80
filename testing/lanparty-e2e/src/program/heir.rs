//! A process that took over from one of ours: not our child, and ours to end.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that took over from one of ours.
#[derive(Debug)]
pub(super) struct Heir {
    pub(super) pid: u32,
    /// Names the process also when another one has its number.
    process: OwnedFd,
}

impl Heir {
    /// Waits until the process `parent` starts another one.
    pub(super) fn of(parent: u32, patience: Duration) -> Result<Self> {
        let start = Instant::now();
        loop {
            if let Some(pid) = child_of(parent) {
                let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
                let number = number.context("not a process id")?;

                return Ok(Self {
                    pid,
                    process: pidfd_open(number, PidfdFlags::empty())?,
                });
            }
            if start.elapsed() > patience {
                bail!("process {parent} started no other in {patience:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
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

/// Returns a process that `parent` started.
fn child_of(parent: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());

    numbers.into_iter().find(|pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything; state and parent follow it.
        let (_, rest) = stat.rsplit_once(')').unwrap_or_default();

        rest.split_ascii_whitespace().nth(1) == Some(parent.to_string().as_str())
    })
}
