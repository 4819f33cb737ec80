//! Devices of drivers.
#![expect(unsafe_code, reason = "CreateFileW, DeviceIoControl")]

use std::os::windows::io::{
    AsHandle as _, AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle,
};
use std::ptr;
use std::sync::Arc;

use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_ATTRIBUTE_SYSTEM, FILE_FLAG_OVERLAPPED, OPEN_EXISTING,
};
use windows_sys::Win32::System::IO::{DeviceIoControl, GetOverlappedResult, OVERLAPPED};

use crate::text::wide;
use crate::{Event, Win32Error};

/// A driver's device, opened alone (share mode 0) for overlapped requests.
///
/// Without the overlapped flag the I/O manager serialises all requests of a handle, and a read that waits would block every write.
#[derive(Debug, Clone)]
pub struct Device(Arc<OwnedHandle>);

impl Device {
    /// Opens `path`, for example `\\.\Global\{GUID}.tap`.
    ///
    /// # Errors
    ///
    /// Returns what the driver or the object manager said: 2 for no such device, 31 from drivers that one program alone may open.
    pub fn open(path: &str) -> Result<Self, Win32Error> {
        let path = wide(path);
        // SAFETY: the path ends with NUL and outlives the call; no attributes and no template are given.
        let handle = unsafe {
            CreateFileW(
                path.as_ptr(),
                GENERIC_READ | GENERIC_WRITE,
                0,
                ptr::null(),
                OPEN_EXISTING,
                FILE_ATTRIBUTE_SYSTEM | FILE_FLAG_OVERLAPPED,
                ptr::null_mut(),
            )
        };
        if handle == INVALID_HANDLE_VALUE {
            return Err(Win32Error::last("CreateFileW"));
        }

        // SAFETY: the handle is new and nobody else's.
        Ok(Self(Arc::new(unsafe {
            OwnedHandle::from_raw_handle(handle)
        })))
    }

    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }

    /// Asks the driver for `code`, gives it `input`, and returns how many bytes of `output` it filled.
    ///
    /// Waits for the answer. Meant for drivers that answer at once, as TAP-Windows6 does.
    ///
    /// # Errors
    ///
    /// Returns what the driver said.
    pub fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<usize, Win32Error> {
        const CALL: &str = "DeviceIoControl";
        let done = Event::new()?;
        let mut overlapped = OVERLAPPED {
            hEvent: done.as_handle().as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let mut filled = 0;

        // SAFETY: both buffers have the lengths given. They and `overlapped` stay where they are until the request is done, for
        // which the code below waits.
        let status = unsafe {
            DeviceIoControl(
                self.0.as_raw_handle(),
                code,
                input.as_ptr().cast(),
                length(input.len()),
                output.as_mut_ptr().cast(),
                length(output.len()),
                &raw mut filled,
                &raw mut overlapped,
            )
        };
        let error = Win32Error::last(CALL);
        if status == 0 && !error.is(ERROR_IO_PENDING) {
            return Err(error);
        }

        // SAFETY: this is the handle and the structure of the request; the call returns once the driver is done with them.
        let status = unsafe {
            GetOverlappedResult(
                self.0.as_raw_handle(),
                &raw const overlapped,
                &raw mut filled,
                1,
            )
        };
        if status == 0 {
            return Err(Win32Error::last(CALL));
        }

        Ok(usize::try_from(filled).map_or(0, |filled| filled.min(output.len())))
    }
}

fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_error_2() {
        let error = Device::open(r"\\.\Global\{00000000-0000-0000-0000-00000000DEAD}.tap");

        assert_eq!(error.unwrap_err().code(), Some(2));
    }
}
