//! `lanparty-gateway doctor`: whether this box can be a gateway, one line for each question.

mod discover;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lanparty_device::FrameDevice as _;
use lanparty_driver::program::random_seed;
use lanparty_driver::{probe_relay, relay_settings};
use lanparty_net::RelayAddress;
use lanparty_packet::{InterfaceFacts, PacketOptions, PacketSocket};
use lanparty_program::{Finding, Report};
use lanparty_proto::address_info::{AddressInfo, DhcpKind};
use lanparty_proto::{Frame, MacAddr};
use lanparty_queue::Pace;
use lanparty_tunnel::{Presence, ProbeKeys};

use crate::interface;

/// How long the LAN is listened to: two signs of presence, and the slowest DHCP server that is any use.
const LISTEN: Duration = Duration::from_millis(2500);

/// How long the doctor sleeps between looks at the socket.
const LOOK: Duration = Duration::from_millis(20);

/// Checks whether this box can put remote players on the LAN: one line for each question, exit code 2 if something is at fault.
#[derive(clap::Parser, Debug)]
#[command(name = "lanparty-gateway doctor", version)]
pub(crate) struct Cli {
    /// The network card that is plugged into the party's switch
    #[arg(long, env = "SOFTLAN_INTERFACE", value_name = "NAME")]
    interface: String,

    /// Also try whether this relay answers
    #[arg(long, env = "SOFTLAN_RELAY", value_name = "HOST[:PORT]")]
    relay: Option<RelayAddress>,

    /// The name in the relay's certificate
    #[arg(long, env = "SOFTLAN_SERVER_NAME", value_name = "NAME")]
    server_name: Option<String>,

    /// Trust this certificate alone
    #[arg(long, env = "SOFTLAN_RELAY_CA_CERT", value_name = "FILE")]
    relay_ca_cert: Option<PathBuf>,

    /// The room, to tell its gateways from others
    #[arg(
        long,
        env = "SOFTLAN_ROOM",
        value_name = "CODE",
        default_value = "doctor"
    )]
    room: lanparty_ctrl::RoomCode,
}

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut report = Report::default();
    if let Some(facts) = look_at_card(cli, &mut report) {
        match PacketSocket::open(&cli.interface, &PacketOptions::default()) {
            Ok(mut socket) => {
                let name = &cli.interface;
                let text = format!("frames of {name} can be read and written, promiscuously");
                report.push(Finding::ok("frames", text));
                listen(cli, &facts, &mut socket, &mut report)?;
            }
            Err(error) => {
                let text = interface::cannot_open(&cli.interface, &error).0;
                report.push(Finding::fault("frames", text));
            }
        }
    }
    report.push(relay(cli));

    report.finish(&mut std::io::stdout())
}

/// Says whether the relay answers, if one was named: at the first of its addresses that does.
fn relay(cli: &Cli) -> Finding {
    let Some(relay) = &cli.relay else {
        return Finding::warning("relay", "no relay was asked; name one with --relay");
    };

    match try_addresses(cli, relay) {
        Ok(rtt) => {
            let time = rtt.as_secs_f64() * 1000.0;
            Finding::ok("relay", format!("the relay {relay} answers ({time:.0} ms)"))
        }
        Err(error) => Finding::fault("relay", format!("{error:#}"))
            .advise("is it running, and is its UDP port open, also in firewalls on the way?"),
    }
}

fn try_addresses(cli: &Cli, relay: &RelayAddress) -> anyhow::Result<Duration> {
    let certificate = cli.relay_ca_cert.as_deref();
    let settings = relay_settings(relay, cli.server_name.clone(), certificate, Pace::Auto)?;
    let mut last = anyhow::anyhow!("the relay {relay} has no address");
    for address in relay.resolve()? {
        match probe_relay(&settings, address) {
            Ok(rtt) => return Ok(rtt),
            Err(error) => last = error.context(format!("the relay {address}")),
        }
    }

    Err(last)
}

/// Says what the card is.
fn look_at_card(cli: &Cli, report: &mut Report) -> Option<InterfaceFacts> {
    let facts = match interface::read(&cli.interface) {
        Ok(facts) => facts,
        Err(error) => {
            report.push(Finding::fault("card", error.0));
            return None;
        }
    };
    if let Err(error) = interface::check(&facts) {
        report.push(Finding::fault("card", error.0));
        return None;
    }
    let (name, mac) = (&facts.name, facts.mac);
    let driver = facts.driver.as_deref().unwrap_or("unknown driver");
    let text = format!("{name} is wired and has a link ({mac}, {driver})");
    report.push(Finding::ok("card", text));
    let state = |on: Option<bool>| match on {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    let offloads = facts.offloads;
    let text = format!(
        "offloads do no harm: gro {}, lro {}, tso {}, gso {}, rx-vlan {}",
        state(offloads.gro),
        state(offloads.lro),
        state(offloads.tso),
        state(offloads.gso),
        state(offloads.rx_vlan)
    );
    report.push(Finding::ok("offloads", text));
    if facts.mtu < 1500 {
        let text = format!(
            "{name} has an MTU of {}; set it with `ip link set {name} mtu 1500`",
            facts.mtu
        );
        report.push(Finding::warning("MTU", text));
    }

    Some(facts)
}

/// Asks for a DHCP server, and listens for it and for other gateways.
fn listen(
    cli: &Cli,
    facts: &InterfaceFacts,
    socket: &mut PacketSocket,
    report: &mut Report,
) -> anyhow::Result<()> {
    let seed = random_seed()?;
    let keys = ProbeKeys::new([seed, seed], seed, cli.room.as_str());
    let [_, _, bytes @ ..] = seed.to_be_bytes();
    let asker = MacAddr(bytes).into_identity();
    discover::send(socket, asker);

    let (mut gateway, mut server) = (None, None);
    let end = Instant::now() + LISTEN;
    while Instant::now() < end {
        let count = socket.receive()?;
        for index in 0..count {
            let Some(frame) = socket
                .received(index)
                .and_then(|received| Frame::parse(received.frame).ok())
            else {
                continue;
            };
            gateway = keys.presence_of(&frame).or(gateway);
            if let AddressInfo::Dhcp(dhcp) = AddressInfo::read(&frame)
                && dhcp.kind() == DhcpKind::Offer
                && dhcp.client() == asker
            {
                server = Some(dhcp.server().unwrap_or_else(|| dhcp.source()));
            }
        }
        std::thread::sleep(LOOK);
    }

    report.push(other_gateway(gateway));
    report.push(match server {
        Some(server) => Finding::ok("DHCP", format!("a DHCP server answers: {server}")),
        None => Finding::warning("DHCP", format!("no DHCP server answers on {}", facts.name))
            .advise("start one, or have players set addresses by hand"),
    });

    Ok(())
}

fn other_gateway(presence: Option<Presence>) -> Finding {
    let topic = "other gateways";
    match presence {
        None => Finding::ok(topic, "no other gateway is on this LAN"),
        Some(Presence::OtherRoom) => {
            Finding::warning(topic, "a gateway of another room is on this LAN")
                .advise("a player must not be in both rooms")
        }
        Some(Presence::SameRoom | Presence::Ourselves) => {
            Finding::warning(topic, "a gateway of this room is on this LAN already")
                .advise("one is enough")
        }
    }
}
