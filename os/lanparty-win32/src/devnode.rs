//! Devices as the Plug and Play manager sees them.
#![expect(unsafe_code, reason = "cfgmgr32, setupapi")]

use std::ffi::c_void;
use std::ptr;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_PROB_DISABLED, CR_NO_SUCH_DEVNODE, CR_SUCCESS, DI_NEEDREBOOT, DI_NEEDRESTART,
    DICS_FLAG_CONFIGSPECIFIC, DICS_PROPCHANGE, DIF_PROPERTYCHANGE, DN_HAS_PROBLEM,
    GUID_DEVCLASS_NET, HDEVINFO, SP_CLASSINSTALL_HEADER, SP_DEVINFO_DATA, SP_DEVINSTALL_PARAMS_W,
    SP_PROPCHANGE_PARAMS,
};
use windows_sys::core::{BOOL, GUID};

use crate::library::looked_up;
use crate::text::wide;
use crate::{Key, Win32Error};

looked_up!("cfgmgr32.dll" fn CM_Locate_DevNodeW(node: *mut u32, id: *const u16, flags: u32) -> u32);
looked_up!("cfgmgr32.dll" fn CM_Get_DevNode_Status(status: *mut u32, problem: *mut u32, node: u32, flags: u32) -> u32);
looked_up!("setupapi.dll" fn SetupDiCreateDeviceInfoList(class: *const GUID, window: *mut c_void) -> HDEVINFO);
looked_up!("setupapi.dll" fn SetupDiDestroyDeviceInfoList(list: HDEVINFO) -> BOOL);
looked_up!("setupapi.dll" fn SetupDiOpenDeviceInfoW(list: HDEVINFO, id: *const u16, window: *mut c_void, flags: u32, device: *mut SP_DEVINFO_DATA) -> BOOL);
looked_up!("setupapi.dll" fn SetupDiSetClassInstallParamsW(list: HDEVINFO, device: *const SP_DEVINFO_DATA, parameters: *const SP_CLASSINSTALL_HEADER, length: u32) -> BOOL);
looked_up!("setupapi.dll" fn SetupDiCallClassInstaller(function: u32, list: HDEVINFO, device: *const SP_DEVINFO_DATA) -> BOOL);
looked_up!("setupapi.dll" fn SetupDiGetDeviceInstallParamsW(list: HDEVINFO, device: *const SP_DEVINFO_DATA, parameters: *mut SP_DEVINSTALL_PARAMS_W) -> BOOL);

/// `CONFIGFLAG_DISABLED` (regstr.h): the person disabled the device.
const CONFIG_DISABLED: u32 = 0x0000_0001;

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevNode {
    /// It works.
    Works,
    /// Somebody disabled it.
    Disabled,
    /// It has a problem, as the Device Manager numbers them (`cfg.h`): 52 is a driver whose signature is not trusted.
    Problem(u32),
    /// There is no such device: only its traces in the registry are left.
    Absent,
}

impl DevNode {
    /// Asks for the device with this instance id, for example `ROOT\NET\0003`.
    ///
    /// Where the Plug and Play manager does not know, the registry tells whether the device was disabled.
    pub fn of(instance_id: &str) -> Self {
        match ask(instance_id) {
            Ok(answer @ (Self::Disabled | Self::Problem(_) | Self::Absent)) => answer,
            Ok(Self::Works) | Err(_) => remembered(instance_id),
        }
    }
}

fn ask(instance_id: &str) -> Result<DevNode, Win32Error> {
    let id = wide(instance_id);
    let mut node = 0;
    // SAFETY: the id ends with NUL; `node` outlives the call.
    let result = unsafe { CM_Locate_DevNodeW(&raw mut node, id.as_ptr(), 0) }?;
    if result == CR_NO_SUCH_DEVNODE {
        return Ok(DevNode::Absent);
    }
    check("CM_Locate_DevNodeW", result)?;

    let [mut status, mut problem] = [0; 2];
    // SAFETY: `status` and `problem` outlive the call.
    let result = unsafe { CM_Get_DevNode_Status(&raw mut status, &raw mut problem, node, 0) }?;
    check("CM_Get_DevNode_Status", result)?;

    Ok(match (status & DN_HAS_PROBLEM != 0, problem) {
        (false, _) => DevNode::Works,
        (true, CM_PROB_DISABLED) => DevNode::Disabled,
        (true, problem) => DevNode::Problem(problem),
    })
}

