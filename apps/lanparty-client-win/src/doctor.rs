//! Looks at this PC and says what would keep the party away, and what to do about it.

use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use lanparty_client_route::{
    AdapterId, Category, Family, FileStore, JournalStore as _, Luid, RouteSystem as _, Snapshot,
    SystemRoutes, best_route,
};
use lanparty_client_tap::{Adapter, AdapterError, adapters, choose, look};
use lanparty_ctrl::RoomCode;
use lanparty_driver::program::Refused;
use lanparty_driver::{Frames, JoinArgs};
use lanparty_net::{CloseCause, Endpoint, LinkEvent, RelayAddress, member_socket};
use lanparty_queue::PaceSetting;
use lanparty_state::{Environment, StateDir};
use lanparty_win32::net::{alias_of, luid_of};
use lanparty_win32::{Key, is_elevated};

use crate::cli::DoctorArgs;
use crate::run::JOURNAL_FILE_NAME;

/// How long the relay may take to answer: three lost packets and more.
const RELAY_PATIENCE: Duration = Duration::from_secs(4);
/// How often the relay's answer is looked for.
const RELAY_INTERVAL: Duration = Duration::from_millis(5);
/// Where the firewall keeps whether it is on, by profile.
const FIREWALL: &str = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";
/// The profiles' names there, and in sentences.
const PROFILES: [(&str, &str); 3] = [
    ("DomainProfile", "domain"),
    ("StandardProfile", "private"),
    ("PublicProfile", "public"),
];

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// It may matter.
    Look,
    /// The party stays away.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "ok",
            Self::Look => "look",
            Self::Bad => "BAD",
        })
    }
}

/// Something that was looked at.
#[derive(Debug)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    text: String,
    /// What to do.
    fix: Option<&'static str>,
}

impl Finding {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Good,
            text: text.into(),
            fix: None,
        }
    }

    fn new(
        what: &'static str,
        verdict: Verdict,
        text: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self {
            what,
            verdict,
            text: text.into(),
            fix: Some(fix),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {:<16} {}", self.verdict, self.what, self.text)?;
        if let Some(fix) = self.fix {
            write!(f, "\n{:22} -> {fix}", "")?;
        }

        Ok(())
    }
}

/// Prints what is found. Ends well unless something keeps the party away.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let mut findings = vec![rights()];
    let adapter = adapter(args, &mut findings);
    let snapshot = network(adapter.as_ref(), &mut findings);
    findings.push(leftovers(args));
    findings.push(firewall(snapshot.as_ref()));
    relay(args, adapter.as_ref(), snapshot.as_ref(), &mut findings);

    let mut out = std::io::stdout();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let bad = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Bad);
    match bad.count() {
        0 => Ok(()),
        1 => Err(Refused("one thing keeps the party away".to_owned()).into()),
        count => Err(Refused(format!("{count} things keep the party away")).into()),
    }
}

fn rights() -> Finding {
    match is_elevated() {
        Ok(true) => Finding::good("rights", "administrator"),
        _ => Finding::new(
            "rights",
            Verdict::Bad,
            "no administrator",
            "start the program with \"Run as administrator\"",
        ),
    }
}

fn adapter(args: &DoctorArgs, findings: &mut Vec<Finding>) -> Option<Adapter> {
    let all = match adapters() {
        Ok(all) => all,
        Err(error) => {
            let fix = "is this Windows 10 or 11?";
            findings.push(Finding::new(
                "adapter",
                Verdict::Bad,
                error.to_string(),
                fix,
            ));
            return None;
        }
    };
    let adapter = match choose(&all, args.tap_instance_id) {
        Ok(adapter) => adapter.clone(),
        Err(error) => {
            let fix = "docs/windows.md says how to install and enable it";
            findings.push(Finding::new(
                "adapter",
                Verdict::Bad,
                error.to_string(),
                fix,
            ));
            return None;
        }
    };
    findings.push(Finding::good("adapter", adapter.to_string()));
    match look(&adapter) {
        Ok((version, mac)) => {
            findings.push(Finding::good("driver", version.to_string()));
            findings.push(Finding::good("MAC", mac.to_string()));
        }
        Err(AdapterError::InUse(name)) => findings.push(Finding::new(
            "driver",
            Verdict::Look,
            format!("\"{name}\" is in use"),
            "by softlan, hopefully; if it does not run, close the other program",
        )),
        Err(error) => {
            let fix = "install TAP-Windows6 9.26 or later, and restart the PC";
            findings.push(Finding::new("driver", Verdict::Bad, error.to_string(), fix));
        }
    }

    Some(adapter)
}

