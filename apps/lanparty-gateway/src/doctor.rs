//! `lanparty-gateway doctor`: whether this box can be a gateway, one line for each question.

mod discover;
mod relay;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lanparty_device::FrameDevice as _;
use lanparty_driver::program::{Refused, random_seed};
use lanparty_net::RelayAddress;
use lanparty_packet::{InterfaceFacts, PacketOptions, PacketSocket};
use lanparty_proto::address_info::{AddressInfo, DhcpKind};
use lanparty_proto::{Frame, MacAddr};
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
    pub(super) relay: Option<RelayAddress>,

    /// The name in the relay's certificate
    #[arg(long, env = "SOFTLAN_SERVER_NAME", value_name = "NAME")]
    pub(super) server_name: Option<String>,

    /// Trust this certificate alone
    #[arg(long, env = "SOFTLAN_RELAY_CA_CERT", value_name = "FILE")]
    pub(super) relay_ca_cert: Option<PathBuf>,

    /// The room, to tell its gateways from others
    #[arg(
        long,
        env = "SOFTLAN_ROOM",
        value_name = "CODE",
        default_value = "doctor"
    )]
    pub(super) room: lanparty_ctrl::RoomCode,
}

/// What one question's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning,
    Fault,
}

/// Prints answers and remembers whether one was bad.
#[derive(Debug, Default)]
struct Sheet {
    has_fault: bool,
}

impl Sheet {
    fn line(&mut self, verdict: Verdict, text: &str) {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "fault",
        };
        self.has_fault |= verdict == Verdict::Fault;
        // Nobody is left to tell if the terminal is gone.
        let _printed = writeln!(std::io::stdout(), "{word:8} {text}");
    }
}

pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut sheet = Sheet::default();
    if let Some(facts) = look_at_card(cli, &mut sheet) {
        match PacketSocket::open(&cli.interface, &PacketOptions::default()) {
            Ok(mut socket) => {
                let name = &cli.interface;
                let text = format!("frames of {name} can be read and written, promiscuously");
                sheet.line(Verdict::Ok, &text);
                listen(cli, &facts, &mut socket, &mut sheet)?;
            }
            Err(error) => sheet.line(
                Verdict::Fault,
                &interface::cannot_open(&cli.interface, &error).0,
            ),
        }
    }
    match relay::check(cli) {
        Some(Ok(text)) => sheet.line(Verdict::Ok, &text),
        Some(Err(error)) => sheet.line(Verdict::Fault, &format!("{error:#}")),
        None => sheet.line(
            Verdict::Warning,
            "no relay was asked; name one with --relay",
        ),
    }
    if sheet.has_fault {
        return Err(Refused("this box cannot be a gateway as it is".to_owned()).into());
    }

    Ok(())
}

/// Says what the card is.
fn look_at_card(cli: &Cli, sheet: &mut Sheet) -> Option<InterfaceFacts> {
    let facts = match interface::read(&cli.interface) {
        Ok(facts) => facts,
        Err(error) => {
            sheet.line(Verdict::Fault, &error.0);
            return None;
        }
    };
    if let Err(error) = interface::check(&facts) {
        sheet.line(Verdict::Fault, &error.0);
        return None;
    }
    let (name, mac) = (&facts.name, facts.mac);
    let driver = facts.driver.as_deref().unwrap_or("unknown driver");
    sheet.line(
        Verdict::Ok,
        &format!("{name} is wired and has a link ({mac}, {driver})"),
    );
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
    sheet.line(Verdict::Ok, &text);
    if facts.mtu < 1500 {
        let text = format!(
            "{name} has an MTU of {}; set it with `ip link set {name} mtu 1500`",
            facts.mtu
        );
        sheet.line(Verdict::Warning, &text);
    }

    Some(facts)
}

/// Asks for a DHCP server, and listens for it and for other gateways.
fn listen(
    cli: &Cli,
    facts: &InterfaceFacts,
    socket: &mut PacketSocket,
    sheet: &mut Sheet,
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

    match gateway {
        None => sheet.line(Verdict::Ok, "no other gateway is on this LAN"),
        Some(Presence::OtherRoom) => sheet.line(
            Verdict::Warning,
            "a gateway of another room is on this LAN; a player must not be in both",
        ),
        Some(Presence::SameRoom | Presence::Ourselves) => sheet.line(
            Verdict::Warning,
            "a gateway of this room is on this LAN already; one is enough",
        ),
    }
    match server {
        Some(server) => sheet.line(Verdict::Ok, &format!("a DHCP server answers: {server}")),
        None => sheet.line(
            Verdict::Warning,
            &format!(
                "no DHCP server answers on {}; start one, or have players set addresses by hand",
                facts.name
            ),
        ),
    }

    Ok(())
}
