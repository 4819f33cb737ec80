//! The registry below `HKEY_LOCAL_MACHINE`.
#![expect(unsafe_code, reason = "Reg* calls")]

use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_NO_MORE_ITEMS};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_READ, KEY_WRITE, REG_DWORD, REG_OPTION_NON_VOLATILE, REG_SZ,
    REG_VALUE_TYPE, RRF_RT_REG_DWORD, RRF_RT_REG_SZ, RegCloseKey, RegCreateKeyExW, RegDeleteTreeW,
    RegDeleteValueW, RegEnumKeyExW, RegGetValueW, RegOpenKeyExW, RegSetValueExW,
};

use crate::Win32Error;
use crate::text::{narrow, wide};

/// UTF-16 units of the longest text read: adapters' texts have tens of them.
const TEXT_UNITS: usize = 512;
/// UTF-16 units of a key's name with its NUL (255 at most, says Microsoft's "Registry element size limits").
const NAME_UNITS: usize = 256;

/// An open key.
#[derive(Debug)]
pub struct Key(HKEY);

/// What a value is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `REG_SZ`.
    Text(&'a str),
    /// `REG_DWORD`.
    Number(u32),
}

impl Key {
    /// Opens a key below `HKEY_LOCAL_MACHINE` for reading.
    ///
    /// # Errors
    ///
    /// Returns error 2 for a key that is not there and 5 for one that may not be read.
    pub fn open(path: &str) -> Result<Self, Win32Error> {
        open(HKEY_LOCAL_MACHINE, path, KEY_READ)
    }

    /// Opens a key below `HKEY_LOCAL_MACHINE` for reading and writing.
    ///
    /// # Errors
    ///
    /// Returns error 2 for a key that is not there and 5 for one that may not be written.
    pub fn open_to_write(path: &str) -> Result<Self, Win32Error> {
        open(HKEY_LOCAL_MACHINE, path, KEY_READ | KEY_WRITE)
    }

