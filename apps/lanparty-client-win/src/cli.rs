//! The command line.

use std::path::PathBuf;

use lanparty_client_tap::AdapterId;
use lanparty_driver::{JoinArgs, KeepArgs, identity_mac};
use lanparty_net::RelayAddress;
use lanparty_program::LogArgs;
use lanparty_proto::MacAddr;

/// Joins a LAN party from far away: gives this PC a place on the party's LAN, through a TAP-Windows6 adapter.
///
/// It needs an administrator's rights, and the TAP-Windows6 driver 9.26 or later. While it runs, broadcasts and multicasts of games go
/// to the party; everything else keeps its way. When it ends, by Ctrl-C, by closing the window or otherwise, all is as before; what a
/// crash leaves behind is put right at the next start.
#[derive(clap::Parser, Debug)]
#[command(
    name = "lanparty-client-win",
    version,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Action>,

    #[command(flatten)]
    pub(crate) join: Option<JoinArgs>,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,

    /// Use this TAP adapter; needed if there are several
    #[arg(long, env = "SOFTLAN_TAP_INSTANCE_ID", value_name = "GUID")]
    pub(crate) tap_instance_id: Option<AdapterId>,

    /// List the TAP adapters and end
    #[arg(long, exclusive = true)]
    pub(crate) list_tap_adapters: bool,

    /// Use this MAC address instead of the one kept in the identity file; locally administered, like 02:1a:2b:3c:4d:5e
    #[arg(long, env = "SOFTLAN_VIRTUAL_MAC", value_name = "MAC", value_parser = identity_mac)]
    pub(crate) virtual_mac: Option<MacAddr>,

    /// Where this PC's identity is kept [default: lanparty-client-identity.json in the state directory]
    #[arg(long, env = "SOFTLAN_IDENTITY_FILE", value_name = "FILE")]
    pub(crate) identity_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// What else the program does.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Action {
    /// Look at this PC and say what would keep the party away, and what to do about it
    Doctor(DoctorArgs),
}

/// What the doctor looks at.
#[derive(clap::Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The relay to reach: a name or an IP address, with a port if it is not 443
    #[arg(long, env = "SOFTLAN_RELAY", value_name = "HOST[:PORT]")]
    pub(crate) relay: Option<RelayAddress>,

    /// The name in the relay's certificate
    #[arg(long, env = "SOFTLAN_SERVER_NAME", value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// Trust this certificate alone: the DER file that the relay wrote
    #[arg(long, env = "SOFTLAN_RELAY_CA_CERT", value_name = "FILE")]
    pub(crate) relay_ca_cert: Option<PathBuf>,

    /// Look at this TAP adapter; needed if there are several
    #[arg(long, env = "SOFTLAN_TAP_INSTANCE_ID", value_name = "GUID")]
    pub(crate) tap_instance_id: Option<AdapterId>,

    /// Where files that outlive the program are kept
    #[arg(long, env = "SOFTLAN_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}
