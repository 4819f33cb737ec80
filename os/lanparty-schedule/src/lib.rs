//! Lets the thread of a data path run before ordinary programs.
//!
//! A game, a download and a compiler share the processor in slices of milliseconds; a frame that waits for such a slice is late. A
//! thread of the real-time class runs as soon as its frame is there. It never runs alone: the kernel keeps a part of the processor for
//! everybody else (`sched_rt_runtime_us`, sched(7)).

use std::io;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(not(target_os = "linux"))]
#[path = "stub.rs"]
mod imp;

/// Lets the calling thread run before ordinary ones: `SCHED_RR` at its lowest priority. Threads and programs that it starts are ordinary.
///
/// # Errors
///
/// Returns an error if the system does not let this user (it takes `CAP_SYS_NICE`, or an `RLIMIT_RTPRIO` of 1); the thread goes on as it
/// was. Returns [`io::ErrorKind::Unsupported`] where there is no such class.
pub fn run_first() -> io::Result<()> {
    imp::run_first()
}

/// Does [`run_first`] if `wanted`; where the system refuses, a log line says what that means.
pub fn run_first_if(wanted: bool) {
    if wanted && let Err(error) = run_first() {
        tracing::info!(%error, "the system does not let this program run before others; frames may be late while the machine is busy");
    }
}
