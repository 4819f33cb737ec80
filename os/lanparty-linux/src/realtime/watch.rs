//! The thread that watches, and the scheduling classes of those that it watches over (sched(7)).

// UNSAFETY: rustix has no call for scheduling classes and their limit.
#![expect(
    unsafe_code,
    reason = "scheduling classes and limits have no safe wrapper"
)]

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::pressure::{Pressure, Sample};

/// The lowest of the real-time priorities (sched(7): 1 to 99): before every ordinary thread, behind every other of the class.
const PRIORITY: libc::c_int = 1;

/// Where the kernel says who waits; missing where it was built or started without.
const PRESSURE: &str = "/proc/pressure/cpu";

/// How long a bulk transfer or a game that was just started can make frames wait before they go first.
const PERIOD: Duration = Duration::from_millis(500);

/// Enough for a small file and a log line.
const STACK: usize = 256 * 1024;

/// Which class a thread has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Ordinary,
    First,
}

#[derive(Debug)]
pub(super) struct RealtimePriority(Option<Arc<Watch>>);

#[derive(Debug)]
pub(super) struct Registered(Option<(Arc<Watch>, libc::pid_t)>);

#[derive(Debug, Default)]
struct Watch {
    /// The threads that carry frames, and which class we gave each.
    threads: Mutex<Vec<(libc::pid_t, Class)>>,
    /// Wakes the thread that watches when the threads changed.
    waker: Condvar,
}

impl RealtimePriority {
    pub(super) fn secure(wanted: bool) -> Self {
        if !wanted {
            return Self(None);
        }
        let watch = Arc::new(Watch::default());
        let watcher = Arc::clone(&watch);
        let started = std::thread::Builder::new()
            .name("realtime".to_owned())
            .stack_size(STACK)
            .spawn(move || watcher.run());
        if let Err(error) = started {
            tracing::warn!(%error, "cannot start a thread; frames may be late while the machine is busy");
        }

        Self(Some(watch))
    }

    pub(super) fn register(&self) -> Registered {
        // Whoever started the program as first has seen to it, and may not let it ask.
        let Some(watch) = self.0.as_ref().filter(|_| class(THIS) == Class::Ordinary) else {
            return Registered(None);
        };
        // SAFETY: takes and returns a number.
        let thread = unsafe { libc::gettid() };
        watch.threads().push((thread, Class::Ordinary));
        watch.waker.notify_one();

        Registered(Some((Arc::clone(watch), thread)))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some((watch, thread)) = self.0.take() {
            watch.threads().retain(|(other, _)| *other != thread);
            // A thread may always step back.
            let _stepped_back = set_class(thread, Class::Ordinary);
            watch.waker.notify_one();
        }
    }
}

impl Watch {
    fn threads(&self) -> MutexGuard<'_, Vec<(libc::pid_t, Class)>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches as long as a thread is registered or may be, or until the system refuses.
    fn run(self: Arc<Self>) {
        if let Err(error) = keep_only_what_it_takes() {
            tracing::debug!(%error, "the thread that watches keeps privileges");
        }
        let mut pressure = Pressure::default();
        let mut last = Instant::now();
        // One is this thread's own.
        while Arc::strong_count(&self) > 1 {
            let now = Instant::now();
            let passed = now.saturating_duration_since(last);
            let is_pressed = read().is_none_or(|sample| pressure.handle_sample(sample, passed));
            last = now;
            let class = if is_pressed {
                Class::First
            } else {
                Class::Ordinary
            };
            if let Err(error) = self.set(class) {
                tracing::info!(%error, "the system does not let this program run before others, so frames may be late while the machine is busy; an RLIMIT_RTPRIO of 1 (LimitRTPRIO=1, ulimit -r 1) lets it");
                return;
            }
            let _woken = self.waker.wait_timeout(self.threads(), PERIOD);
        }
    }

    /// Gives all registered threads a class.
    fn set(&self, class: Class) -> io::Result<()> {
        for (thread, has) in self.threads().iter_mut().filter(|(_, has)| *has != class) {
            tracing::debug!(
                thread,
                ?class,
                "a thread that carries frames changes its class"
            );
            set_class(*thread, class)?;
            *has = class;
        }

        Ok(())
    }
}

