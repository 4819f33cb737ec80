//! The command line.

mod connections;
mod profile;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use lanparty_net::DEVELOPMENT_NAME;
use lanparty_proto::{budget, policy};
use lanparty_switch::{DEFAULT_NATIVE_MTU, Limits, MAX_BUDGET, Rate, RoomMode};
use lanparty_telemetry::{Filter, Format};
use rustls_pki_types::ServerName;

pub(crate) use self::connections::ConnectionOptions;
use self::profile::Profile;
use crate::listen::Listen;

/// The public relay of a LAN party. Players' PCs and the party's gateway connect out to the relay,
/// and the relay forwards Ethernet frames between the members of a room.
///
/// To try it: lanparty-relay --listen 4433/udp --dev-cert-out relay-cert.pem, and give relay-cert.pem to gateway and players.
/// For a party on the Internet: lanparty-relay --cert fullchain.pem --key privkey.pem.
/// -h shows the most important options, --help all.
#[derive(Debug, clap::Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// Instead of running a relay.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How to run it.
    #[command(flatten)]
    pub(crate) run: Run,
}

/// What else the program does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Shows rooms, members, counters and drops of the relay that runs on this machine, as JSON.
    Status {
        /// Where the running relay keeps its files.
        #[arg(long, value_name = "DIR", env = "SOFTLAN_STATE_DIR")]
        state_dir: Option<PathBuf>,
    },
}

/// How to run a relay.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The UDP port, or address and port, to listen on.
    #[arg(
        long,
        help = "The UDP port, or address and port, to listen on: 443/udp, 192.0.2.1:443, [2001:db8::1]:443",
        value_name = "PORT/udp|ADDR:PORT",
        env = "SOFTLAN_LISTEN",
        default_value = "443/udp"
    )]
    pub(crate) listen: Listen,
    /// Writes the development certificate here (PEM), for gateway and clients to pin with --relay-ca-cert.
    #[arg(long, value_name = "FILE", env = "SOFTLAN_DEV_CERT_OUT")]
    pub(crate) dev_cert_out: Option<PathBuf>,
    /// The same as DER; out of use.
    #[arg(
        long,
        value_name = "FILE",
        env = "SOFTLAN_DEV_CERT_DER_OUT",
        hide = true
    )]
    pub(crate) dev_cert_der_out: Option<PathBuf>,
    /// Another name for the development certificate; may be repeated.
    #[arg(
        long,
        value_name = "NAME",
        env = "SOFTLAN_CERT_NAME",
        value_delimiter = ',',
        value_parser = parse_name
    )]
    pub(crate) cert_name: Vec<String>,
    /// The certificate chain (PEM) that a public authority issued, leaf first.
    #[arg(
        long,
        value_name = "FILE",
        env = "SOFTLAN_CERT",
        requires = "key",
        conflicts_with_all = ["dev_cert_out", "dev_cert_der_out", "cert_name"]
    )]
    pub(crate) cert: Option<PathBuf>,
    /// The private key (PEM) of --cert.
    #[arg(long, value_name = "FILE", env = "SOFTLAN_KEY", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// What the relay is for, which sets the defaults of its limits: small (the parties of a
    /// household or club, on a small rented machine) or public (docs/defaults.md has a table).
    #[arg(
        long,
        value_name = "PROFILE",
        env = "SOFTLAN_PROFILE",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) profile: Profile,
    /// Where certificate and keys live on between starts.
    #[arg(
        long,
        help = "Where certificate and keys live on between starts [default: $STATE_DIRECTORY, $XDG_STATE_HOME/softlan or ~/.local/state/softlan]",
        value_name = "DIR",
        env = "SOFTLAN_STATE_DIR"
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// Worker threads, each with rooms of its own [default: one per core]
    #[arg(long, value_name = "COUNT", env = "SOFTLAN_WORKERS", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) workers: Option<u8>,
    /// Share the processor like any other program, instead of carrying frames first while others wait for it (Linux)
    #[arg(long, env = "SOFTLAN_NO_REALTIME")]
    pub(crate) no_realtime: bool,
    /// Serves Prometheus metrics over HTTP on this address.
    #[arg(long, value_name = "ADDR:PORT", env = "SOFTLAN_METRICS")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Which log lines appear: error, warn, info, debug, trace, or filters like `info,frames=trace` (every frame).
    #[arg(
        long,
        value_name = "FILTER",
        env = "SOFTLAN_LOG",
        default_value = "info"
    )]
    pub(crate) log: Filter,
    /// How log lines look: text or json.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "SOFTLAN_LOG_FORMAT",
        default_value_t
    )]
    pub(crate) log_format: Format,
    /// Takes over from the relay that started this program, whose end of a socket is standard input.
    #[arg(long, hide = true)]
    pub(crate) take_over: bool,
    /// What the relay allows.
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
    /// Which connections it takes.
    #[command(flatten)]
    pub(crate) connections: ConnectionOptions,
}

