//! What this process may do, and on what.
#![expect(unsafe_code, reason = "tokens, system directory")]

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::PathBuf;
use std::ptr;

use windows_sys::Win32::Security::{
    GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation,
};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use crate::Win32Error;
use crate::library::Symbol;
use crate::text::narrow;

/// Returns whether the process has an administrator's rights.
///
/// # Errors
///
/// Returns an error if the process may not look at itself.
pub fn is_elevated() -> Result<bool, Win32Error> {
    // SAFETY: the call has no preconditions.
    let process = unsafe { GetCurrentProcess() };
    let mut token = ptr::null_mut();
    // SAFETY: `token` outlives the call.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(Win32Error::last("OpenProcessToken"));
    }
    // SAFETY: the handle is new and nobody else's.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };

    let mut elevation = TOKEN_ELEVATION::default();
    let length = u32::try_from(size_of::<TOKEN_ELEVATION>()).unwrap_or_default();
    let mut filled = 0;
    // SAFETY: `elevation` is what `TokenElevation` fills and has `length` bytes.
    let status = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenElevation,
            (&raw mut elevation).cast(),
            length,
            &raw mut filled,
        )
    };
    if status == 0 {
        return Err(Win32Error::last("GetTokenInformation"));
    }

    Ok(elevation.TokenIsElevated != 0)
}

/// Returns the system's directory, for example `C:\Windows\System32`.
///
/// Programs of the system are started from there and never searched for: the directory of a download is no place to find `pnputil.exe`.
pub fn system_directory() -> PathBuf {
    let mut path = [0; 260];
    let units = u32::try_from(path.len()).unwrap_or_default();
    // SAFETY: `path` has as many units as `units` says.
    unsafe { GetSystemDirectoryW(path.as_mut_ptr(), units) };

    PathBuf::from(narrow(&path))
}

/// Returns whether the program runs under Wine, which has one export that Windows does not have.
pub fn is_wine() -> bool {
    Symbol::new("ntdll.dll", c"wine_get_version").get().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_where_it_runs() {
        is_elevated().unwrap();
        assert!(system_directory().join("kernel32.dll").exists());
    }
}
