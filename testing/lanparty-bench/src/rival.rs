//! Who can carry a LAN over the bed: softlan, nothing but bridges, kernel VXLAN, and the rivals of Debian.
//!
//! A driver brings its tunnel up between remote PC 0 and the party's LAN, through the relay's host where it can be relayed, with the
//! options that its own users would take.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanparty_e2e::bed::{ETH, LAN, Side};
use lanparty_e2e::command::{output, tool};
use lanparty_e2e::link::{self, wait_until};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::{Bed, Namespace, Program};

/// The remote player's address on the LAN.
pub const REMOTE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 130);

/// Something that carries a LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Rival {
    /// Bridges and cables, without a tunnel: what the line carries.
    Plain,
    /// VXLAN of the kernel through the relay, without encryption.
    Vxlan,
    /// `OpenVPN` with TAP, its server on the relay's host.
    Openvpn,
    /// fastd in TAP mode, forwarded by the relay's host.
    Fastd,
    /// softlan with its defaults.
    Softlan,
    /// softlan that was told the rates of the line.
    SoftlanRate,
}

/// A tunnel that is up.
#[derive(Debug)]
pub struct Tunnel {
    /// Its programs: remote, relay, gateway; none for the kernel's own.
    pub programs: Vec<Program>,
    /// The interfaces that the remote player's line ends at: in the Internet's router, and in the PC.
    pub line: [String; 2],
}

impl Rival {
    /// Everybody, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Vxlan,
        Self::Openvpn,
        Self::Fastd,
        Self::Softlan,
    ];

    /// Returns the name for the table.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Plain => "no tunnel, bridged",
            Self::Vxlan => "VXLAN, no encryption",
            Self::Openvpn => "OpenVPN TAP",
            Self::Fastd => "fastd",
            Self::Softlan => "softlan",
            Self::SoftlanRate => "softlan --rate",
        }
    }

    /// Returns whether its programs are installed.
    pub fn is_installed(self) -> bool {
        let program = match self {
            Self::Plain | Self::Vxlan | Self::Softlan | Self::SoftlanRate => return true,
            Self::Openvpn => "openvpn",
            Self::Fastd => "fastd",
        };

        ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).is_file())
    }

    /// Brings the tunnel up on `bed`, and gives the remote PC its address on the LAN.
    ///
    /// # Errors
    ///
    /// Returns an error with a program's output if it does not get ready.
    pub fn start(self, bed: &Bed) -> Result<Tunnel> {
        let mut tunnel = Tunnel {
            programs: Vec::new(),
            line: [
                Side::Remote(0).router_port(),
                lanparty_e2e::bed::WAN.to_owned(),
            ],
        };
        let device = match self {
            Self::Plain => {
                plain(bed)?;
                tunnel.line = ["long0".to_owned(), ETH.to_owned()];
                ETH
            }
            Self::Vxlan => vxlan(bed)?,
            Self::Openvpn => {
                tunnel.programs = openvpn(bed)?;
                "tap0"
            }
            Self::Fastd => {
                tunnel.programs = fastd(bed)?;
                "tap0"
            }
            Self::Softlan => {
                tunnel.programs = softlan(bed, &[])?;
                TAP
            }
            Self::SoftlanRate => {
                tunnel.programs = softlan(bed, &["--rate", "38mbit/95mbit"])?;
                TAP
            }
        };
        bed.remote(0).sh(&format!(
            "ip address replace {REMOTE_ADDRESS}/24 dev {device}"
        ))?;

        Ok(tunnel)
    }
}

/// Bridges remote PC, router and gateway box by a second pair of cables.
fn plain(bed: &Bed) -> Result<()> {
    let (remote, inet, gateway) = (bed.remote(0), bed.inet(), bed.gateway(0));
    link::cable((remote, ETH), (inet, "long0"))?;
    link::cable((gateway, "long1"), (inet, "long1"))?;
    bridge(inet, &["long0", "long1"])?;

    bridge(gateway, &["long1", LAN])
}

fn vxlan(bed: &Bed) -> Result<&'static str> {
    let address = Bed::wan_address;
    let (remote, relay, gateway) = (Side::Remote(0), Side::Relay, Side::Gateway(0));
    let ends = [
        (remote, "vx0", 1, relay),
        (gateway, "vx0", 2, relay),
        (relay, "vx1", 1, remote),
        (relay, "vx2", 2, gateway),
    ];
    for (own, name, number, other) in ends {
        bed.on(own).sh(&format!(
            "ip link add {name} type vxlan id {number} dstport 4789 local {} remote {}",
            address(own),
            address(other)
        ))?;
        link::set_up((bed.on(own), name), true)?;
    }
    bridge(bed.relay(), &["vx1", "vx2"])?;
    bridge(bed.gateway(0), &["vx0", LAN])?;

    Ok("vx0")
}

