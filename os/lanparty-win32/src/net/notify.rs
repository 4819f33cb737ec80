//! Being told when routes, interfaces or addresses change.
#![expect(unsafe_code, reason = "netioapi.h")]

use std::ffi::c_void;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _};
use std::ptr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::NetworkManagement::IpHelper::{
    CancelMibChangeNotify2, MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE,
    MIB_UNICASTIPADDRESS_ROW, NotifyIpInterfaceChange, NotifyRouteChange2,
    NotifyUnicastIpAddressChange,
};
use windows_sys::Win32::Networking::WinSock::AF_UNSPEC;
use windows_sys::Win32::System::Threading::SetEvent;

use crate::{Event, Win32Error};

/// Sets an event each time a route, an interface's settings or an address changes, until it is dropped.
///
/// Changes come in bursts: whoever waits should let them settle before looking.
#[derive(Debug)]
pub struct ChangeWatch {
    registrations: Vec<Registration>,
    changed: Event,
}

impl ChangeWatch {
    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// Returns what Windows said.
    pub fn new() -> Result<Self, Win32Error> {
        let mut watch = Self {
            registrations: Vec::with_capacity(3),
            changed: Event::new()?,
        };
        let context = watch.changed.as_handle().as_raw_handle().cast_const();
        let mut handle = ptr::null_mut();

        // SAFETY: the event lives until the registration is given back, which `Drop` does first.
        let status = unsafe {
            NotifyRouteChange2(AF_UNSPEC, Some(on_route), context, false, &raw mut handle)
        };
        watch.keep("NotifyRouteChange2", status, handle)?;
        // SAFETY: as above.
        let status = unsafe {
            NotifyIpInterfaceChange(
                AF_UNSPEC,
                Some(on_interface),
                context,
                false,
                &raw mut handle,
            )
        };
        watch.keep("NotifyIpInterfaceChange", status, handle)?;
        // SAFETY: as above.
        let status = unsafe {
            NotifyUnicastIpAddressChange(
                AF_UNSPEC,
                Some(on_address),
                context,
                false,
                &raw mut handle,
            )
        };
        watch.keep("NotifyUnicastIpAddressChange", status, handle)?;

        Ok(watch)
    }

    fn keep(&mut self, call: &'static str, status: u32, handle: HANDLE) -> Result<(), Win32Error> {
        Win32Error::check(call, status)?;
        self.registrations.push(Registration(handle));

        Ok(())
    }

    /// Returns the event. Whoever has seen it resets it.
    pub fn changed(&self) -> &Event {
        &self.changed
    }
}

impl Drop for ChangeWatch {
    fn drop(&mut self) {
        // Before the event goes: no callback runs once this returns.
        self.registrations.clear();
    }
}

#[derive(Debug)]
struct Registration(HANDLE);

// SAFETY: the handle is a number to us, and Windows lets any thread but a callback's give it back.
unsafe impl Send for Registration {}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the registration is ours and given back once, and this is no callback.
        unsafe { CancelMibChangeNotify2(self.0) };
    }
}

unsafe extern "system" fn on_route(
    context: *const c_void,
    _row: *const MIB_IPFORWARD_ROW2,
    _kind: MIB_NOTIFICATION_TYPE,
) {
    set(context);
}

unsafe extern "system" fn on_interface(
    context: *const c_void,
    _row: *const MIB_IPINTERFACE_ROW,
    _kind: MIB_NOTIFICATION_TYPE,
) {
    set(context);
}

unsafe extern "system" fn on_address(
    context: *const c_void,
    _row: *const MIB_UNICASTIPADDRESS_ROW,
    _kind: MIB_NOTIFICATION_TYPE,
) {
    set(context);
}

/// Runs on a thread of the system.
fn set(context: *const c_void) {
    // SAFETY: the context is the event of a `ChangeWatch` that lives until its registrations are given back.
    unsafe { SetEvent(context.cast_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_starts_and_ends() {
        let watch = ChangeWatch::new().unwrap();
        watch.changed().reset();

        assert!(!watch.changed().is_set());
    }
}
