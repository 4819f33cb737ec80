//! Interfaces, and their settings for IPv4 and IPv6.
#![expect(unsafe_code, reason = "netioapi.h")]

use std::mem::MaybeUninit;

use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_INVALID_PARAMETER, ERROR_NOT_FOUND,
};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    ConvertInterfaceGuidToLuid, ConvertInterfaceLuidToAlias, ConvertInterfaceLuidToIndex,
    GetIfEntry2, MIB_IF_ROW2, MIB_IPINTERFACE_ROW,
};
use windows_sys::Win32::NetworkManagement::Ndis::{IfOperStatusUp, NET_LUID_LH};
use windows_sys::Win32::Networking::WinSock::{
    RouterDiscoveryDhcp as DHCP, RouterDiscoveryDisabled as DISABLED,
    RouterDiscoveryEnabled as ENABLED,
};

use super::sockaddr::family_number;
use crate::library::looked_up;
use crate::text::narrow;
use crate::{Family, Guid, Win32Error};

looked_up!("iphlpapi.dll" fn GetIpInterfaceEntry(row: *mut MIB_IPINTERFACE_ROW) -> u32);
looked_up!("iphlpapi.dll" fn SetIpInterfaceEntry(row: *mut MIB_IPINTERFACE_ROW) -> u32);

/// UTF-16 units of an interface's name with its NUL (`NDIS_IF_MAX_STRING_SIZE`, ifdef.h).
const ALIAS_UNITS: usize = 257;

/// Whether routers on the link may say where packets go (`NL_ROUTER_DISCOVERY_BEHAVIOR`, nldef.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterDiscovery {
    /// They may not.
    Disabled,
    /// They may.
    Enabled,
    /// They may if DHCP says so; IPv4's default.
    Dhcp,
}

/// What an interface does for one family: the part of `MIB_IPINTERFACE_ROW` that we know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpInterface {
    /// The IP MTU.
    pub mtu: u32,
    /// Whether Windows chooses the metric by link speed.
    pub automatic_metric: bool,
    /// Added to each route's metric.
    pub metric: u32,
    /// Whether default routes by this interface are ignored.
    pub default_routes_disabled: bool,
    /// Whether routers on the link are listened to.
    pub router_discovery: RouterDiscovery,
    /// Whether the interface is connected. Read only.
    pub connected: bool,
}

/// Returns the settings of an interface for a family. `None` where the interface has none: the family is not bound to the adapter,
/// or not yet.
///
/// # Errors
///
/// Returns what Windows said.
pub fn ip_interface(luid: u64, family: Family) -> Result<Option<IpInterface>, Win32Error> {
    let Some(row) = read(luid, family)? else {
        return Ok(None);
    };

    Ok(Some(IpInterface {
        mtu: row.NlMtu,
        automatic_metric: row.UseAutomaticMetric,
        metric: row.Metric,
        default_routes_disabled: row.DisableDefaultRoutes,
        router_discovery: match row.RouterDiscoveryBehavior {
            DISABLED => RouterDiscovery::Disabled,
            DHCP => RouterDiscovery::Dhcp,
            _ => RouterDiscovery::Enabled,
        },
        connected: row.Connected,
    }))
}

/// Changes the settings of an interface for a family. Returns `false` where the interface has none.
///
/// # Errors
///
/// Returns error 5 without an administrator's rights and 87 for values that Windows does not take.
pub fn set_ip_interface(
    luid: u64,
    family: Family,
    wanted: &IpInterface,
) -> Result<bool, Win32Error> {
    let Some(mut row) = read(luid, family)? else {
        return Ok(false);
    };
    row.NlMtu = wanted.mtu;
    row.UseAutomaticMetric = wanted.automatic_metric;
    row.Metric = wanted.metric;
    row.DisableDefaultRoutes = wanted.default_routes_disabled;
    row.RouterDiscoveryBehavior = match wanted.router_discovery {
        RouterDiscovery::Disabled => DISABLED,
        RouterDiscovery::Enabled => ENABLED,
        RouterDiscovery::Dhcp => DHCP,
    };
    // What `GetIpInterfaceEntry` fills in here is refused by `SetIpInterfaceEntry` ("For an IPv4 address, set to zero").
    row.SitePrefixLength = match family {
        Family::V4 => 0,
        Family::V6 => row.SitePrefixLength.min(128),
    };
    // SAFETY: the row is one that the system filled, and outlives the call.
    let status = unsafe { SetIpInterfaceEntry(&raw mut row) }?;
    if status == ERROR_NOT_FOUND {
        return Ok(false);
    }
    Win32Error::check("SetIpInterfaceEntry", status)?;

    Ok(true)
}

