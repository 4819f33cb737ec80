//! A timer that is due when it says so.
#![expect(
    unsafe_code,
    reason = "CreateWaitableTimerExW, SetWaitableTimer, SetThreadPriority"
)]

use std::os::windows::io::{
    AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle,
};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, CREATE_WAITABLE_TIMER_MANUAL_RESET,
    CreateWaitableTimerExW, GetCurrentThread, SetThreadPriority, SetWaitableTimer,
    THREAD_PRIORITY_HIGHEST, TIMER_ALL_ACCESS,
};

use crate::Win32Error;

/// A timer with half a millisecond of resolution, to be waited for like an event.
///
/// The timeout of a wait has the resolution of the system's clock interrupt, 15.6 ms unless somebody asked for more, and since Windows 11
/// a program whose window is hidden cannot count on what it asked for (`timeBeginPeriod` in Microsoft's documentation). This timer has
/// an interrupt of its own. Windows has it since 10, version 1803.
#[derive(Debug)]
pub struct PreciseTimer(OwnedHandle);

impl PreciseTimer {
    /// Makes a timer that is not armed.
    ///
    /// # Errors
    ///
    /// Returns error 87 from systems that have no such timers.
    pub fn new() -> Result<Self, Win32Error> {
        // SAFETY: no attributes and no name are given.
        let handle = unsafe {
            CreateWaitableTimerExW(
                ptr::null(),
                ptr::null(),
                CREATE_WAITABLE_TIMER_HIGH_RESOLUTION | CREATE_WAITABLE_TIMER_MANUAL_RESET,
                TIMER_ALL_ACCESS,
            )
        };
        if handle.is_null() {
            return Err(Win32Error::last("CreateWaitableTimerExW"));
        }

        // SAFETY: the handle is new and nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Arms the timer anew: it is signalled `after` from now, and stays so until it is armed again.
    ///
    /// A timer that waits reset would do as well on Windows; Wine 8 lets such a one forget nothing when it is armed anew.
    pub fn arm(&self, after: Duration) {
        // In 100 ns, and negative: counted from now. Rounded up, so that what is waited for is due afterwards.
        let due = i64::try_from(after.as_nanos().div_ceil(100)).map_or(i64::MIN, |ticks| -ticks);
        // SAFETY: the handle is a timer and open, and `due` outlives the call. Arming an open timer with no callback cannot fail.
        unsafe {
            SetWaitableTimer(
                self.0.as_raw_handle(),
                &raw const due,
                0,
                None,
                ptr::null(),
                0,
            )
        };
    }
}

impl AsHandle for PreciseTimer {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Lets this thread go before ordinary ones, those of a game that keeps every core busy among them.
///
/// Not by the multimedia scheduler (MMCSS, "Games"): while it serves anybody, Windows throttles the network to some ten packets a
/// millisecond (`NetworkThrottlingIndex` in Microsoft's documentation).
///
/// # Errors
///
/// Returns what Windows said.
pub fn raise_thread_priority() -> Result<(), Win32Error> {
    // SAFETY: the call has no preconditions.
    let thread = unsafe { GetCurrentThread() };
    // SAFETY: the handle stands for this thread and is never closed.
    if unsafe { SetThreadPriority(thread, THREAD_PRIORITY_HIGHEST) } == 0 {
        return Err(Win32Error::last("SetThreadPriority"));
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Instant;

    use crate::wait_any;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

    #[test]
    fn a_timer_is_signalled_when_it_is_due_and_stays_so() {
        let timer = PreciseTimer::new().unwrap();
        let start = Instant::now();
        timer.arm(Duration::from_millis(20));

        assert_eq!(
            wait_any(&[timer.as_handle()], Some(Duration::ZERO)).unwrap(),
            None
        );
        assert_eq!(wait_any(&[timer.as_handle()], PATIENCE).unwrap(), Some(0));
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(
            wait_any(&[timer.as_handle()], Some(Duration::ZERO)).unwrap(),
            Some(0)
        );
    }

    #[test]
    fn arming_anew_forgets_that_it_was_due() {
        let timer = PreciseTimer::new().unwrap();
        timer.arm(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(50));
        timer.arm(Duration::from_hours(1));

        let nothing = Some(Duration::ZERO);
        assert_eq!(wait_any(&[timer.as_handle()], nothing).unwrap(), None);
    }

    #[test]
    fn a_thread_may_have_priority() {
        raise_thread_priority().unwrap();
    }
}
