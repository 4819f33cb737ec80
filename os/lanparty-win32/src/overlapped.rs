//! Requests that a driver works on while we do something else.
#![expect(
    unsafe_code,
    reason = "ReadFile, WriteFile, GetOverlappedResult, CancelIoEx"
)]

use std::fmt;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle};
use std::ptr::{self, NonNull};
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_IO_INCOMPLETE, ERROR_IO_PENDING};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};

use crate::{Device, Event, Win32Error, wait_any};

/// Bytes of a request's buffer.
///
/// TAP-Windows6 loses a frame that is longer than the buffer it is read into; with a tag and the interface MTU of 1500 it has 1518.
pub const BUFFER_LEN: usize = 2048;

/// How long a request that goes away is waited for after it was cancelled.
///
/// A driver that answers cancels in queue order needs microseconds. One that never answers must not hang the program's end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);

/// What the driver works on: it must not move, and must not be touched while the request is pending.
#[repr(C)]
struct Shared {
    overlapped: OVERLAPPED,
    buffer: [u8; BUFFER_LEN],
}

/// A read or write with a buffer of its own, used again and again.
///
/// While a request is pending the driver owns the buffer, and may write to it even for a write: TAP-Windows6 moves VLAN tags in
/// place. [`Request::buffer`] gives it only to whom it belongs then.
pub struct Request {
    shared: NonNull<Shared>,
    done: Event,
    pending: Option<Device>,
}

// SAFETY: the memory behind `shared` is this request's own, or the driver's, and both may be on any thread.
unsafe impl Send for Request {}

impl Request {
    /// Makes a request that is not pending.
    ///
    /// # Errors
    ///
    /// Returns an error if the process has no handles left.
    pub fn new() -> Result<Self, Win32Error> {
        let done = Event::new()?;
        let shared = Box::new(Shared {
            overlapped: OVERLAPPED::default(),
            buffer: [0; BUFFER_LEN],
        });

        Ok(Self {
            shared: NonNull::from(Box::leak(shared)),
            done,
            pending: None,
        })
    }

