//! Makes an adapter ready: the cable out, and the tunnel MAC as its address.

use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lanparty_proto::MacAddr;
use lanparty_win32::{Key, Value, Win32Error, restart_device, system_directory};

use super::adapter::Adapter;
use super::driver::{Driver, DriverVersion, MIN_DRIVER};

/// How long an adapter may take to come back after its restart. Windows needs a second or two; with filter drivers of virus scanners
/// up to ten were seen.
const RESTART_PATIENCE: Duration = Duration::from_secs(20);
/// How often an adapter that restarts is asked.
const RESTART_INTERVAL: Duration = Duration::from_millis(100);
/// `ERROR_FILE_NOT_FOUND`: the driver has made no device.
const NOT_THERE: u32 = 2;
/// `ERROR_ACCESS_DENIED`.
const ACCESS_DENIED: u32 = 5;
/// `ERROR_GEN_FAILURE`: what `STATUS_UNSUCCESSFUL` becomes, with which the driver refuses a second opener.
const IN_USE: u32 = 31;
/// `ERROR_SUCCESS_REBOOT_REQUIRED`.
const RESTART_NEEDED: i32 = 3010;

/// Why an adapter cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// It is listed, but its driver does not answer to its name.
    #[error(
        "the TAP adapter \"{0}\" is not there any more; look whether it is enabled under \"Network Connections\" (ncpa.cpl)"
    )]
    Gone(String),
    /// Another program has it.
    #[error(
        "the TAP adapter \"{0}\" is in use by another program; close that, for example OpenVPN"
    )]
    InUse(String),
    /// It takes more rights.
    #[error(
        "no access to the TAP adapter \"{0}\"; start the program with \"Run as administrator\""
    )]
    NotAdministrator(String),
    /// The driver is too old.
    #[error(
        "the driver of the TAP adapter \"{name}\" is {found}, which has errors that break LAN games; install {MIN_DRIVER} or later"
    )]
    TooOld {
        /// The adapter.
        name: String,
        /// Its driver.
        found: DriverVersion,
    },
    /// The adapter has another address after its restart.
    #[error(
        "the TAP adapter \"{name}\" has the MAC address {found} and did not take {wanted}; restart the PC, or look under \
         \"Configure\", \"Advanced\", \"MAC Address\" of the adapter"
    )]
    WrongMac {
        /// The adapter.
        name: String,
        /// The tunnel MAC.
        wanted: MacAddr,
        /// What it has.
        found: MacAddr,
    },
    /// It did not come back.
    #[error("the TAP adapter \"{0}\" did not come back after its restart; restart the PC")]
    NotBack(String),
    /// It could not be restarted.
    #[error("failed to restart the TAP adapter \"{name}\"")]
    Restart {
        /// The adapter.
        name: String,
        /// What Windows said.
        #[source]
        source: io::Error,
    },
    /// Another call failed.
    #[error("failed to {what} the TAP adapter \"{name}\"")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// The adapter.
        name: String,
        /// What Windows said.
        #[source]
        source: Win32Error,
    },
}

/// Opens the adapter alone. Whoever has it, and a driver that is not right, are told in a sentence.
pub(crate) fn open(adapter: &Adapter) -> Result<Driver, AdapterError> {
    let driver = Driver::open(adapter.id.0).map_err(|error| refusal(adapter, "open", error))?;
    // Where a driver lets a second opener in at first (Wine), it refuses here.
    let found = driver
        .version()
        .map_err(|error| refusal(adapter, "ask for the driver's version of", error))?;
    if found < MIN_DRIVER {
        return Err(AdapterError::TooOld {
            name: adapter.name.clone(),
            found,
        });
    }

    Ok(driver)
}