fn network(adapter: Option<&Adapter>, findings: &mut Vec<Finding>) -> Option<Snapshot> {
    let luid = adapter.and_then(|adapter| luid_of(adapter.id.0).ok().flatten());
    let id = adapter.map(|adapter| AdapterId(adapter.id.to_string()));
    let tap = luid.map(Luid).zip(id.as_ref());
    let snapshot = SystemRoutes::open().and_then(|mut system| system.snapshot(tap));
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let fix = "start the program with \"Run as administrator\"";
            findings.push(Finding::new("routes", Verdict::Bad, error.to_string(), fix));
            return None;
        }
    };
    if let Some((luid, _)) = tap {
        interface(luid, &snapshot, findings);
    }

    Some(snapshot)
}

fn interface(luid: Luid, snapshot: &Snapshot, findings: &mut Vec<Finding>) {
    for family in Family::ALL {
        findings.push(match snapshot.interfaces.get(&(luid, family)) {
            Some(interface) => {
                let settings = interface.settings;
                let kind = if settings.automatic_metric {
                    "automatic"
                } else {
                    "fixed"
                };
                let defaults = if settings.default_routes_disabled {
                    "ignored"
                } else {
                    "taken"
                };
                Finding::good(
                    "interface",
                    format!(
                        "{family}: metric {} ({kind}), MTU {}, default routes {defaults}; 1, the room's and ignored while joined",
                        settings.metric, settings.mtu
                    ),
                )
            }
            None if family == Family::V4 => Finding::new(
                "interface",
                Verdict::Bad,
                "IPv4 is not bound to the adapter",
                "tick \"Internet Protocol Version 4\" in the adapter's properties (ncpa.cpl)",
            ),
            None => Finding::good("interface", "no IPv6 on the adapter; games rarely need it"),
        });
    }
    let captured = best_route(snapshot, ANYWHERE.into(), |_| true)
        .is_some_and(|route| route.interface == luid);
    if captured {
        findings.push(Finding::new(
            "default route",
            Verdict::Look,
            "the Internet is reached through the party",
            "join once: the program makes Windows ignore this",
        ));
    }
    findings.push(match snapshot.category {
        Some(Category::Private | Category::Domain) => Finding::good("network", "private"),
        Some(Category::Public) => Finding::new(
            "network",
            Verdict::Look,
            "public: the firewall keeps other players out",
            "joining makes it private; if it stays public: Settings, Network & internet, the party's network, \"Private\"",
        ),
        None => Finding::good("network", "none while the room is not joined"),
    });
}

/// An address of nobody on the Internet (RFC 5737), to ask routes about.
const ANYWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);

fn leftovers(args: &DoctorArgs) -> Finding {
    let journal = StateDir::open(args.state_dir.as_deref(), &Environment::read())
        .map_err(anyhow::Error::from)
        .and_then(|state| Ok(FileStore::new(state.file(JOURNAL_FILE_NAME)).load()?));
    match journal {
        Ok(journal) if journal.is_empty() => Finding::good("leftovers", "nothing to undo"),
        Ok(journal) => Finding::new(
            "leftovers",
            Verdict::Look,
            format!("{} changes are not undone", journal.steps().len()),
            "if softlan does not run now, start it once: it puts right what a crash left",
        ),
        Err(error) => Finding::new(
            "leftovers",
            Verdict::Look,
            format!("{error:#}"),
            "look whether the file can be read",
        ),
    }
}

fn firewall(snapshot: Option<&Snapshot>) -> Finding {
    let on: Vec<&str> = PROFILES
        .iter()
        .filter(|(key, _)| {
            let key = Key::open(&format!(r"{FIREWALL}\{key}")).ok();
            key.and_then(|key| key.number("EnableFirewall")) == Some(1)
        })
        .map(|(_, name)| *name)
        .collect();
    let is_public = snapshot.is_some_and(|snapshot| snapshot.category == Some(Category::Public));
    match on.as_slice() {
        [] => Finding::good("firewall", "off, or another program's"),
        on if is_public && on.contains(&"public") => Finding::new(
            "firewall",
            Verdict::Look,
            format!(
                "on for {} networks, and the party's is public",
                on.join(", ")
            ),
            "make the network private, and allow the game when Windows asks",
        ),
        on => Finding::new(
            "firewall",
            Verdict::Good,
            format!("on for {} networks", on.join(", ")),
            "allow the game on private networks when Windows asks; \"Cancel\" blocks it for good",
        ),
    }
}

