//! Looks at this PC and says what would keep the party away, and what to do about it.

use std::net::SocketAddr;
use std::time::Duration;

use lanparty_client_route::{
    AdapterId, Category, Family, FileStore, JournalStore as _, Luid, RouteSystem as _, Snapshot,
    SystemRoutes, best_route,
};
use lanparty_client_tap::{Adapter, AdapterError, adapters, choose, look};
use lanparty_driver::{probe_relay, relay_settings};
use lanparty_net::RelayAddress;
use lanparty_program::{Finding, Report};
use lanparty_queue::Pace;
use lanparty_state::{Environment, StateDir};
use lanparty_win32::net::{alias_of, luid_of};
use lanparty_win32::{Key, is_elevated};

use crate::cli::DoctorArgs;
use crate::run::JOURNAL_FILE_NAME;

/// Where the firewall keeps whether it is on, by profile.
const FIREWALL: &str = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";
/// The profiles' names there, and in sentences.
const PROFILES: [(&str, &str); 3] = [
    ("DomainProfile", "domain"),
    ("StandardProfile", "private"),
    ("PublicProfile", "public"),
];

/// Prints what is found. Ends well unless something keeps the party away.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    let mut report = Report::default();
    report.push(rights());
    let adapter = adapter(args, &mut report);
    let snapshot = network(adapter.as_ref(), &mut report);
    report.push(leftovers(args));
    report.push(firewall(snapshot.as_ref()));
    relay(args, adapter.as_ref(), snapshot.as_ref(), &mut report);

    report.finish(&mut std::io::stdout())
}

fn rights() -> Finding {
    match is_elevated() {
        Ok(true) => Finding::ok("rights", "administrator"),
        _ => Finding::fault("rights", "no administrator")
            .advise("start the program with \"Run as administrator\""),
    }
}

fn adapter(args: &DoctorArgs, report: &mut Report) -> Option<Adapter> {
    let all = match adapters() {
        Ok(all) => all,
        Err(error) => {
            let fix = "is this Windows 10 or 11?";
            report.push(Finding::fault("adapter", error.to_string()).advise(fix));
            return None;
        }
    };
    let adapter = match choose(&all, args.tap_instance_id) {
        Ok(adapter) => adapter.clone(),
        Err(error) => {
            let fix = "docs/windows.md says how to install and enable it";
            report.push(Finding::fault("adapter", error.to_string()).advise(fix));
            return None;
        }
    };
    report.push(Finding::ok("adapter", adapter.to_string()));
    match look(&adapter) {
        Ok((version, mac)) => {
            report.push(Finding::ok("driver", version.to_string()));
            report.push(Finding::ok("MAC", mac.to_string()));
        }
        Err(AdapterError::InUse(name)) => report.push(
            Finding::warning("driver", format!("\"{name}\" is in use"))
                .advise("by softlan, hopefully; if it does not run, close the other program"),
        ),
        Err(error) => {
            let fix = "install TAP-Windows6 9.26 or later, and restart the PC";
            report.push(Finding::fault("driver", error.to_string()).advise(fix));
        }
    }

    Some(adapter)
}

fn network(adapter: Option<&Adapter>, report: &mut Report) -> Option<Snapshot> {
    let luid = adapter.and_then(|adapter| luid_of(adapter.id.0).ok().flatten());
    let id = adapter.map(|adapter| AdapterId(adapter.id.to_string()));
    let tap = luid.map(Luid).zip(id.as_ref());
    let snapshot = SystemRoutes::open().and_then(|mut system| system.snapshot(tap));
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let fix = "start the program with \"Run as administrator\"";
            report.push(Finding::fault("routes", error.to_string()).advise(fix));
            return None;
        }
    };
    if let Some((luid, _)) = tap {
        interface(luid, &snapshot, report);
    }

    Some(snapshot)
}