/// What the relay allows.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits (docs/defaults.md has the reasons; a rate of 0 is no limit)")]
pub(crate) struct LimitOptions {
    /// Most rooms at a time.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_MAX_ROOMS",
        default_value_t = 1024,
        value_parser = at_least_one()
    )]
    pub(crate) max_rooms: usize,
    /// Most members (clients and gateways) at a time.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_MAX_MEMBERS",
        default_value_t = 10_000,
        value_parser = at_least_one()
    )]
    pub(crate) max_members: usize,
    /// Most clients of one room.
    #[arg(
        long,
        value_name = "COUNT",
        env = "SOFTLAN_MAX_CLIENTS_PER_ROOM",
        default_value_t = 64,
        value_parser = at_least_one()
    )]
    pub(crate) max_clients_per_room: usize,
    /// How rooms carry frames larger than a datagram: auto (as two fragments when the first member can), native (not at all), full (always as two fragments).
    #[arg(long, value_name = "MODE", env = "SOFTLAN_ROOM_MODE", default_value = "auto", value_parser = parse_mode)]
    pub(crate) room_mode: RoomMode,
    /// The largest IP MTU of a room without full-frame mode.
    #[arg(long, value_name = "BYTES", env = "SOFTLAN_ROOM_MTU", default_value_t = DEFAULT_NATIVE_MTU,
          value_parser = clap::value_parser!(u16).range(i64::from(budget::MIN_IP_MTU)..=i64::from(budget::FULL_IP_MTU)))]
    pub(crate) room_mtu: u16,
    /// The largest tunnel datagram that anybody may send.
    #[arg(long, value_name = "BYTES", env = "SOFTLAN_DATAGRAM_BUDGET", default_value_t = u16::try_from(MAX_BUDGET).unwrap_or(u16::MAX),
          value_parser = clap::value_parser!(u16).range(1000..))]
    pub(crate) datagram_budget: u16,
    /// Broadcast and multicast frames of one client: so many a second, and so many at once.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_CLIENT_BROADCAST", default_value = "64/128", value_parser = parse_rate)]
    pub(crate) client_broadcast: Rate,
    /// Unknown-unicast frames of one client.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_CLIENT_UNKNOWN", default_value = "32/64", value_parser = parse_rate)]
    pub(crate) client_unknown: Rate,
    /// ARP and neighbour discovery frames of one client.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_CLIENT_ARP", default_value = "32/64", value_parser = parse_rate)]
    pub(crate) client_arp: Rate,
    /// Bytes of one client, all frames together.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_CLIENT_BYTES", default_value = "312500000/4194304", value_parser = parse_rate)]
    pub(crate) client_bytes: Rate,
    /// Broadcast and multicast frames from a room's LAN.
    #[arg(long, value_name = "RATE[/BURST]", env = "SOFTLAN_LAN_BROADCAST", default_value = "512/1024", value_parser = parse_rate)]
    pub(crate) lan_broadcast: Rate,
    /// Malformed datagrams of one connection that it survives: so many a second, and so many at once.
    #[arg(long, alias = "strikes", value_name = "RATE[/BURST]", env = "SOFTLAN_VIOLATIONS", default_value = "1/16", value_parser = parse_rate)]
    pub(crate) violations: Rate,
    /// Malformed datagrams of one connection in its whole life.
    #[arg(
        long,
        value_name = "COUNT",
        alias = "max-strikes",
        env = "SOFTLAN_MAX_VIOLATIONS",
        default_value_t = 64
    )]
    pub(crate) max_violations: u32,
    /// How many seconds a membership is kept after the member's connection broke.
    #[arg(long, alias = "keep-place", value_name = "SECONDS", env = "SOFTLAN_KEEP_MEMBERSHIP", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(..=3600))]
    pub(crate) keep_membership: u32,
    /// A kind of protocol to take from clients beside the usual ones, by its name in docs/policy.md; may be repeated.
    #[arg(
        long,
        value_name = "KIND",
        env = "SOFTLAN_ALLOW_KIND",
        value_delimiter = ','
    )]
    pub(crate) allow_kind: Vec<policy::ProtocolClass>,
    /// A kind of protocol not to take from clients, by its name in docs/policy.md; may be repeated.
    #[arg(
        long,
        value_name = "KIND",
        env = "SOFTLAN_DENY_KIND",
        value_delimiter = ','
    )]
    pub(crate) deny_kind: Vec<policy::ProtocolClass>,
}

