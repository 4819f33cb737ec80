//! Lets the threads of a data path run before ordinary programs, while anybody waits for the processor.
//!
//! A game, a download and a compiler share the processor in slices of milliseconds; a frame that waits for such a slice is late. A
//! thread of the real-time class runs as soon as its frame is there. It never runs alone: the kernel keeps a part of the processor for
//! everybody else (`sched_rt_runtime_us`, sched(7)).
//!
//! On a machine where nobody waits the class has a price and no use: the kernel wakes an ordinary thread on the processor that has its
//! packet, and one of the real-time class where it ran last, which may have to be woken first. So threads have the class only while the
//! kernel says that somebody waits (`/proc/pressure/cpu`), and for good where it does not say.

mod pressure;
mod watch;

use std::marker::PhantomData;

/// The right of a program's threads to run first.
#[derive(Debug)]
pub struct RealtimePriority(watch::RealtimePriority);

/// A thread that runs first while it must; ordinary again when this is dropped.
#[derive(Debug)]
#[must_use = "the thread is registered while this lives"]
pub struct Registered {
    _registered: watch::Registered,
    /// It is the calling thread's, and stays with it.
    _stays: PhantomData<*const ()>,
}

impl RealtimePriority {
    /// Secures the right, if it is `wanted`, for the time after privileges were given up: starts the thread that watches, which keeps no
    /// privilege but the one that it takes.
    ///
    /// It takes `CAP_SYS_NICE`, or an `RLIMIT_RTPRIO` of 1. With `CAP_SYS_RESOURCE`, as root has it, the process gives itself the limit, and
    /// programs that it starts inherit that. Where the system refuses, a log line says what that means when it is needed first.
    pub fn secure(wanted: bool) -> Self {
        Self(watch::RealtimePriority::secure(wanted))
    }

    /// Lets the calling thread run before ordinary ones while somebody waits for the processor. Threads and programs that it starts are
    /// ordinary.
    pub fn register(&self) -> Registered {
        Registered {
            _registered: self.0.register(),
            _stays: PhantomData,
        }
    }
}