fn interface(luid: Luid, snapshot: &Snapshot, report: &mut Report) {
    for family in Family::ALL {
        report.push(match snapshot.interfaces.get(&(luid, family)) {
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
                Finding::ok(
                    "interface",
                    format!(
                        "{family}: metric {} ({kind}), MTU {}, default routes {defaults}; 1, the room's and ignored while joined",
                        settings.metric, settings.mtu
                    ),
                )
            }
            None if family == Family::V4 => Finding::fault("interface", "IPv4 is not bound to the adapter").advise("tick \"Internet Protocol Version 4\" in the adapter's properties (ncpa.cpl)"),
            None => Finding::ok("interface", "no IPv6 on the adapter; games rarely need it"),
        });
    }
    let captured = best_route(snapshot, ANYWHERE.into(), |_| true)
        .is_some_and(|route| route.interface == luid);
    if captured {
        report.push(
            Finding::warning("default route", "the Internet is reached through the party")
                .advise("join once: the program makes Windows ignore this"),
        );
    }
    report.push(match snapshot.category {
        Some(Category::Private | Category::Domain) => Finding::ok("network", "private"),
        Some(Category::Public) => Finding::warning("network", "public: the firewall keeps other players out").advise("joining makes it private; if it stays public: Settings, Network & internet, the party's network, \"Private\""),
        None => Finding::ok("network", "none while the room is not joined"),
    });
}

/// An address of nobody on the Internet (RFC 5737), to ask routes about.
const ANYWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);

fn leftovers(args: &DoctorArgs) -> Finding {
    let journal = StateDir::open(args.state_dir.as_deref(), &Environment::read())
        .map_err(anyhow::Error::from)
        .and_then(|state| Ok(FileStore::new(state.file(JOURNAL_FILE_NAME)).load()?));
    match journal {
        Ok(journal) if journal.is_empty() => Finding::ok("leftovers", "nothing to undo"),
        Ok(journal) => Finding::warning(
            "leftovers",
            format!("{} changes are not undone", journal.steps().len()),
        )
        .advise("if softlan does not run now, start it once: it puts right what a crash left"),
        Err(error) => Finding::warning("leftovers", format!("{error:#}"))
            .advise("look whether the file can be read"),
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
        [] => Finding::ok("firewall", "off, or another program's"),
        on if is_public && on.contains(&"public") => Finding::warning(
            "firewall",
            format!(
                "on for {} networks, and the party's is public",
                on.join(", ")
            ),
        )
        .advise("make the network private, and allow the game when Windows asks"),
        on => Finding::ok("firewall", format!("on for {} networks", on.join(", "))).advise(
            "allow the game on private networks when Windows asks; \"Cancel\" blocks it for good",
        ),
    }
}

fn relay(
    args: &DoctorArgs,
    adapter: Option<&Adapter>,
    snapshot: Option<&Snapshot>,
    report: &mut Report,
) {
    let Some(relay) = &args.relay else {
        let fix = "name it with --relay to have it tried";
        report.push(Finding::ok("relay", "not asked").advise(fix));
        return;
    };
    let addresses = match relay.resolve() {
        Ok(addresses) => addresses,
        Err(error) => {
            let fix = "is the name right, and is this PC online?";
            report.push(Finding::fault("relay", error.to_string()).advise(fix));
            return;
        }
    };
    let tap = adapter.and_then(|adapter| luid_of(adapter.id.0).ok().flatten());
    for address in &addresses {
        report.push(route_to(*address, tap, snapshot));
        report.push(match probe(args, relay, *address) {
            Ok(rtt) => Finding::ok(
                "relay",
                format!("{address} answers in {:.1} ms", rtt.as_secs_f64() * 1000.0),
            ),
            Err(error) => Finding::fault("relay", format!("{address}: {error:#}"))
                .advise("is the relay running, and does this network let UDP out to its port?"),
        });
    }
}

fn route_to(address: SocketAddr, tap: Option<u64>, snapshot: Option<&Snapshot>) -> Finding {
    let route = snapshot.and_then(|snapshot| best_route(snapshot, address.ip(), |_| true));
    match route {
        Some(route) if Some(route.interface.0) == tap => {
            Finding::fault("route to relay", format!("{route}, by the TAP adapter"))
                .advise("start the program once: it puts right what a crash left")
        }
        Some(route) => {
            let name = alias_of(route.interface.0).unwrap_or_default();
            Finding::ok("route to relay", format!("{route}, by \"{name}\""))
        }
        None => Finding::ok("route to relay", "as the system says"),
    }
}

/// Connects to the relay, and no further. Returns the round trip.
fn probe(args: &DoctorArgs, relay: &RelayAddress, address: SocketAddr) -> anyhow::Result<Duration> {
    let certificate = args.relay_ca_cert.as_deref();
    let settings = relay_settings(relay, args.server_name.clone(), certificate, Pace::Off)?;

    probe_relay(&settings, address)
}
