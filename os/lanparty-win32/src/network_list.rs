//! Whether Windows calls a network private or public (netlistmgr.h).
#![expect(unsafe_code, reason = "COM")]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

use windows_sys::Win32::System::Com::{
    CLSCTX_ALL, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx, CoUninitialize,
};
use windows_sys::core::{GUID, HRESULT};

use crate::{Guid, Win32Error};

/// What a network is to the firewall (`NLM_NETWORK_CATEGORY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Others cannot reach this PC.
    Public,
    /// Others can, as far as the firewall's rules for private networks go.
    Private,
    /// A company's domain. It cannot be chosen.
    Domain,
}

impl Category {
    const fn from_raw(raw: i32) -> Self {
        match raw {
            1 => Self::Private,
            2 => Self::Domain,
            _ => Self::Public,
        }
    }

    const fn to_raw(self) -> i32 {
        match self {
            Self::Public => 0,
            Self::Private => 1,
            Self::Domain => 2,
        }
    }
}

const CLASS: GUID = GUID::from_u128(0xdcb0_0c01_570f_4a9b_8d69_199f_dba5_723b);
const MANAGER: GUID = GUID::from_u128(0xdcb0_0000_570f_4a9b_8d69_199f_dba5_723b);

/// The most connections looked at. A PC has a handful; an enumeration that never ends must not hang us.
const MAX_CONNECTIONS: usize = 256;

/// The Network List Manager. It belongs to the thread that made it.
#[derive(Debug)]
pub struct NetworkList {
    manager: Interface,
    _apartment: Apartment,
}

impl NetworkList {
    /// Connects to the manager.
    ///
    /// # Errors
    ///
    /// Returns what COM said where there is no such service.
    pub fn new() -> Result<Self, Win32Error> {
        let apartment = Apartment::enter()?;
        let mut object = ptr::null_mut();
        // SAFETY: the class and interface are constants; `object` outlives the call.
        let result = unsafe {
            CoCreateInstance(
                &CLASS,
                ptr::null_mut(),
                CLSCTX_ALL,
                &MANAGER,
                &raw mut object,
            )
        };

        Ok(Self {
            manager: Interface::new("CoCreateInstance(NetworkListManager)", result, object)?,
            _apartment: apartment,
        })
    }

    /// Returns the category of the network that `adapter` is connected to. `None` while it is connected to none.
    ///
    /// # Errors
    ///
    /// Returns what the service said.
    pub fn category(&self, adapter: Guid) -> Result<Option<Category>, Win32Error> {
        let Some(network) = self.network_of(adapter)? else {
            return Ok(None);
        };
        let mut raw = 0_i32;
        // SAFETY: place 18 of `INetwork` is `GetCategory`; `raw` outlives the call.
        unsafe { network.get(18, "INetwork::GetCategory", (&raw mut raw).cast()) }?;

        Ok(Some(Category::from_raw(raw)))
    }

    /// Sets the category of the network that `adapter` is connected to. Returns `false` while it is connected to none.
    ///
    /// # Errors
    ///
    /// Returns what the service said, for example that this takes an administrator.
    pub fn set_category(&self, adapter: Guid, category: Category) -> Result<bool, Win32Error> {
        let Some(network) = self.network_of(adapter)? else {
            return Ok(false);
        };
        // SAFETY: place 19 of `INetwork` is `SetCategory`, which takes a number.
        let result = unsafe { network.call_with_number(19, category.to_raw()) };
        succeeded("INetwork::SetCategory", result)?;

        Ok(true)
    }

    fn network_of(&self, adapter: Guid) -> Result<Option<Interface>, Win32Error> {
        // SAFETY: place 9 of `INetworkListManager` is `GetNetworkConnections`, which gives an interface.
        let connections = unsafe { self.manager.object(9, "GetNetworkConnections") }?;

        for _ in 0..MAX_CONNECTIONS {
            let Some(connection) = connections.next()? else {
                return Ok(None);
            };
            let mut raw = GUID::from_u128(0);
            // SAFETY: place 12 of `INetworkConnection` is `GetAdapterId`; `raw` outlives the call.
            unsafe { connection.get(12, "GetAdapterId", (&raw mut raw).cast()) }?;
            if Guid::from_raw(&raw) == adapter {
                // SAFETY: place 7 of `INetworkConnection` is `GetNetwork`, which gives an interface.
                return unsafe { connection.object(7, "GetNetwork") }.map(Some);
            }
        }

        Ok(None)
    }
}

/// A COM interface pointer, released when it is dropped.
#[derive(Debug)]
struct Interface(*mut c_void);