fn remembered(instance_id: &str) -> DevNode {
    let path = format!(r"SYSTEM\CurrentControlSet\Enum\{instance_id}");
    let flags = Key::open(&path)
        .ok()
        .and_then(|key| key.number("ConfigFlags"));

    if flags.unwrap_or_default() & CONFIG_DISABLED != 0 {
        DevNode::Disabled
    } else {
        DevNode::Works
    }
}

fn check(call: &'static str, result: u32) -> Result<(), Win32Error> {
    if result == CR_SUCCESS {
        return Ok(());
    }

    // A `CONFIGRET` is no Win32 error; shown as the customer-defined code that `CM_MapCrToWin32Err` would make of an unknown one.
    Err(Win32Error::from_code(call, 0x2000_0000 | result))
}

/// Stops and starts the device with this instance id, so that its driver reads its settings again.
///
/// This is one operation for Windows, unlike disabling and enabling: a crash in the middle leaves no disabled device behind.
/// Returns whether the system has to be restarted before that takes effect.
///
/// # Errors
///
/// Returns what Windows said; `0xE000_0235` from a 32-bit program on a 64-bit system.
pub fn restart_device(instance_id: &str) -> Result<bool, Win32Error> {
    // SAFETY: the class is a constant; no window is given.
    let list = unsafe { SetupDiCreateDeviceInfoList(&GUID_DEVCLASS_NET, ptr::null_mut()) }?;
    if list == -1 {
        return Err(Win32Error::last("SetupDiCreateDeviceInfoList"));
    }
    let result = change_properties(list, instance_id);
    // SAFETY: the list is ours and given back once.
    let _status = unsafe { SetupDiDestroyDeviceInfoList(list) };

    result
}

fn change_properties(list: HDEVINFO, instance_id: &str) -> Result<bool, Win32Error> {
    let id = wide(instance_id);
    let mut device = SP_DEVINFO_DATA {
        cbSize: size::<SP_DEVINFO_DATA>(),
        ..SP_DEVINFO_DATA::default()
    };
    // SAFETY: the list is open; the id ends with NUL; `device` says how long it is.
    let status =
        unsafe { SetupDiOpenDeviceInfoW(list, id.as_ptr(), ptr::null_mut(), 0, &raw mut device) }?;
    succeeded("SetupDiOpenDeviceInfoW", status)?;

    let parameters = SP_PROPCHANGE_PARAMS {
        ClassInstallHeader: SP_CLASSINSTALL_HEADER {
            cbSize: size::<SP_CLASSINSTALL_HEADER>(),
            InstallFunction: DIF_PROPERTYCHANGE,
        },
        StateChange: DICS_PROPCHANGE,
        Scope: DICS_FLAG_CONFIGSPECIFIC,
        HwProfile: 0,
    };
    // SAFETY: the parameters begin with a header that names the function they are for, and have the length given.
    let status = unsafe {
        SetupDiSetClassInstallParamsW(
            list,
            &raw const device,
            (&raw const parameters).cast(),
            size::<SP_PROPCHANGE_PARAMS>(),
        )
    }?;
    succeeded("SetupDiSetClassInstallParamsW", status)?;
    // SAFETY: the list is open and the device in it.
    let status = unsafe { SetupDiCallClassInstaller(DIF_PROPERTYCHANGE, list, &raw const device) }?;
    succeeded("SetupDiCallClassInstaller", status)?;

    let mut install = SP_DEVINSTALL_PARAMS_W {
        cbSize: size::<SP_DEVINSTALL_PARAMS_W>(),
        ..SP_DEVINSTALL_PARAMS_W::default()
    };
    // SAFETY: the list is open and the device in it; `install` says how long it is.
    let status =
        unsafe { SetupDiGetDeviceInstallParamsW(list, &raw const device, &raw mut install) }?;
    succeeded("SetupDiGetDeviceInstallParamsW", status)?;

    Ok(install.Flags & (DI_NEEDREBOOT | DI_NEEDRESTART) != 0)
}

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or_default()
}

fn succeeded(call: &'static str, status: BOOL) -> Result<(), Win32Error> {
    if status == 0 {
        Err(Win32Error::last(call))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_cannot_be_restarted() {
        restart_device(r"ROOT\NET\7777").unwrap_err();
    }
}
