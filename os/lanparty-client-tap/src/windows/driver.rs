//! Requests to the TAP-Windows6 driver (tap-windows.h, device.c of OpenVPN/tap-windows6).

use std::fmt;

use lanparty_proto::MacAddr;
use lanparty_win32::{Device, Guid, Win32Error};

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, number, METHOD_BUFFERED, FILE_ANY_ACCESS)`.
const fn request(number: u32) -> u32 {
    0x22 << 16 | number << 2
}

const GET_MAC: u32 = request(1);
const GET_VERSION: u32 = request(2);
const GET_MTU: u32 = request(3);
const SET_MEDIA_STATUS: u32 = request(6);

/// The oldest driver that is right: before, frames under 34 bytes were lost (9.25), and 9.24.7 to 9.25 could crash ARM64 systems.
pub const MIN_DRIVER: DriverVersion = DriverVersion {
    major: 9,
    minor: 26,
};

/// The driver's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriverVersion {
    /// 9 in every TAP-Windows6.
    pub major: u32,
    /// The release.
    pub minor: u32,
}

impl fmt::Display for DriverVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// An open adapter. While it is open nobody else can open it; closing it pulls the cable.
#[derive(Debug)]
pub(crate) struct Driver(Device);

impl Driver {
    pub(crate) fn open(adapter: Guid) -> Result<Self, Win32Error> {
        Device::open(&format!(r"\\.\Global\{adapter}.tap")).map(Self)
    }

    pub(crate) const fn device(&self) -> &Device {
        &self.0
    }

    /// The address that Windows uses now.
    pub(crate) fn mac(&self) -> Result<MacAddr, Win32Error> {
        let mut bytes = [0; 6];
        self.0.control(GET_MAC, &[], &mut bytes)?;

        Ok(MacAddr(bytes))
    }

    pub(crate) fn version(&self) -> Result<DriverVersion, Win32Error> {
        let mut bytes = [0; 12];
        self.0.control(GET_VERSION, &[], &mut bytes)?;
        // Three numbers: major, minor, and whether it is a debug build.
        let (numbers, _none) = bytes.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|number| u32::from_ne_bytes(*number));

        Ok(DriverVersion {
            major: numbers.next().unwrap_or_default(),
            minor: numbers.next().unwrap_or_default(),
        })
    }

    /// The driver's own MTU, which bounds what it takes from Windows. It is not the IP MTU.
    pub(crate) fn mtu(&self) -> Result<u32, Win32Error> {
        let mut bytes = [0; 4];
        self.0.control(GET_MTU, &[], &mut bytes)?;

        Ok(u32::from_ne_bytes(bytes))
    }

    /// Plugs the cable in or pulls it.
    pub(crate) fn set_media(&self, connected: bool) -> Result<(), Win32Error> {
        let number = u32::from(connected).to_ne_bytes();
        let mut answer = number;

        self.0
            .control(SET_MEDIA_STATUS, &number, &mut answer)
            .map(|_filled| ())
    }
}
