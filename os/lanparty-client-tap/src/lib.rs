//! TAP devices: TAP-Windows6 and /dev/net/tun.