impl LimitOptions {
    /// Returns what the switch is told.
    pub(crate) fn to_limits(&self) -> Limits {
        Limits {
            members: self.max_members,
            clients_per_room: self.max_clients_per_room,
            mode: self.room_mode,
            native_mtu: self.room_mtu,
            budget: usize::from(self.datagram_budget),
            policy: policy::Policy::with(&self.allow_kind, &self.deny_kind),
            broadcast: self.client_broadcast,
            unknown: self.client_unknown,
            arp: self.client_arp,
            bytes: self.client_bytes,
            lan_broadcast: self.lan_broadcast,
            violations: self.violations,
            violations_in_total: self.max_violations,
            detached_lifetime: Duration::from_secs(u64::from(self.keep_membership)),
        }
    }
}

/// The names of the development certificate.
pub(crate) fn certificate_names(asked: &[String]) -> Vec<String> {
    let mut names = vec![DEVELOPMENT_NAME.to_owned(), "localhost".to_owned()];
    for name in asked {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }

    names
}

/// Takes what a certificate can carry and a member can ask for.
fn parse_name(text: &str) -> Result<String, String> {
    match ServerName::try_from(text) {
        Ok(ServerName::DnsName(_)) => Ok(text.to_owned()),
        _ => Err("a name is a DNS name, like relay.example.org".to_owned()),
    }
}

/// A relay that lets nobody in is a mistake.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn parse_mode(text: &str) -> Result<RoomMode, String> {
    match text {
        "auto" => Ok(RoomMode::Auto),
        "native" => Ok(RoomMode::Native),
        "full" => Ok(RoomMode::Full),
        _ => Err("a room mode is auto, native or full".to_owned()),
    }
}

/// Reads `64/128`, or `64` with a burst of twice the rate.
fn parse_rate(text: &str) -> Result<Rate, String> {
    let (rate, burst) = text
        .split_once('/')
        .map_or((text, None), |(rate, burst)| (rate, Some(burst)));
    let rate: Option<u64> = rate.parse().ok();
    let burst = burst.map_or_else(
        || rate.map(|rate| rate.saturating_mul(2)),
        |burst| burst.parse().ok(),
    );
    let (Some(per_second), Some(burst)) = (rate, burst) else {
        return Err("write so many a second and so many at once, like 64/128".to_owned());
    };
    if per_second > 0 && burst == 0 {
        return Err("a burst of 0 lets nothing pass at all".to_owned());
    }

    Ok(Rate { per_second, burst })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        profile::command().debug_assert();
    }

    /// The switch's own defaults and the options' are the same numbers.
    #[test]
    fn options_have_the_defaults_of_the_switch() {
        let cli = Cli::read(["lanparty-relay"]).unwrap();

        assert_eq!(
            format!("{:?}", cli.run.limits.to_limits()),
            format!("{:?}", Limits::default())
        );
    }

    #[test]
    fn every_option_is_a_variable_too() {
        for argument in Cli::command().get_arguments() {
            let name = argument.get_id().as_str();
            // What is hidden is said by one process of ours to the next.
            if argument.is_hide_set() || matches!(name, "help" | "version") {
                continue;
            }
            let expected = format!("SOFTLAN_{}", name.to_uppercase());
            let variable = argument
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert_eq!(variable, Some(expected));
        }
    }

    #[test]
    fn a_kind_that_is_none_is_answered_with_the_kinds_there_are() {
        let refused = |kind| {
            let error = Cli::read(["lanparty-relay", "--allow-kind", kind]).unwrap_err();
            error.to_string()
        };

        assert!(refused("quake").contains("the kinds are ipv4, arp"));
        assert!(refused("dhcp_server").contains("no option opens it"));
    }

    #[test]
    fn a_name_that_no_certificate_has_and_a_limit_that_lets_nobody_in_are_refused() {
        for arguments in [
            ["--cert-name", "two words"],
            ["--cert-name", "192.0.2.1"],
            ["--max-rooms", "0"],
            ["--max-members", "0"],
            ["--max-clients-per-room", "0"],
            ["--log", "frames=loud"],
        ] {
            let words = [&["lanparty-relay"][..], &arguments].concat();
            assert!(Cli::read(words).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn reads_rates() {
        let rate = |per_second, burst| Ok(Rate { per_second, burst });

        assert_eq!(parse_rate("64/128"), rate(64, 128));
        assert_eq!(parse_rate("64"), rate(64, 128));
        assert_eq!(parse_rate("0"), rate(0, 0));
        for text in ["", "x", "1/", "/1", "-1", "64/0"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
