//! Events, and waiting for several things at once.
#![expect(unsafe_code, reason = "CreateEventW, WaitForMultipleObjects")]

use std::os::windows::io::{
    AsHandle, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle,
};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

use crate::Win32Error;

/// How many handles one wait takes (`MAXIMUM_WAIT_OBJECTS`, winnt.h).
pub const MAX_WAIT: usize = 64;

/// A manual-reset event: set by somebody, waited for by somebody, reset when it was seen.
#[derive(Debug)]
pub struct Event(OwnedHandle);

impl Event {
    /// Makes an event that is not set.
    ///
    /// # Errors
    ///
    /// Returns an error if the process has no handles left.
    pub fn new() -> Result<Self, Win32Error> {
        // SAFETY: no attributes and no name are given.
        let handle = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
        if handle.is_null() {
            return Err(Win32Error::last("CreateEventW"));
        }

        // SAFETY: the handle is new and nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Sets the event.
    pub fn set(&self) {
        // SAFETY: the handle is an event and open. Setting an open event cannot fail.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Resets the event.
    pub fn reset(&self) {
        // SAFETY: the handle is an event and open. Resetting an open event cannot fail.
        unsafe { ResetEvent(self.0.as_raw_handle()) };
    }

    /// Returns whether the event is set.
    pub fn is_set(&self) -> bool {
        matches!(
            wait_any(&[self.as_handle()], Some(Duration::ZERO)),
            Ok(Some(_))
        )
    }
}

impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Waits until one of `handles` is signalled and returns its place: the first, if it is several. `None` after `timeout`.
///
/// # Errors
///
/// Returns an error for no handle, for more than [`MAX_WAIT`], and for what cannot be waited for.
pub fn wait_any(
    handles: &[BorrowedHandle<'_>],
    timeout: Option<Duration>,
) -> Result<Option<usize>, Win32Error> {
    let count = u32::try_from(handles.len()).unwrap_or(u32::MAX);
    let milliseconds = timeout.map_or(INFINITE, milliseconds);

    // SAFETY: `BorrowedHandle` is a handle in memory and cannot be closed while it is borrowed; the count is that of the slice.
    let status = unsafe { WaitForMultipleObjects(count, handles.as_ptr().cast(), 0, milliseconds) };
    match status {
        WAIT_TIMEOUT => Ok(None),
        WAIT_FAILED => Err(Win32Error::last("WaitForMultipleObjects")),
        signalled => Ok(usize::try_from(signalled.wrapping_sub(WAIT_OBJECT_0))
            .ok()
            .filter(|place| *place < handles.len())),
    }
}

/// Rounds up, so that a timer that is waited for is due afterwards.
fn milliseconds(timeout: Duration) -> u32 {
    let rounded = timeout.as_nanos().div_ceil(1_000_000);

    u32::try_from(rounded).unwrap_or(INFINITE).min(INFINITE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_names_who_was_signalled() {
        let [first, second] = [Event::new().unwrap(), Event::new().unwrap()];
        let both = [first.as_handle(), second.as_handle()];
        assert_eq!(wait_any(&both, Some(Duration::ZERO)).unwrap(), None);

        second.set();
        assert_eq!(wait_any(&both, None).unwrap(), Some(1));
        assert!(second.is_set());

        second.reset();
        assert!(!second.is_set());
    }

    #[test]
    fn a_wait_for_nothing_is_an_error() {
        wait_any(&[], Some(Duration::ZERO)).unwrap_err();
    }

    #[test]
    fn a_timer_is_due_after_its_wait() {
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(7)), 7);
        assert_eq!(milliseconds(Duration::MAX), INFINITE - 1);
    }
}