    /// Returns whether the driver works on it.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Returns the handle that is signalled while the request is done and [`Request::poll`] has not been told yet.
    pub fn done(&self) -> BorrowedHandle<'_> {
        self.done.as_handle()
    }

    /// Returns the buffer, unless the driver has it.
    pub fn buffer(&mut self) -> Option<&mut [u8; BUFFER_LEN]> {
        if self.is_pending() {
            return None;
        }

        // SAFETY: the request is not pending, so that the memory is ours alone, and `self` is borrowed mutably.
        Some(unsafe { &mut (*self.shared.as_ptr()).buffer })
    }

    /// Returns the buffer for reading, unless the driver has it.
    pub fn filled(&self) -> Option<&[u8; BUFFER_LEN]> {
        if self.is_pending() {
            return None;
        }

        // SAFETY: the request is not pending, so that the memory is ours alone, and `self` is borrowed.
        Some(unsafe { &(*self.shared.as_ptr()).buffer })
    }

    /// Starts reading into the buffer.
    ///
    /// # Errors
    ///
    /// Returns what the driver said if it refused at once.
    pub fn start_read(&mut self, device: &Device) -> Result<(), Win32Error> {
        self.start(device, BUFFER_LEN, Operation::Read)
    }

    /// Starts writing the first `len` bytes of the buffer.
    ///
    /// # Errors
    ///
    /// Returns what the driver said if it refused at once.
    pub fn start_write(&mut self, device: &Device, len: usize) -> Result<(), Win32Error> {
        self.start(device, len.min(BUFFER_LEN), Operation::Write)
    }

    fn start(
        &mut self,
        device: &Device,
        len: usize,
        operation: Operation,
    ) -> Result<(), Win32Error> {
        if self.is_pending() {
            return Err(Win32Error::from_code(operation.call(), ERROR_IO_PENDING));
        }
        let len = u32::try_from(len).unwrap_or_default();
        let handle = device.handle().as_raw_handle();
        let shared = self.shared.as_ptr();
        // SAFETY: the request is not pending, so that the memory is ours alone.
        unsafe {
            (*shared).overlapped = OVERLAPPED {
                hEvent: self.done.as_handle().as_raw_handle(),
                ..OVERLAPPED::default()
            };
        }
        // SAFETY: the memory is ours and alive; no reference is made.
        let overlapped = unsafe { &raw mut (*shared).overlapped };
        // SAFETY: as above.
        let buffer = unsafe { &raw mut (*shared).buffer }.cast();

        let status = match operation {
            // SAFETY: `buffer` has `len` bytes; it and `overlapped` stay where they are and are not touched until the driver is
            // done, which `pending` stands for. `pending` keeps the device open.
            Operation::Read => unsafe {
                ReadFile(handle, buffer, len, ptr::null_mut(), overlapped)
            },
            // SAFETY: as above.
            Operation::Write => unsafe {
                WriteFile(
                    handle,
                    buffer.cast_const(),
                    len,
                    ptr::null_mut(),
                    overlapped,
                )
            },
        };
        let error = Win32Error::last(operation.call());
        if status == 0 && !error.is(ERROR_IO_PENDING) {
            self.done.reset();
            return Err(error);
        }
        self.pending = Some(device.clone());

        Ok(())
    }

    /// Returns how many bytes were read or written once the driver is done, and makes the request ready for the next start.
    ///
    /// `None` while it works on it, and when nothing was started.
    pub fn poll(&mut self) -> Option<Result<usize, Win32Error>> {
        let device = self.pending.as_ref()?;
        let mut moved = 0;
        // SAFETY: this is the device and the structure of the request, which is pending.
        let status = unsafe {
            GetOverlappedResult(
                device.handle().as_raw_handle(),
                self.shared.as_ptr().cast::<OVERLAPPED>().cast_const(),
                &raw mut moved,
                0,
            )
        };
        let error = Win32Error::last("GetOverlappedResult");
        if status == 0 && error.is(ERROR_IO_INCOMPLETE) {
            return None;
        }
        self.pending = None;
        self.done.reset();
        if status == 0 {
            return Some(Err(error));
        }

        Some(Ok(
            usize::try_from(moved).map_or(0, |moved| moved.min(BUFFER_LEN))
        ))
    }

    /// Asks the driver to give the request back.
    ///
    /// It does so with error 995, or with what it had already done: [`Request::poll`] tells.
    pub fn cancel(&self) {
        if let Some(device) = &self.pending {
            // SAFETY: this is the device and the structure of the request, which is pending.
            unsafe {
                CancelIoEx(
                    device.handle().as_raw_handle(),
                    self.shared.as_ptr().cast::<OVERLAPPED>().cast_const(),
                )
            };
        }
    }
}

/// `OVERLAPPED` is where `Shared` begins only if the compiler leaves it there.
const _: () = assert!(std::mem::offset_of!(Shared, overlapped) == 0);

impl Drop for Request {
    fn drop(&mut self) {
        self.cancel();
        if self.is_pending() {
            let given_back =
                wait_any(&[self.done()], Some(CANCEL_PATIENCE)).is_ok_and(|done| done.is_some());
            if !given_back || self.poll().is_none() {
                // The driver still owns the memory: it stays its own for ever.
                return;
            }
        }

        // SAFETY: the memory came from a `Box`, and the driver is done with it.
        drop(unsafe { Box::from_raw(self.shared.as_ptr()) });
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Operation {
    Read,
    Write,
}

impl Operation {
    const fn call(self) -> &'static str {
        match self {
            Self::Read => "ReadFile",
            Self::Write => "WriteFile",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_never_started_has_nothing_to_tell() {
        let mut request = Request::new().unwrap();

        assert!(request.poll().is_none());
        assert!(!request.is_pending());
        assert_eq!(
            request.buffer().map(|buffer| buffer.len()),
            Some(BUFFER_LEN)
        );
    }
}