fn read(luid: u64, family: Family) -> Result<Option<MIB_IPINTERFACE_ROW>, Win32Error> {
    let mut row = MaybeUninit::<MIB_IPINTERFACE_ROW>::zeroed();
    let raw = row.as_mut_ptr();
    // SAFETY: the row is zeroed memory of the right length; no reference is made.
    unsafe { (*raw).Family = family_number(family) };
    // SAFETY: as above.
    unsafe { (*raw).InterfaceLuid = NET_LUID_LH { Value: luid } };
    // SAFETY: the row names a family and an interface, and outlives the call.
    let status = unsafe { GetIpInterfaceEntry(raw) }?;
    if matches!(status, ERROR_NOT_FOUND | ERROR_FILE_NOT_FOUND) {
        return Ok(None);
    }
    Win32Error::check("GetIpInterfaceEntry", status)?;

    // SAFETY: every field is zero or what the system put there: numbers, and TRUE or FALSE.
    Ok(Some(unsafe { row.assume_init() }))
}

/// Returns the LUID of the interface of an adapter. `None` while it has none: the adapter is disabled, or its driver just starting.
///
/// # Errors
///
/// Returns what Windows said.
pub fn luid_of(adapter: Guid) -> Result<Option<u64>, Win32Error> {
    let guid = adapter.to_raw();
    let mut luid = NET_LUID_LH::default();
    // SAFETY: both outlive the call.
    let status = unsafe { ConvertInterfaceGuidToLuid(&raw const guid, &raw mut luid) };
    if matches!(
        status,
        ERROR_INVALID_PARAMETER | ERROR_FILE_NOT_FOUND | ERROR_NOT_FOUND
    ) {
        return Ok(None);
    }
    Win32Error::check("ConvertInterfaceGuidToLuid", status)?;

    // SAFETY: both variants of the union are the same eight bytes.
    Ok(Some(unsafe { luid.Value }))
}

/// Returns the index of an interface at this moment.
///
/// # Errors
///
/// Returns error 87 for an interface that is not there.
pub fn index_of(luid: u64) -> Result<u32, Win32Error> {
    let luid = NET_LUID_LH { Value: luid };
    let mut index = 0;
    // SAFETY: both outlive the call.
    let status = unsafe { ConvertInterfaceLuidToIndex(&raw const luid, &raw mut index) };
    Win32Error::check("ConvertInterfaceLuidToIndex", status)?;

    Ok(index)
}

/// Returns the name that people see, for example `Ethernet 2`.
///
/// # Errors
///
/// Returns error 87 for an interface that is not there.
pub fn alias_of(luid: u64) -> Result<String, Win32Error> {
    let luid = NET_LUID_LH { Value: luid };
    let mut alias = [0; ALIAS_UNITS];
    // SAFETY: both outlive the call; `alias` has as many units as is said.
    let status =
        unsafe { ConvertInterfaceLuidToAlias(&raw const luid, alias.as_mut_ptr(), alias.len()) };
    Win32Error::check("ConvertInterfaceLuidToAlias", status)?;

    Ok(narrow(&alias))
}

/// Returns whether packets can pass an interface now.
///
/// # Errors
///
/// Returns error 2 for an interface that is not there.
pub fn is_up(luid: u64) -> Result<bool, Win32Error> {
    let mut row = Box::new(MIB_IF_ROW2 {
        InterfaceLuid: NET_LUID_LH { Value: luid },
        ..MIB_IF_ROW2::default()
    });
    // SAFETY: the row names an interface and outlives the call.
    let status = unsafe { GetIfEntry2(&raw mut *row) };
    Win32Error::check("GetIfEntry2", status)?;

    Ok(row.OperStatus == IfOperStatusUp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_has_no_name() {
        assert_eq!(luid_of(Guid(0xdead)).unwrap(), None);
        index_of(0xdead_beef).unwrap_err();
        alias_of(0xdead_beef).unwrap_err();
    }

    #[test]
    fn an_interface_of_a_route_has_an_index_and_a_name() {
        for route in super::super::routes().unwrap() {
            assert_ne!(index_of(route.interface).unwrap(), 0);
            assert!(!alias_of(route.interface).unwrap().is_empty());
        }
    }
}
