//! Waking up.
#![expect(unsafe_code, reason = "PowerRegisterSuspendResumeNotification")]

use std::ffi::c_void;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _};
use std::ptr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Power::DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS;
use windows_sys::Win32::System::Threading::SetEvent;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    DEVICE_NOTIFY_CALLBACK, PBT_APMRESUMEAUTOMATIC, PBT_APMRESUMESUSPEND,
};

use crate::library::looked_up;
use crate::{Event, Win32Error};

looked_up!("powrprof.dll" fn PowerRegisterSuspendResumeNotification(
    flags: u32,
    recipient: *const c_void,
    registration: *mut *mut c_void,
) -> u32);
looked_up!("powrprof.dll" fn PowerUnregisterSuspendResumeNotification(registration: *mut c_void) -> u32);

/// Sets an event each time the system wakes up, until it is dropped.
#[derive(Debug)]
pub struct ResumeWatch {
    registration: *mut c_void,
    woke: Event,
    /// Windows keeps a pointer to it.
    _parameters: Box<Parameters>,
}

struct Parameters(DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS);

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameters").finish_non_exhaustive()
    }
}

// SAFETY: the registration is a number to us, and Windows lets any thread give it back.
unsafe impl Send for ResumeWatch {}

impl ResumeWatch {
    /// Starts to watch.
    ///
    /// # Errors
    ///
    /// Returns [`Win32Error::Missing`] before Windows 8, and what Windows said otherwise.
    pub fn new() -> Result<Self, Win32Error> {
        let woke = Event::new()?;
        let mut parameters = Box::new(Parameters(DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS {
            Callback: Some(on_power),
            Context: woke.as_handle().as_raw_handle(),
        }));
        let mut registration = ptr::null_mut();
        // SAFETY: `parameters` and the event in it live as long as the registration, which `Drop` gives back first.
        let status = unsafe {
            PowerRegisterSuspendResumeNotification(
                DEVICE_NOTIFY_CALLBACK,
                (&raw mut parameters.0).cast(),
                &raw mut registration,
            )
        }?;
        Win32Error::check("PowerRegisterSuspendResumeNotification", status)?;

        Ok(Self {
            registration,
            woke,
            _parameters: parameters,
        })
    }

    /// Returns the event. Whoever has seen it resets it.
    pub fn woke(&self) -> &Event {
        &self.woke
    }
}

impl Drop for ResumeWatch {
    fn drop(&mut self) {
        // SAFETY: the registration is ours and given back once.
        let _status = unsafe { PowerUnregisterSuspendResumeNotification(self.registration) };
    }
}

/// Runs on a thread of the system: it only sets the event.
unsafe extern "system" fn on_power(
    context: *const c_void,
    kind: u32,
    _setting: *const c_void,
) -> u32 {
    if matches!(kind, PBT_APMRESUMEAUTOMATIC | PBT_APMRESUMESUSPEND) {
        let event: HANDLE = context.cast_mut();
        // SAFETY: the context is the event of a `ResumeWatch` that lives until its registration is given back.
        unsafe { SetEvent(event) };
    }

    0
}
