//! The end of the user's session, for a console program that Windows does not take for one.
#![expect(unsafe_code, reason = "a window and its messages")]

use std::ptr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DestroyWindow, DispatchMessageW, GetMessageW, MSG,
    PostMessageW, PostQuitMessage, RegisterClassW, WM_CLOSE, WM_DESTROY, WM_ENDSESSION,
    WM_QUERYENDSESSION, WNDCLASSW,
};

use crate::Win32Error;
use crate::console::stop_and_wait;
use crate::text::wide;

/// The window's class and title; Windows shows the title if the session waits for it.
const NAME: &str = "softlan";

/// A window that nobody sees, and that hears of logoff and shutdown as [`crate::on_console_stop`] would.
///
/// A console program that has loaded user32.dll is not told of them by its console handler (`HandlerRoutine` in Microsoft's
/// documentation), and what asks about networks loads that library.
#[derive(Debug)]
pub struct SessionWatch {
    /// The window's handle, as a number: any thread may post to it.
    window: usize,
    thread: Option<JoinHandle<()>>,
}

impl SessionWatch {
    /// Makes the window, on a thread of its own that serves its messages.
    ///
    /// # Errors
    ///
    /// Returns what Windows said: a service's session may have no place for windows.
    pub fn start() -> Result<Self, Win32Error> {
        let (made, is_made) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || serve(&made))
            .map_err(|source| Win32Error::Failed {
                call: "CreateThread",
                source,
            })?;
        let window = is_made.recv().unwrap_or(Err(Win32Error::Missing {
            call: "CreateWindowExW",
        }));
        match window {
            Ok(window) => Ok(Self {
                window,
                thread: Some(thread),
            }),
            Err(error) => {
                drop(thread.join());
                Err(error)
            }
        }
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        // SAFETY: posting to a window that is gone fails and does nothing.
        unsafe { PostMessageW(handle(self.window), WM_CLOSE, 0, 0) };
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn handle(window: usize) -> HWND {
    ptr::without_provenance_mut(window)
}

fn serve(made: &SyncSender<Result<usize, Win32Error>>) {
    let window = make();
    let is_there = window.is_ok();
    drop(made.send(window));
    let mut message = MSG::default();
    // SAFETY: `message` outlives the call. The loop ends with `PostQuitMessage` (0) or an error (-1).
    while is_there && unsafe { GetMessageW(&raw mut message, ptr::null_mut(), 0, 0) } > 0 {
        // SAFETY: the message is one that `GetMessageW` filled in.
        unsafe { DispatchMessageW(&raw const message) };
    }
}

fn make() -> Result<usize, Win32Error> {
    let name = wide(NAME);
    let class = WNDCLASSW {
        lpfnWndProc: Some(on_message),
        lpszClassName: name.as_ptr(),
        ..WNDCLASSW::default()
    };
    // SAFETY: `class` and the name it points to outlive the call; the procedure is a function of this program. A class that is there
    // already is this one.
    unsafe { RegisterClassW(&raw const class) };
    // A top-level window: message-only windows do not hear of the session's end.
    // SAFETY: the names end with NUL and outlive the call; everything else may be absent.
    let window = unsafe {
        CreateWindowExW(
            0,
            name.as_ptr(),
            name.as_ptr(),
            0,
            0,
            0,
            0,
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null(),
        )
    };
    if window.is_null() {
        return Err(Win32Error::last("CreateWindowExW"));
    }

    Ok(window.addr())
}

/// Runs on the thread that made the window.
unsafe extern "system" fn on_message(
    window: HWND,
    message: u32,
    wparam: WPARAM,
    lparam: LPARAM,
) -> LRESULT {
    match message {
        WM_QUERYENDSESSION => 1,
        WM_ENDSESSION => {
            // Not if somebody else keeps the session from ending.
            if wparam != 0 {
                stop_and_wait();
            }
            0
        }
        WM_CLOSE => {
            // SAFETY: the window is this thread's.
            unsafe { DestroyWindow(window) };
            0
        }
        WM_DESTROY => {
            // SAFETY: the call has no preconditions.
            unsafe { PostQuitMessage(0) };
            0
        }
        // SAFETY: the arguments are those that the system gave.
        _ => unsafe { DefWindowProcW(window, message, wparam, lparam) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use windows_sys::Win32::UI::WindowsAndMessaging::SendMessageW;

    use crate::{Event, on_console_stop};

    #[test]
    fn the_end_of_a_session_is_agreed_to_and_waited_for() {
        let [stop, clean] = [(); 2].map(|()| Arc::new(Event::new().unwrap()));
        on_console_stop(Arc::clone(&stop), Arc::clone(&clean)).unwrap();
        clean.set();
        let watch = SessionWatch::start().unwrap();
        let send = |message, wparam| {
            // SAFETY: the window exists, and these messages carry no pointers.
            unsafe { SendMessageW(handle(watch.window), message, wparam, 0) }
        };

        assert_eq!(send(WM_QUERYENDSESSION, 0), 1);
        assert_eq!(send(WM_ENDSESSION, 1), 0);
        drop(watch);
        SessionWatch::start().unwrap();
    }
}
