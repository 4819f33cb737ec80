//! Ctrl-C, a closed console window, and the end of the user's session.
#![expect(unsafe_code, reason = "SetConsoleCtrlHandler")]

use std::os::windows::io::AsHandle as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT, SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

use crate::{Event, Win32Error, wait_any};

/// How long Windows is kept from ending the process while it cleans up: it ends it by force after five seconds
/// (`HandlerRoutine` in Microsoft's documentation).
const CLEAN_UP: Duration = Duration::from_millis(4500);

struct Stop {
    stop: Arc<Event>,
    clean: Arc<Event>,
}

static STOP: OnceLock<Stop> = OnceLock::new();

/// Sets `stop` when somebody wants the program to end: Ctrl-C, Ctrl-Break, a closed console window, logoff, shutdown.
///
/// After the last three Windows ends the process as soon as the handler returns. The handler therefore waits for `clean`, which the
/// program sets when nothing is left to undo.
///
/// Only the first call of a process does anything: there is one console.
///
/// # Errors
///
/// Returns an error if the handler cannot be installed.
pub fn on_console_stop(stop: Arc<Event>, clean: Arc<Event>) -> Result<(), Win32Error> {
    if STOP.set(Stop { stop, clean }).is_err() {
        return Ok(());
    }

    // SAFETY: the handler is a function of this program and stays valid.
    if unsafe { SetConsoleCtrlHandler(Some(handle), 1) } == 0 {
        return Err(Win32Error::last("SetConsoleCtrlHandler"));
    }

    Ok(())
}

/// Announces the end and waits until nothing is left to undo, or until Windows would not wait any longer.
pub(crate) fn stop_and_wait() {
    let Some(Stop { stop, clean }) = STOP.get() else {
        return;
    };
    stop.set();
    // Clean or not: the journal has what is left.
    drop(wait_any(&[clean.as_handle()], Some(CLEAN_UP)));
}

/// Runs on a thread that Windows makes for it.
unsafe extern "system" fn handle(event: u32) -> BOOL {
    if matches!(
        event,
        CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT
    ) {
        stop_and_wait();
    } else if let Some(Stop { stop, .. }) = STOP.get() {
        stop.set();
    }

    1
}

#[cfg(test)]
mod tests {
    use super::*;

    use windows_sys::Win32::System::Console::CTRL_C_EVENT;

    #[test]
    fn an_end_is_announced_and_waited_for() {
        let [stop, clean] = [(); 2].map(|()| Arc::new(Event::new().unwrap()));
        on_console_stop(Arc::clone(&stop), Arc::clone(&clean)).unwrap();

        // SAFETY: the handler has no preconditions.
        assert_eq!(unsafe { handle(CTRL_C_EVENT) }, 1);
        assert!(stop.is_set());

        clean.set();
        // SAFETY: as above.
        assert_eq!(unsafe { handle(CTRL_CLOSE_EVENT) }, 1);
    }
}
