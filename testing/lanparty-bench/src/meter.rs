//! CPU time and memory, as the kernel counts them.

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};

/// Clock ticks a second in `/proc`: `USER_HZ`, 100 on every system that Linux knows (`asm-generic/param.h`).
const TICKS: f64 = 100.0;

/// Returns the CPU seconds, user and system, that process `pid` and its threads have used.
///
/// # Errors
///
/// Returns an error if the process is gone.
pub fn cpu_of(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;

    cpu_in(&text).context("an odd /proc/PID/stat")
}

/// Reads fields 14 and 15 (`utime`, `stime`); the program's name, field 2, may hold blanks and brackets.
fn cpu_in(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;

    Some((user + system) / TICKS)
}

/// Returns the resident memory of process `pid` in KiB.
///
/// # Errors
///
/// Returns an error if the process is gone.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));

    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .context("an odd /proc/PID/status")
}

/// CPU seconds of some processes over a stretch of time.
#[derive(Debug)]
pub struct Meter {
    pids: Vec<u32>,
    at_start: Vec<f64>,
    start: Instant,
}

impl Meter {
    /// Begins to measure.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the processes is gone.
    pub fn start(pids: &[u32]) -> Result<Self> {
        Ok(Self {
            pids: pids.to_vec(),
            at_start: pids.iter().map(|pid| cpu_of(*pid)).collect::<Result<_>>()?,
            start: Instant::now(),
        })
    }

    /// Returns the CPU seconds of each process since the start, in order.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the processes is gone.
    pub fn used(&self) -> Result<Vec<f64>> {
        let pairs = self.pids.iter().zip(&self.at_start);

        pairs
            .map(|(pid, before)| Ok(cpu_of(*pid)? - before))
            .collect()
    }

    /// Returns the seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0";

        assert_eq!(cpu_in(stat), Some(2.0));
        assert_eq!(cpu_in("12 (a) S"), None);
    }

    #[test]
    fn own_process_has_memory() {
        assert!(resident_kib(std::process::id()).unwrap() > 100);
    }
}