/// Gives up this thread's privileges, but for the one to set classes if it takes that.
fn keep_only_what_it_takes() -> io::Result<()> {
    let kept = if allow_priority().is_ok() {
        CapabilitySet::empty()
    } else {
        rustix::thread::capabilities(None)?.permitted & CapabilitySet::SYS_NICE
    };
    set_no_new_privs(true)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;

    Ok(())
}

fn read() -> Option<Sample> {
    Sample::parse(&std::fs::read_to_string(PRESSURE).ok()?)
}

/// Stands for the calling thread.
const THIS: libc::pid_t = 0;

fn class(thread: libc::pid_t) -> Class {
    // SAFETY: takes no pointer.
    let class = unsafe { libc::sched_getscheduler(thread) };
    if matches!(
        class & !libc::SCHED_RESET_ON_FORK,
        libc::SCHED_RR | libc::SCHED_FIFO
    ) {
        Class::First
    } else {
        Class::Ordinary
    }
}

/// Sets a thread's class (`sched_setscheduler(2)`). What it starts is ordinary in any case; that cannot be taken back without a privilege,
/// so it stays.
fn set_class(thread: libc::pid_t, class: Class) -> io::Result<()> {
    let (policy, sched_priority) = match class {
        Class::First => (libc::SCHED_RR, PRIORITY),
        Class::Ordinary => (libc::SCHED_OTHER, 0),
    };
    let parameter = libc::sched_param { sched_priority };
    // SAFETY: `parameter` lives until the call returns, which only reads it.
    let result = unsafe {
        libc::sched_setscheduler(
            thread,
            policy | libc::SCHED_RESET_ON_FORK,
            &raw const parameter,
        )
    };

    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets this process use [`PRIORITY`] without a privilege from now on (`RLIMIT_RTPRIO`, getrlimit(2)).
fn allow_priority() -> io::Result<()> {
    let wanted = libc::rlim_t::from(PRIORITY.unsigned_abs());
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is one, and only this call writes it.
    if unsafe { libc::getrlimit(libc::RLIMIT_RTPRIO, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= wanted {
        return Ok(());
    }
    limit.rlim_cur = wanted;
    limit.rlim_max = limit.rlim_max.max(wanted);
    // SAFETY: `limit` lives until the call returns, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_RTPRIO, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Two threads for each processor that never rest: one of them always waits.
    fn crowd<T>(during: impl FnOnce() -> T) -> T {
        let is_over = AtomicBool::new(false);
        let count = 2 * std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            (0..count).for_each(|_| drop(scope.spawn(|| never_rest(&is_over))));
            let result = during();
            is_over.store(true, Ordering::Relaxed);

            result
        })
    }

    fn never_rest(is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    }

    /// Waits for a class as long as pressure may take to be seen.
    fn becomes(wanted: Class) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while class(THIS) != wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }

        class(THIS) == wanted
    }

    #[test]
    fn a_thread_runs_first_while_others_wait_and_those_that_it_starts_do_not() {
        let realtime = RealtimePriority::secure(true);
        let registered = realtime.register();
        let is_first = crowd(|| becomes(Class::First));
        assert!(is_first, "these tests need CAP_SYS_NICE: run them as root");
        let child = std::thread::spawn(|| class(THIS)).join();
        assert_eq!(child.unwrap(), Class::Ordinary);

        drop(registered);
        assert_eq!(class(THIS), Class::Ordinary);
    }

    /// As a gateway does, which keeps nothing once its packet socket is open.
    #[test]
    fn the_right_outlives_the_privileges_of_the_thread() {
        std::thread::spawn(|| {
            let realtime = RealtimePriority::secure(true);
            let none = CapabilitySet::empty();
            let sets = CapabilitySets {
                effective: none,
                permitted: none,
                inheritable: none,
            };
            set_capabilities(None, sets).unwrap();
            let registered = realtime.register();
            assert!(crowd(|| becomes(Class::First)));
            drop(registered);
            assert_eq!(class(THIS), Class::Ordinary);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn who_does_not_want_it_stays_ordinary() {
        let realtime = RealtimePriority::secure(false);
        let _registered = realtime.register();
        assert_eq!(class(THIS), Class::Ordinary);
    }

    #[test]
    fn who_was_started_first_stays_so() {
        std::thread::spawn(|| {
            set_class(THIS, Class::First).unwrap();
            drop(RealtimePriority::secure(true).register());
            assert_eq!(class(THIS), Class::First);
        })
        .join()
        .unwrap();
    }
}