fn openvpn(bed: &Bed) -> Result<Vec<Program>> {
    let server = certificate(bed.dir(), "relay")?;
    let clients = [
        certificate(bed.dir(), "remote")?,
        certificate(bed.dir(), "gateway")?,
    ];
    let hub = format!(
        "mode server\ntls-server\ndh none\nserver-bridge\nport 1194\nclient-to-client\n\
         <peer-fingerprint>\n{}\n</peer-fingerprint>\n",
        clients.join("\n")
    );
    let spoke = format!(
        "client\nnobind\nremote {} 1194\npeer-fingerprint {server}\n",
        Bed::wan_address(Side::Relay)
    );
    let members = [
        ("relay", bed.relay(), &hub),
        ("remote", bed.remote(0), &spoke),
        ("gateway", bed.gateway(0), &spoke),
    ];
    let mut programs = Vec::new();
    for (name, namespace, role) in members {
        let config = format!(
            "dev tap0\ndev-type tap\nproto udp4\ncert {name}.crt\nkey {name}.key\n\
             data-ciphers AES-256-GCM\nkeepalive 5 30\n{role}"
        );
        let file = format!("{name}.conf");
        fs::write(bed.dir().join(&file), config)?;
        let mut command = namespace.command("openvpn");
        command.args(["--config", &file]);
        programs.push(Program::start(bed.dir(), name, command)?);
        wait_device(namespace)?;
    }
    bridge(bed.gateway(0), &["tap0", LAN])?;

    Ok(in_order(programs))
}

/// Makes a self-signed certificate `NAME.crt` with `NAME.key`, and returns its fingerprint.
fn certificate(dir: &Path, name: &str) -> Result<String> {
    let (key, cert) = (format!("{name}.key"), format!("{name}.crt"));
    let words = format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={name} -keyout {key} -out {cert}"
    );
    output(
        tool("openssl")
            .args(words.split_whitespace())
            .current_dir(dir),
    )?;
    let said = output(
        tool("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &cert])
            .current_dir(dir),
    )?;
    let (_, fingerprint) = said.trim().split_once('=').context("no fingerprint")?;

    Ok(fingerprint.to_owned())
}

fn fastd(bed: &Bed) -> Result<Vec<Program>> {
    let keys = [fastd_key()?, fastd_key()?, fastd_key()?];
    let [relay, remote, gateway] = &keys;
    let hub = format!(
        "forward yes;\npeer \"remote\" {{ key \"{}\"; }}\npeer \"gateway\" {{ key \"{}\"; }}\n",
        remote.1, gateway.1
    );
    let spoke = format!(
        "peer \"relay\" {{ key \"{}\"; remote ipv4 {}:10000; }}\n",
        relay.1,
        Bed::wan_address(Side::Relay)
    );
    let members = [
        ("relay", bed.relay(), relay, &hub),
        ("remote", bed.remote(0), remote, &spoke),
        ("gateway", bed.gateway(0), gateway, &spoke),
    ];
    let mut programs = Vec::new();
    for (name, namespace, (secret, _), peers) in members {
        let file = format!("{name}.conf");
        let config = format!(
            "log level info;\nmode tap;\ninterface \"tap0\";\nmethod \"salsa2012+umac\";\nmtu 1500;\nbind any:10000;\n\
             secret \"{secret}\";\n{peers}"
        );
        fs::write(bed.dir().join(&file), config)?;
        let mut command = namespace.command("fastd");
        command.args(["--config", &file]);
        programs.push(Program::start(bed.dir(), name, command)?);
        wait_device(namespace)?;
    }
    bridge(bed.gateway(0), &["tap0", LAN])?;

    Ok(in_order(programs))
}

/// Returns a secret and its public key.
fn fastd_key() -> Result<(String, String)> {
    let said = output(tool("fastd").arg("--generate-key"))?;
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };

    field("Secret:")
        .zip(field("Public:"))
        .context("fastd made no key")
}

fn softlan(bed: &Bed, options: &[&str]) -> Result<Vec<Program>> {
    let relay = bed.start_relay()?;
    let gateway = bed.start_gateway(0, ROOM)?;
    let mut command = bed.client_command(0, ROOM)?;
    command.args(options);
    let mut client = Program::start(bed.dir(), "client0", command)?;
    client.wait_line("joined")?;

    Ok(vec![client, relay, gateway])
}

/// Turns relay, remote, gateway into remote, relay, gateway: the order in which a frame meets them.
fn in_order(mut programs: Vec<Program>) -> Vec<Program> {
    if programs.len() > 1 {
        programs.swap(0, 1);
    }

    programs
}

/// Waits for a program's TAP device, and brings it up.
fn wait_device(namespace: &Namespace) -> Result<()> {
    wait_until("a TAP device", Duration::from_secs(20), || {
        link::exists((namespace, "tap0"))
    })?;

    link::set_up((namespace, "tap0"), true)
}

fn bridge(namespace: &Namespace, ports: &[&str]) -> Result<()> {
    namespace.sh("ip link add br1 type bridge forward_delay 0 stp_state 0 mcast_snooping 0")?;
    for port in ports {
        namespace.sh(&format!("ip link set {port} master br1"))?;
    }

    link::set_up((namespace, "br1"), true)
}
