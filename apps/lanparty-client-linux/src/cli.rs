//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are what --help prints")]

use std::path::PathBuf;

use lanparty_driver::{JoinArgs, KeepArgs, identity_mac};
use lanparty_program::LogArgs;
use lanparty_proto::MacAddr;

/// Joins a LAN party from far away: gives this PC an Ethernet interface on the party's LAN.
///
/// It needs the right to make network interfaces (root, or CAP_NET_ADMIN). While it runs, broadcasts and multicasts of games go to the
/// party; everything else keeps its way. When it ends, by Ctrl-C or otherwise, the interface is gone and all is as before.
#[derive(clap::Parser, Debug)]
#[command(name = "lanparty-client-linux", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) join: JoinArgs,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,

    /// The name of the network interface to make
    #[arg(
        long,
        env = "SOFTLAN_TAP_NAME",
        value_name = "NAME",
        default_value = "lanparty0",
        value_parser = interface_name
    )]
    pub(crate) tap_name: String,

    /// Use this MAC address instead of the one kept in the identity file; locally administered, like 02:1a:2b:3c:4d:5e
    #[arg(long, env = "SOFTLAN_VIRTUAL_MAC", value_name = "MAC", value_parser = identity_mac)]
    pub(crate) virtual_mac: Option<MacAddr>,

    /// Where this PC's identity is kept [default: lanparty-client-identity.json in the state directory]
    #[arg(long, env = "SOFTLAN_IDENTITY_FILE", value_name = "FILE")]
    pub(crate) identity_file: Option<PathBuf>,

    /// Start a DHCP client on the interface once the room is joined, instead of leaving that to the system
    #[arg(long, env = "SOFTLAN_DHCP", value_name = "PROGRAM", num_args = 0..=1, default_missing_value = "auto",
          value_parser = ["auto", "dhcpcd", "dhclient", "udhcpc"])]
    pub(crate) dhcp: Option<String>,

    /// Do without the kernel's offloads on the interface: slower, for finding out whether they are to blame
    #[arg(long, env = "SOFTLAN_NO_OFFLOAD")]
    pub(crate) no_offload: bool,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Takes what the kernel takes as a new interface's name (`dev_valid_name`, net/core/dev.c; IFNAMSIZ is 16 with the final zero).
fn interface_name(text: &str) -> Result<String, String> {
    let is_name = (1..=15).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%'));

    if is_name {
        Ok(text.to_owned())
    } else {
        Err("an interface has a name of 1 to 15 characters, without blanks, /, : and %".to_owned())
    }
}