pub(crate) fn refusal(adapter: &Adapter, what: &'static str, error: Win32Error) -> AdapterError {
    let name = adapter.name.clone();
    match error.code() {
        Some(NOT_THERE) => AdapterError::Gone(name),
        Some(ACCESS_DENIED) => AdapterError::NotAdministrator(name),
        Some(IN_USE) => AdapterError::InUse(name),
        _ => AdapterError::Failed {
            what,
            name,
            source: error,
        },
    }
}

/// Pulls the cable, which clears what a run that crashed left behind, and makes `mac` the adapter's address.
///
/// The address is a setting of the driver, which reads it when it starts: it is written, and the device restarted, only if the adapter
/// has another one now. Returns whether it had.
///
/// # Errors
///
/// Returns an error that says what to do if the adapter cannot be opened or does not take the address.
pub fn prepare(adapter: &Adapter, mac: MacAddr) -> Result<bool, AdapterError> {
    let driver = open(adapter)?;
    driver
        .set_media(false)
        .map_err(|error| refusal(adapter, "pull the cable of", error))?;
    if mac_of(adapter, &driver)? == mac {
        return Ok(false);
    }
    write_mac(adapter, mac).map_err(|error| refusal(adapter, "write the MAC address of", error))?;
    // The driver cannot stop while it is open.
    drop(driver);
    restart(adapter)?;

    let found = mac_of(adapter, &reopen(adapter)?)?;
    if found != mac {
        return Err(AdapterError::WrongMac {
            name: adapter.name.clone(),
            wanted: mac,
            found,
        });
    }

    Ok(true)
}

/// Looks at an adapter without changing it: its driver's version and its address.
///
/// # Errors
///
/// Returns an error that says what to do if the adapter cannot be used.
pub fn look(adapter: &Adapter) -> Result<(DriverVersion, MacAddr), AdapterError> {
    let driver = open(adapter)?;
    let version = driver
        .version()
        .map_err(|error| refusal(adapter, "ask for the driver's version of", error))?;

    Ok((version, mac_of(adapter, &driver)?))
}

fn mac_of(adapter: &Adapter, driver: &Driver) -> Result<MacAddr, AdapterError> {
    driver
        .mac()
        .map_err(|error| refusal(adapter, "read the MAC address of", error))
}

/// Twelve digits without colons, and under the name that drivers before 9.24.5 read as well.
fn write_mac(adapter: &Adapter, mac: MacAddr) -> Result<(), Win32Error> {
    let digits = mac.to_string().replace(':', "").to_uppercase();
    let key = Key::open_to_write(&adapter.key)?;
    key.set("NetworkAddress", Value::Text(&digits))?;

    key.set("MAC", Value::Text(&digits))
}

/// Stops and starts the device by Windows' own tool, or by its library where the tool does not.
#[expect(
    clippy::disallowed_methods,
    reason = "the tool's restart is one operation, which the library has for no program but it"
)]
fn restart(adapter: &Adapter) -> Result<(), AdapterError> {
    let tool = Command::new(system_directory().join("pnputil.exe"))
        .args(["/restart-device", &adapter.instance_id])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if tool.is_ok_and(|status| matches!(status.code(), Some(0 | RESTART_NEEDED))) {
        return Ok(());
    }

    restart_device(&adapter.instance_id)
        .map(|_restart_needed| ())
        .map_err(|error| AdapterError::Restart {
            name: adapter.name.clone(),
            source: io::Error::other(error),
        })
}

/// Opens the adapter as soon as it is back.
fn reopen(adapter: &Adapter) -> Result<Driver, AdapterError> {
    let end = Instant::now() + RESTART_PATIENCE;
    loop {
        match open(adapter) {
            // Before the driver is up there is no device, and just before that one which fails.
            Err(AdapterError::Gone(_) | AdapterError::InUse(_) | AdapterError::Failed { .. })
                if Instant::now() < end =>
            {
                thread::sleep(RESTART_INTERVAL);
            }
            Err(AdapterError::Gone(name)) => return Err(AdapterError::NotBack(name)),
            result => return result,
        }
    }
}