fn relay(
    args: &DoctorArgs,
    adapter: Option<&Adapter>,
    snapshot: Option<&Snapshot>,
    findings: &mut Vec<Finding>,
) {
    let Some(relay) = &args.relay else {
        let fix = "name it with --relay to have it tried";
        findings.push(Finding::new("relay", Verdict::Good, "not asked", fix));
        return;
    };
    let addresses = match relay.resolve() {
        Ok(addresses) => addresses,
        Err(error) => {
            let fix = "is the name right, and is this PC online?";
            findings.push(Finding::new("relay", Verdict::Bad, error.to_string(), fix));
            return;
        }
    };
    let tap = adapter.and_then(|adapter| luid_of(adapter.id.0).ok().flatten());
    for address in &addresses {
        findings.push(way(*address, tap, snapshot));
        findings.push(match reach(args, relay, *address) {
            Ok(rtt) => Finding::good(
                "relay",
                format!("{address} answers in {:.1} ms", rtt.as_secs_f64() * 1000.0),
            ),
            Err(error) => Finding::new(
                "relay",
                Verdict::Bad,
                format!("{address}: {error:#}"),
                "is the relay running, and does this network let UDP out to its port?",
            ),
        });
    }
}

fn way(address: SocketAddr, tap: Option<u64>, snapshot: Option<&Snapshot>) -> Finding {
    let route = snapshot.and_then(|snapshot| best_route(snapshot, address.ip(), |_| true));
    match route {
        Some(route) if Some(route.interface.0) == tap => Finding::new(
            "way to the relay",
            Verdict::Bad,
            format!("{route}, by the TAP adapter"),
            "start the program once: it puts right what a crash left",
        ),
        Some(route) => {
            let name = alias_of(route.interface.0).unwrap_or_default();
            Finding::good("way to the relay", format!("{route}, by \"{name}\""))
        }
        None => Finding::good("way to the relay", "as the system says"),
    }
}

/// Connects to the relay, and no further. Returns the round trip.
fn reach(args: &DoctorArgs, relay: &RelayAddress, address: SocketAddr) -> anyhow::Result<Duration> {
    let settings = JoinArgs {
        relay: relay.clone(),
        server_name: args.server_name.clone(),
        relay_ca_cert: args.relay_ca_cert.clone(),
        room: "DOCTOR".parse::<RoomCode>()?,
        rate: PaceSetting::Off,
        datagram_budget: None,
        frames: Frames::Native,
        allow_kind: Vec::new(),
        deny_kind: Vec::new(),
        state_dir: None,
        no_realtime: true,
    }
    .settings()?;
    let mut endpoint = Endpoint::member(member_socket(address)?, settings)?;
    let start = Instant::now();
    let link = endpoint.connect(address, None, start)?;
    loop {
        let now = Instant::now();
        endpoint.receive(now);
        endpoint.handle_timeout(now);
        endpoint.flush(now);
        match endpoint.poll_event() {
            Some(LinkEvent::Connected { .. }) => {
                let rtt = endpoint.facts(link).map(|facts| facts.rtt);
                endpoint.close(link, 0, "only looking", now);
                endpoint.flush(now);
                return Ok(rtt.unwrap_or_else(|| now - start));
            }
            Some(LinkEvent::Closed { cause, .. }) => anyhow::bail!("{}", sentence(cause)),
            Some(LinkEvent::Control { .. } | LinkEvent::Budget { .. }) => {}
            None if now - start > RELAY_PATIENCE => anyhow::bail!("no answer"),
            None => thread::sleep(RELAY_INTERVAL),
        }
    }
}

fn sentence(cause: CloseCause) -> String {
    match cause {
        CloseCause::TimedOut => "no answer".to_owned(),
        CloseCause::Reset => "the relay does not know the connection".to_owned(),
        CloseCause::Certificate(text) => format!("the relay's certificate is refused: {text}"),
        CloseCause::Application { text, .. } => format!("the relay closed: {text}"),
        CloseCause::Transport(text) => text,
        CloseCause::Control => "the relay closed".to_owned(),
    }
}
