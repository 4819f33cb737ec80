//! The route table.
#![expect(unsafe_code, reason = "netioapi.h")]

use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::{ptr, slice};

use windows_sys::Win32::Foundation::{ERROR_NOT_FOUND, ERROR_NOT_SUPPORTED};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GetIpForwardTable2, IP_ADDRESS_PREFIX, MIB_IPFORWARD_ROW2, MIB_IPFORWARD_TABLE2,
};
use windows_sys::Win32::NetworkManagement::Ndis::NET_LUID_LH;

use super::sockaddr::{family_number, from_raw, to_raw};
use crate::library::looked_up;
use crate::{Family, Win32Error};

looked_up!("iphlpapi.dll" fn InitializeIpForwardEntry(row: *mut MIB_IPFORWARD_ROW2) -> ());
looked_up!("iphlpapi.dll" fn CreateIpForwardEntry2(row: *const MIB_IPFORWARD_ROW2) -> u32);
looked_up!("iphlpapi.dll" fn DeleteIpForwardEntry2(row: *const MIB_IPFORWARD_ROW2) -> u32);

/// A route. Destination, next hop and interface tell one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network's address.
    pub destination: IpAddr,
    /// Bits of the network's prefix.
    pub prefix_len: u8,
    /// Who passes the packets on; unspecified where the destination is on the link.
    pub next_hop: IpAddr,
    /// The interface's LUID.
    pub interface: u64,
    /// Added to the interface's metric: the smallest sum wins.
    pub metric: u32,
}

/// Returns every route. A family that this system does not know has none.
///
/// # Errors
///
/// Returns an error if the system is out of memory.
pub fn routes() -> Result<Vec<Route>, Win32Error> {
    let mut all = Vec::new();
    for family in [Family::V4, Family::V6] {
        collect(family, &mut all)?;
    }

    Ok(all)
}

fn collect(family: Family, all: &mut Vec<Route>) -> Result<(), Win32Error> {
    let mut table: *mut MIB_IPFORWARD_TABLE2 = ptr::null_mut();
    // SAFETY: `table` outlives the call and is freed below.
    let status = unsafe { GetIpForwardTable2(family_number(family), &raw mut table) };
    if matches!(status, ERROR_NOT_FOUND | ERROR_NOT_SUPPORTED) {
        return Ok(());
    }
    Win32Error::check("GetIpForwardTable2", status)?;

    // SAFETY: the call succeeded, so that the table is there.
    let count = unsafe { (*table).NumEntries };
    // SAFETY: as above.
    let first = unsafe { &raw const (*table).Table }.cast::<MIB_IPFORWARD_ROW2>();
    // SAFETY: the table has `count` rows one after another, and nobody changes it.
    let rows = unsafe { slice::from_raw_parts(first, usize::try_from(count).unwrap_or_default()) };
    all.extend(rows.iter().map(|row| Route {
        destination: from_raw(&row.DestinationPrefix.Prefix),
        prefix_len: row.DestinationPrefix.PrefixLength,
        next_hop: from_raw(&row.NextHop),
        // SAFETY: both variants of the union are the same eight bytes.
        interface: unsafe { row.InterfaceLuid.Value },
        metric: row.Metric,
    }));
    // SAFETY: the table came from the system and is freed once.
    unsafe { FreeMibTable(table.cast_const().cast()) };

    Ok(())
}

/// Adds a route. It is gone after a restart of the system, not after one of the program.
///
/// # Errors
///
/// Returns error 5010 if there is one with the same destination, next hop and interface, 5 without an administrator's rights, 1168
/// for an interface that is not there.
pub fn create_route(route: &Route) -> Result<(), Win32Error> {
    let row = raw_row(route)?;
    // SAFETY: the row was initialised by the system and outlives the call.
    let status = unsafe { CreateIpForwardEntry2(&raw const row) }?;

    Win32Error::check("CreateIpForwardEntry2", status)
}

/// Removes a route.
///
/// # Errors
///
/// Returns error 1168 if there is none with this destination, next hop and interface, and 5 without an administrator's rights.
pub fn delete_route(route: &Route) -> Result<(), Win32Error> {
    let row = raw_row(route)?;
    // SAFETY: the row was initialised by the system and outlives the call.
    let status = unsafe { DeleteIpForwardEntry2(&raw const row) }?;

    Win32Error::check("DeleteIpForwardEntry2", status)
}

fn raw_row(route: &Route) -> Result<MIB_IPFORWARD_ROW2, Win32Error> {
    let mut row = MaybeUninit::<MIB_IPFORWARD_ROW2>::zeroed();
    // SAFETY: the row is as long as the system expects, and outlives the call.
    unsafe { InitializeIpForwardEntry(row.as_mut_ptr()) }?;
    // SAFETY: every field is zero or what the system put there: numbers, and TRUE or FALSE.
    let mut row = unsafe { row.assume_init() };
    row.InterfaceLuid = NET_LUID_LH {
        Value: route.interface,
    };
    row.DestinationPrefix = IP_ADDRESS_PREFIX {
        Prefix: to_raw(route.destination),
        PrefixLength: route.prefix_len,
    };
    row.NextHop = to_raw(route.next_hop);
    row.Metric = route.metric;

    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_table_can_be_read() {
        let routes = routes().unwrap();

        assert!(routes.iter().all(|route| route.interface != 0));
    }
}
