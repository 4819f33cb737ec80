#![expect(unsafe_code, reason = "scheduling classes have no safe wrapper")]

use std::io;

/// The lowest of the real-time priorities (sched(7): 1 to 99): before every ordinary thread, behind every other of the class.
const PRIORITY: libc::c_int = 1;

/// The calling thread (`sched_setscheduler(2)`).
const THIS: libc::pid_t = 0;

pub(crate) fn run_first() -> io::Result<()> {
    // SAFETY: takes no pointer.
    let class = unsafe { libc::sched_getscheduler(THIS) };
    if class & !libc::SCHED_RESET_ON_FORK == libc::SCHED_RR {
        // Whoever started the program has seen to it, and may not let it ask.
        return Ok(());
    }
    let parameter = libc::sched_param {
        sched_priority: PRIORITY,
    };
    // SAFETY: `parameter` lives until the call returns, which only reads it.
    let result = unsafe {
        libc::sched_setscheduler(
            THIS,
            libc::SCHED_RR | libc::SCHED_RESET_ON_FORK,
            &raw const parameter,
        )
    };

    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> libc::c_int {
        // SAFETY: takes no pointer.
        unsafe { libc::sched_getscheduler(THIS) & !libc::SCHED_RESET_ON_FORK }
    }

    /// On a thread of its own, because the class stays with the thread.
    #[test]
    fn the_thread_runs_first_and_those_that_it_starts_do_not() {
        std::thread::spawn(|| {
            run_first().expect("these tests need CAP_SYS_NICE: run them as root");
            assert_eq!(class(), libc::SCHED_RR);
            run_first().expect("asking twice is no fault");

            let child = std::thread::spawn(class).join();
            assert_eq!(child.unwrap(), libc::SCHED_OTHER);
        })
        .join()
        .unwrap();
        assert_eq!(class(), libc::SCHED_OTHER);
    }
}
