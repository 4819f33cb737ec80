//! Routes, interfaces and addresses (netioapi.h).
//!
//! Interfaces are named by their LUID: their index changes when an adapter is disabled and enabled again.

mod address;
mod interface;
mod notify;
mod route;
mod sockaddr;

pub use address::{Address, addresses};
pub use interface::{
    IpInterface, RouterDiscovery, alias_of, index_of, ip_interface, is_up, luid_of,
    set_ip_interface,
};
pub use notify::ChangeWatch;
pub use route::{Route, create_route, delete_route, routes};
