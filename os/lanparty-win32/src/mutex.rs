//! One program at a time.
#![expect(unsafe_code, reason = "CreateMutexW")]

use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, GetLastError};
use windows_sys::Win32::System::Threading::CreateMutexW;

use crate::Win32Error;
use crate::text::wide;

/// A name that nobody else has as long as this lives. Windows takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct NamedMutex {
    _handle: OwnedHandle,
}

/// Claims `name`, for example `Global\softlan`. `None` if somebody has it.
///
/// # Errors
///
/// Returns error 5 if somebody with more rights has it.
pub fn claim(name: &str) -> Result<Option<NamedMutex>, Win32Error> {
    let name = wide(name);
    // SAFETY: the name ends with NUL; no attributes are given.
    let handle = unsafe { CreateMutexW(ptr::null(), 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(Win32Error::last("CreateMutexW"));
    }
    // SAFETY: the call has no preconditions.
    let error = unsafe { GetLastError() };
    // SAFETY: the handle is new and nobody else's.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };

    Ok((error != ERROR_ALREADY_EXISTS).then_some(NamedMutex { _handle: handle }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_somebodys_until_it_is_given_back() {
        let first = claim(r"Local\softlan-mutex-test").unwrap();
        assert!(first.is_some());
        assert!(claim(r"Local\softlan-mutex-test").unwrap().is_none());

        drop(first);
        assert!(claim(r"Local\softlan-mutex-test").unwrap().is_some());
    }
}