type Method = unsafe extern "system" fn();
type Get = unsafe extern "system" fn(*mut c_void, *mut c_void) -> HRESULT;
type Number = unsafe extern "system" fn(*mut c_void, i32) -> HRESULT;
type Next = unsafe extern "system" fn(*mut c_void, u32, *mut *mut c_void, *mut u32) -> HRESULT;
type Release = unsafe extern "system" fn(*mut c_void) -> u32;

impl Interface {
    fn new(call: &'static str, result: HRESULT, object: *mut c_void) -> Result<Self, Win32Error> {
        succeeded(call, result)?;
        if object.is_null() {
            return Err(Win32Error::Missing { call });
        }

        Ok(Self(object))
    }

    /// # Safety
    ///
    /// The interface must have a method at `place`.
    unsafe fn method(&self, place: usize) -> Method {
        let object: *mut *const Method = self.0.cast();
        // SAFETY: a COM object begins with a pointer to its methods.
        let methods = unsafe { *object };
        // SAFETY: the caller says that there is one at `place`.
        let method = unsafe { methods.add(place) };

        // SAFETY: as above.
        unsafe { *method }
    }

    /// # Safety
    ///
    /// The method at `place` must take one pointer, to what `out` points to.
    unsafe fn get(
        &self,
        place: usize,
        call: &'static str,
        out: *mut c_void,
    ) -> Result<(), Win32Error> {
        // SAFETY: the caller says so.
        let method = unsafe { self.method(place) };
        // SAFETY: the caller says that this is its signature.
        let method = unsafe { std::mem::transmute::<Method, Get>(method) };
        // SAFETY: the caller says that `out` is what the method fills.
        let result = unsafe { method(self.0, out) };

        succeeded(call, result)
    }

    /// # Safety
    ///
    /// The method at `place` must take one number.
    unsafe fn call_with_number(&self, place: usize, number: i32) -> HRESULT {
        // SAFETY: the caller says so.
        let method = unsafe { self.method(place) };
        // SAFETY: the caller says that this is its signature.
        let method = unsafe { std::mem::transmute::<Method, Number>(method) };

        // SAFETY: a number needs nothing.
        unsafe { method(self.0, number) }
    }

    /// # Safety
    ///
    /// The method at `place` must take a pointer to an interface pointer, which it fills.
    unsafe fn object(&self, place: usize, call: &'static str) -> Result<Self, Win32Error> {
        let mut object: *mut c_void = ptr::null_mut();
        // SAFETY: the caller says so; `object` outlives the call.
        unsafe { self.get(place, call, (&raw mut object).cast()) }?;

        Self::new(call, 0, object)
    }

    /// Takes the next element of an enumeration: place 8 in each of this library's enumerations.
    fn next(&self) -> Result<Option<Self>, Win32Error> {
        // SAFETY: this is called for enumerations only.
        let method = unsafe { self.method(8) };
        // SAFETY: this is the signature of `Next`.
        let method = unsafe { std::mem::transmute::<Method, Next>(method) };
        let mut object = ptr::null_mut();
        let mut fetched = 0;
        // SAFETY: there is room for the one element asked for.
        let result = unsafe { method(self.0, 1, &raw mut object, &raw mut fetched) };
        if result != 0 || fetched == 0 {
            return succeeded("IEnumNetworkConnections::Next", result).map(|()| None);
        }

        Self::new("IEnumNetworkConnections::Next", result, object).map(Some)
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        // SAFETY: every COM interface has `Release` at place 2.
        let method = unsafe { self.method(2) };
        // SAFETY: this is the signature of `Release`.
        let release = unsafe { std::mem::transmute::<Method, Release>(method) };
        // SAFETY: the reference is ours and given back once.
        unsafe { release(self.0) };
    }
}

/// COM on this thread.
#[derive(Debug)]
struct Apartment(PhantomData<Rc<()>>);

impl Apartment {
    fn enter() -> Result<Self, Win32Error> {
        // SAFETY: the reserved pointer is null. Every success is paired with a `CoUninitialize`.
        let result = unsafe { CoInitializeEx(ptr::null(), COINIT_MULTITHREADED.cast_unsigned()) };
        succeeded("CoInitializeEx", result)?;

        Ok(Self(PhantomData))
    }
}

impl Drop for Apartment {
    fn drop(&mut self) {
        // SAFETY: this is the pair of a successful `CoInitializeEx` on this thread.
        unsafe { CoUninitialize() };
    }
}

fn succeeded(call: &'static str, result: HRESULT) -> Result<(), Win32Error> {
    if result < 0 {
        return Err(Win32Error::from_code(call, result.cast_unsigned()));
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_that_is_not_there_is_in_no_network() {
        let list = NetworkList::new().unwrap();

        assert_eq!(list.category(Guid(0xdead)).unwrap(), None);
        assert!(!list.set_category(Guid(0xdead), Category::Private).unwrap());
    }
}
