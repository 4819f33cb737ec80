//! Safe wrappers over the Win32 calls we use; no policy.
//!
//! Every call is named in its error. Calls that some systems lack (older Windows, Wine) are looked up when they are first used, and
//! their absence is an `Win32Error::Missing` to report: a missing import would end the process instead.
//!
//! On other systems than Windows this crate is empty.
#![cfg(windows)]

mod console;
mod device;
mod devnode;
mod error;
mod event;
mod guid;
mod library;
mod mutex;
pub mod net;
mod network_list;
mod overlapped;
mod power;
mod process;
mod registry;
mod session_end;
mod text;
mod timer;
mod winsock;

pub use console::on_console_stop;
pub use device::Device;
pub use devnode::{DevNode, restart_device};
pub use error::Win32Error;
pub use event::{Event, MAX_WAIT, wait_any};
pub use guid::{Guid, ParseGuidError};
pub use mutex::{NamedMutex, claim};
pub use network_list::{Category, NetworkList};
pub use overlapped::{BUFFER_LEN, Request};
pub use power::ResumeWatch;
pub use process::{is_elevated, is_wine, system_directory};
pub use registry::{Key, Value};
pub use session_end::SessionWatch;
pub use timer::{PreciseTimer, raise_thread_priority};
pub use winsock::{Family, SocketsEvent, ignore_port_unreachable, set_unicast_interface};