    /// Opens a key below `HKEY_LOCAL_MACHINE` for reading and writing, and makes it where it is not there.
    ///
    /// # Errors
    ///
    /// Returns error 5 for what may not be written.
    pub fn create(path: &str) -> Result<Self, Win32Error> {
        let path = wide(path);
        let mut key = ptr::null_mut();
        // SAFETY: the path ends with NUL; `key` outlives the call; neither class nor attributes are given.
        let status = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                path.as_ptr(),
                0,
                ptr::null(),
                REG_OPTION_NON_VOLATILE,
                KEY_READ | KEY_WRITE,
                ptr::null(),
                &raw mut key,
                ptr::null_mut(),
            )
        };
        Win32Error::check("RegCreateKeyExW", status)?;

        Ok(Self(key))
    }

    /// Removes a key below `HKEY_LOCAL_MACHINE` and everything in it. One that is not there is fine.
    ///
    /// # Errors
    ///
    /// Returns error 5 for what may not be written.
    pub fn remove(path: &str) -> Result<(), Win32Error> {
        let path = wide(path);
        // SAFETY: the path ends with NUL.
        let status = unsafe { RegDeleteTreeW(HKEY_LOCAL_MACHINE, path.as_ptr()) };

        absent_is_fine("RegDeleteTreeW", status)
    }

    /// Opens a key below this one for reading.
    ///
    /// # Errors
    ///
    /// Returns error 2 for a key that is not there and 5 for one that may not be read.
    pub fn child(&self, name: &str) -> Result<Self, Win32Error> {
        open(self.0, name, KEY_READ)
    }

    /// Returns the names of the keys below this one, up to what cannot be read.
    pub fn children(&self) -> Vec<String> {
        (0..).map_while(|place| self.child_name(place)).collect()
    }

    fn child_name(&self, place: u32) -> Option<String> {
        let mut name = [0; NAME_UNITS];
        let mut units = u32::try_from(NAME_UNITS).ok()?;
        // SAFETY: `name` has as many units as `units` says; nothing else is asked for.
        let status = unsafe {
            RegEnumKeyExW(
                self.0,
                place,
                name.as_mut_ptr(),
                &raw mut units,
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        debug_assert!(status == 0 || status == ERROR_NO_MORE_ITEMS);

        (status == 0).then(|| narrow(&name))
    }

    /// Returns the text of a `REG_SZ` value; `None` where there is none, or something else.
    pub fn text(&self, name: &str) -> Option<String> {
        let mut text = [0_u16; TEXT_UNITS];
        let name = wide(name);
        let mut bytes = u32::try_from(size_of_val(&text)).ok()?;
        // SAFETY: the name ends with NUL; `text` has as many bytes as `bytes` says.
        let status = unsafe {
            RegGetValueW(
                self.0,
                ptr::null(),
                name.as_ptr(),
                RRF_RT_REG_SZ,
                ptr::null_mut(),
                text.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };

        (status == 0).then(|| narrow(&text))
    }

    /// Returns the number of a `REG_DWORD` value; `None` where there is none, or something else.
    pub fn number(&self, name: &str) -> Option<u32> {
        let name = wide(name);
        let mut number = 0_u32;
        let mut bytes = u32::try_from(size_of::<u32>()).ok()?;
        // SAFETY: the name ends with NUL; `number` has as many bytes as `bytes` says.
        let status = unsafe {
            RegGetValueW(
                self.0,
                ptr::null(),
                name.as_ptr(),
                RRF_RT_REG_DWORD,
                ptr::null_mut(),
                (&raw mut number).cast(),
                &raw mut bytes,
            )
        };

        (status == 0).then_some(number)
    }

    /// Sets a value.
    ///
    /// # Errors
    ///
    /// Returns error 5 if the key was opened for reading.
    pub fn set(&self, name: &str, value: Value<'_>) -> Result<(), Win32Error> {
        match value {
            Value::Text(text) => {
                let units = wide(text);
                let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_ne_bytes()).collect();
                self.set_bytes(name, REG_SZ, &bytes)
            }
            Value::Number(number) => self.set_bytes(name, REG_DWORD, &number.to_ne_bytes()),
        }
    }

    fn set_bytes(&self, name: &str, kind: REG_VALUE_TYPE, bytes: &[u8]) -> Result<(), Win32Error> {
        let name = wide(name);
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        // SAFETY: the name ends with NUL; `bytes` has as many bytes as `length` says.
        let status =
            unsafe { RegSetValueExW(self.0, name.as_ptr(), 0, kind, bytes.as_ptr(), length) };

        Win32Error::check("RegSetValueExW", status)
    }

    /// Removes a value. One that is not there is fine.
    ///
    /// # Errors
    ///
    /// Returns error 5 if the key was opened for reading.
    pub fn unset(&self, name: &str) -> Result<(), Win32Error> {
        let name = wide(name);
        // SAFETY: the name ends with NUL.
        let status = unsafe { RegDeleteValueW(self.0, name.as_ptr()) };

        absent_is_fine("RegDeleteValueW", status)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is open and nobody else's.
        unsafe { RegCloseKey(self.0) };
    }
}

fn open(parent: HKEY, path: &str, access: u32) -> Result<Key, Win32Error> {
    let path = wide(path);
    let mut key = ptr::null_mut();
    // SAFETY: the path ends with NUL; `parent` is open; `key` outlives the call.
    let status = unsafe { RegOpenKeyExW(parent, path.as_ptr(), 0, access, &raw mut key) };
    Win32Error::check("RegOpenKeyExW", status)?;

    Ok(Key(key))
}

fn absent_is_fine(call: &'static str, status: u32) -> Result<(), Win32Error> {
    if status == ERROR_FILE_NOT_FOUND {
        return Ok(());
    }

    Win32Error::check(call, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = r"SOFTWARE\softlan-registry-test";

    #[test]
    fn values_come_back_as_they_were_set() {
        let key = Key::create(PATH).unwrap();
        key.set("Text", Value::Text("Ä€ \u{1f600}")).unwrap();
        key.set("Number", Value::Number(0xffff_fffe)).unwrap();

        let key = Key::open(PATH).unwrap();
        assert_eq!(key.text("Text").as_deref(), Some("Ä€ \u{1f600}"));
        assert_eq!(key.number("Number"), Some(0xffff_fffe));
        assert_eq!(key.text("Number"), None, "a number is no text");
        assert_eq!(key.number("Nothing"), None);
        key.set("Text", Value::Text("")).unwrap_err();

        let key = Key::open_to_write(PATH).unwrap();
        key.unset("Text").unwrap();
        key.unset("Text").unwrap();
        assert_eq!(key.text("Text"), None);

        drop(Key::create(&format!(r"{PATH}\child")).unwrap());
        assert_eq!(key.children(), ["child"]);
        assert!(key.child("child").is_ok());
        Key::remove(PATH).unwrap();
        Key::remove(PATH).unwrap();
        assert!(Key::open(PATH).unwrap_err().is(ERROR_FILE_NOT_FOUND));
    }
}
