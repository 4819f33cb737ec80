//! Calls that some systems lack.
#![expect(unsafe_code, reason = "GetProcAddress")]

use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GetModuleHandleW, GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};

use crate::Win32Error;
use crate::text::wide;

/// The address of a function, once it is known.
pub(crate) type Address = unsafe extern "system" fn() -> isize;

/// A function of a system library, looked up when it is first used.
pub(crate) struct Symbol {
    dll: &'static str,
    name: &'static CStr,
    address: OnceLock<Option<Address>>,
}

impl Symbol {
    pub(crate) const fn new(library: &'static str, name: &'static CStr) -> Self {
        Self {
            dll: library,
            name,
            address: OnceLock::new(),
        }
    }

    /// Returns where the function is.
    pub(crate) fn get(&self) -> Result<Address, Win32Error> {
        self.address
            .get_or_init(|| look_up(self.dll, self.name))
            .ok_or_else(|| Win32Error::Missing {
                call: self.name.to_str().unwrap_or("a system call"),
            })
    }
}

fn look_up(library: &str, name: &CStr) -> Option<Address> {
    let module = module(&wide(library))?;

    // SAFETY: the module stays loaded until the process ends, and `name` ends with NUL.
    unsafe { GetProcAddress(module, name.as_ptr().cast()) }
}

/// Finds a library that is loaded, or loads it from the system's directory and from nowhere else.
fn module(library: &[u16]) -> Option<HMODULE> {
    // SAFETY: `library` ends with NUL and outlives the call.
    let loaded = unsafe { GetModuleHandleW(library.as_ptr()) };
    if !loaded.is_null() {
        return Some(loaded);
    }

    let flags = LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: `library` ends with NUL and outlives the call; the library is never freed.
    let module = unsafe { LoadLibraryExW(library.as_ptr(), ptr::null_mut(), flags) };

    (!module.is_null()).then_some(module)
}

/// Declares a function that is looked up when it is first called. It returns `Win32Error::Missing` where the system has none.
macro_rules! looked_up {
    ($library:literal fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty) => {
        /// # Safety
        ///
        /// As the function of this name in Microsoft's documentation.
        #[expect(non_snake_case, reason = "the name in Microsoft's documentation")]
        unsafe fn $name($($argument: $type),*) -> Result<$result, $crate::Win32Error> {
            type Function = unsafe extern "system" fn($($type),*) -> $result;
            static SYMBOL: $crate::library::Symbol = $crate::library::Symbol::new(
                $library,
                match ::std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!("the name has a NUL inside"),
                },
            );
            let address = SYMBOL.get()?;
            // SAFETY: the function of this name has this signature.
            let function = unsafe {
                ::std::mem::transmute::<$crate::library::Address, Function>(address)
            };

            // SAFETY: what it demands is demanded of the caller.
            Ok(unsafe { function($($argument),*) })
        }
    };
}
pub(crate) use looked_up;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_lacks_is_named() {
        let symbol = Symbol::new("kernel32.dll", c"SoftlanWasNeverHere");
        assert_eq!(
            symbol.get().unwrap_err().to_string(),
            "SoftlanWasNeverHere is not offered by this system"
        );

        let symbol = Symbol::new("softlan-was-never-here.dll", c"Anything");
        assert!(matches!(symbol.get(), Err(Win32Error::Missing { .. })));
        assert!(Symbol::new("kernel32.dll", c"GetTickCount").get().is_ok());
    }
}
