//! The options that client and gateway share.

use std::path::{Path, PathBuf};

use lanparty_ctrl::RoomCode;
use lanparty_net::{DEVELOPMENT_NAME, MemberSettings, RelayAddress, Trust, read_certificate};
use lanparty_program::Refused;
use lanparty_proto::mac::ParseMacError;
use lanparty_proto::{MacAddr, policy};
use lanparty_queue::{Pace, PaceSetting};

/// The default is the system's.
const STATE_DIR_HELP: &str = if cfg!(windows) {
    "Where files that outlive the program are kept [default: %LOCALAPPDATA%\\softlan]"
} else {
    "Where files that outlive the program are kept [default: $STATE_DIRECTORY, $XDG_STATE_HOME/softlan or ~/.local/state/softlan]"
};

/// Which relay and which room, and how to get there.
#[derive(clap::Args, Debug, Clone)]
pub struct JoinArgs {
    /// The relay.
    // Not from the comment above: rustdoc would take the address in brackets for a link.
    #[arg(
        long,
        env = "SOFTLAN_RELAY",
        value_name = "HOST[:PORT]",
        help = "The relay: a name or an IP address, with a port if it is not 443 (party.example, 192.0.2.1:4433, [2001:db8::1]:4433)"
    )]
    pub relay: RelayAddress,

    /// The name in the relay's certificate [default: lanparty-relay.local with --relay-ca-cert, otherwise the relay's own name]
    #[arg(long, env = "SOFTLAN_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,

    /// Trust this certificate alone: the file that the relay wrote with --dev-cert-out (PEM or DER) [default: the system's roots]
    #[arg(long, env = "SOFTLAN_RELAY_CA_CERT", value_name = "FILE")]
    pub relay_ca_cert: Option<PathBuf>,

    /// The room: 3 to 32 letters, digits, - or _, in upper or lower case, the same for everybody at the party
    #[arg(long, env = "SOFTLAN_ROOM", value_name = "CODE")]
    pub room: RoomCode,

    /// The rates of this line as UP/DOWN (38mbit/95mbit), `auto` to find out, `off` for no limit
    #[arg(
        long,
        env = "SOFTLAN_RATE",
        value_name = "RATE",
        default_value = "auto"
    )]
    pub rate: PaceSetting,

    /// Carry at most so many bytes in one datagram, instead of what the path allows
    #[arg(long, env = "SOFTLAN_DATAGRAM_BUDGET", value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1126..))]
    pub datagram_budget: Option<u16>,

    /// How frames over one datagram travel: `full` as two (MTU 1500), `native` not at all (a smaller MTU)
    #[arg(long, env = "SOFTLAN_FRAMES", value_enum, default_value_t = Frames::Full)]
    pub frames: Frames,

    /// A kind of protocol to take from players beside the usual ones, by its name in docs/policy.md; may be repeated
    #[arg(
        long,
        env = "SOFTLAN_ALLOW_KIND",
        value_name = "KIND",
        value_delimiter = ','
    )]
    pub allow_kind: Vec<policy::ProtocolClass>,

    /// A kind of protocol not to take from players, by its name in docs/policy.md; may be repeated
    #[arg(
        long,
        env = "SOFTLAN_DENY_KIND",
        value_name = "KIND",
        value_delimiter = ','
    )]
    pub deny_kind: Vec<policy::ProtocolClass>,

    /// Where files that outlive the program are kept.
    #[arg(long, env = "SOFTLAN_STATE_DIR", value_name = "DIR", help = STATE_DIR_HELP)]
    pub state_dir: Option<PathBuf>,

    /// Share the processor like any other program, instead of carrying frames first while others wait for it
    #[arg(long, env = "SOFTLAN_NO_REALTIME")]
    pub no_realtime: bool,
}

/// Reads a client's tunnel MAC from an option.
///
/// # Errors
///
/// Returns a sentence if it is none, or none that a client may have.
pub fn identity_mac(text: &str) -> Result<MacAddr, String> {
    let mac: MacAddr = text
        .parse()
        .map_err(|error: ParseMacError| error.to_string())?;
    mac.check_identity().map_err(|error| error.to_string())?;

    Ok(mac)
}

/// Returns the settings of connections to `relay`: which certificate is trusted, under which name, and how sending is limited.
///
/// # Errors
///
/// Returns an error if the certificate file cannot be read or is none, or the system's roots cannot be used.
pub fn relay_settings(
    relay: &RelayAddress,
    server_name: Option<String>,
    certificate: Option<&Path>,
    pace: Pace,
) -> Result<MemberSettings, Refused> {
    let (trust, name) = match certificate {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| {
                Refused(format!(
                    "cannot read the relay's certificate {}; copy it from the relay, which writes it with --dev-cert-out: {error}",
                    path.display()
                ))
            })?;
            let certificate = read_certificate(&bytes).map_err(|error| Refused::because(&error))?;
            (Trust::Pinned(certificate), DEVELOPMENT_NAME.to_owned())
        }
        None => (Trust::System, relay.host()),
    };
    let name = server_name.unwrap_or(name);

    MemberSettings::new(name, &trust, pace).map_err(|error| Refused::because(&error))
}

/// How frames over one datagram travel.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// As two datagrams; the MTU is 1500.
    Full,
    /// Not at all; the MTU is what fits one datagram.
    Native,
}

impl JoinArgs {
    /// Returns the settings of connections to the relay.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificate file cannot be read or is none, or the system's roots cannot be used.
    pub fn settings(&self) -> Result<MemberSettings, Refused> {
        relay_settings(
            &self.relay,
            self.server_name.clone(),
            self.relay_ca_cert.as_deref(),
            self.pace(),
        )
    }

    /// Returns how sending to the relay is limited.
    pub const fn pace(&self) -> Pace {
        match self.rate {
            PaceSetting::Auto => Pace::Auto,
            PaceSetting::Off => Pace::Off,
            PaceSetting::Fixed { up, .. } => Pace::Fixed(up),
        }
    }

    /// Returns which kinds of protocols players may use, as far as this program decides.
    pub fn policy(&self) -> policy::Policy {
        policy::Policy::with(&self.allow_kind, &self.deny_kind)
    }

    /// Returns the largest overlay datagram to offer, in bytes.
    pub fn budget(&self) -> u16 {
        self.datagram_budget.unwrap_or(u16::MAX)
    }

    /// Returns whether frames over one datagram may travel as two.
    pub fn is_full(&self) -> bool {
        self.frames == Frames::Full
    }

    /// Returns the download rate to tell the relay, in bits a second.
    pub const fn down_rate(&self) -> Option<u64> {
        match self.rate {
            PaceSetting::Fixed { down, .. } => Some(down.bits_per_second()),
            PaceSetting::Auto | PaceSetting::Off => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        join: Option<JoinArgs>,
    }

    /// The Windows client can do without, for it takes other orders too; clap takes them for absent if they hold a group of their own.
    #[test]
    fn options_to_join_are_found_where_they_may_be_absent() {
        let arguments = ["program", "--relay", "relay.example", "--room", "PARTY"];
        let join = Cli::try_parse_from(arguments).unwrap().join.unwrap();
        assert_eq!(join.room.as_str(), "PARTY");
    }
}
