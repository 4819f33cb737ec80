//! This system's own addresses.
#![expect(unsafe_code, reason = "netioapi.h")]

use std::net::IpAddr;
use std::{ptr, slice};

use windows_sys::Win32::Foundation::{ERROR_NOT_FOUND, ERROR_NOT_SUPPORTED};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    FreeMibTable, GetUnicastIpAddressTable, MIB_UNICASTIPADDRESS_ROW, MIB_UNICASTIPADDRESS_TABLE,
};
use windows_sys::Win32::Networking::WinSock::IpDadStatePreferred;

use super::sockaddr::{family_number, from_raw};
use crate::{Family, Win32Error};

/// An address of this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of the prefix that is on the link.
    pub prefix_len: u8,
    /// The LUID of the interface that has it.
    pub interface: u64,
    /// Whether nobody else on the link has it, as far as duplicate address detection can tell.
    pub preferred: bool,
}

/// Returns every unicast address. A family that this system does not know has none.
///
/// # Errors
///
/// Returns an error if the system is out of memory.
pub fn addresses() -> Result<Vec<Address>, Win32Error> {
    let mut all = Vec::new();
    for family in [Family::V4, Family::V6] {
        collect(family, &mut all)?;
    }

    Ok(all)
}

fn collect(family: Family, all: &mut Vec<Address>) -> Result<(), Win32Error> {
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = ptr::null_mut();
    // SAFETY: `table` outlives the call and is freed below.
    let status = unsafe { GetUnicastIpAddressTable(family_number(family), &raw mut table) };
    if matches!(status, ERROR_NOT_FOUND | ERROR_NOT_SUPPORTED) {
        return Ok(());
    }
    Win32Error::check("GetUnicastIpAddressTable", status)?;

    // SAFETY: the call succeeded, so that the table is there.
    let count = unsafe { (*table).NumEntries };
    // SAFETY: as above.
    let first = unsafe { &raw const (*table).Table }.cast::<MIB_UNICASTIPADDRESS_ROW>();
    // SAFETY: the table has `count` rows one after another, and nobody changes it.
    let rows = unsafe { slice::from_raw_parts(first, usize::try_from(count).unwrap_or_default()) };
    all.extend(rows.iter().map(|row| Address {
        ip: from_raw(&row.Address),
        prefix_len: row.OnLinkPrefixLength,
        // SAFETY: both variants of the union are the same eight bytes.
        interface: unsafe { row.InterfaceLuid.Value },
        preferred: row.DadState == IpDadStatePreferred,
    }));
    // SAFETY: the table came from the system and is freed once.
    unsafe { FreeMibTable(table.cast_const().cast()) };

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_is_ours() {
        let addresses = addresses().unwrap();

        assert!(addresses.iter().any(|own| own.ip.is_loopback()));
    }
}
