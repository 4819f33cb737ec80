//! The command line.
#![expect(clippy::doc_markdown, reason = "these comments are what --help prints")]

use lanparty_driver::{JoinArgs, KeepArgs};
use lanparty_program::LogArgs;

/// Puts remote players on the LAN of a party: they get addresses from its DHCP server, see its games, and are seen.
///
/// It needs a wired network card on the LAN and the right to read and write its frames (root, or CAP_NET_RAW). The card keeps its address and
/// goes on working for this box. `lanparty-gateway doctor --interface eth0` tells beforehand whether the box is fit for it.
#[derive(clap::Parser, Debug)]
#[command(name = "lanparty-gateway", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) join: JoinArgs,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,

    /// The network card that is plugged into the party's switch
    #[arg(long, env = "SOFTLAN_INTERFACE", value_name = "NAME")]
    pub(crate) interface: String,

    /// What to do if the room has a gateway already: `lan` stands by if it is on this LAN, `any` wherever it is, `no` ends
    ///
    /// A gateway that waits bridges nothing. It takes over within a few seconds once the other one left, or died.
    #[arg(long, env = "SOFTLAN_STANDBY", value_enum, default_value_t = Standby::Lan)]
    pub(crate) standby: Standby,

    /// Takes over from the gateway that started this program, whose end of a socket is standard input.
    #[arg(long, hide = true)]
    pub(crate) take_over: bool,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// What to do if the room has a gateway already.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standby {
    Lan,
    Any,
    No,
}

impl From<Standby> for lanparty_session::Standby {
    fn from(standby: Standby) -> Self {
        match standby {
            Standby::Lan => Self::SameLan,
            Standby::Any => Self::Anywhere,
            Standby::No => Self::Never,
        }
    }
}
