//! The LAN's real DHCP server (dnsmasq) and a real DHCP client (udhcpc).

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bed::{Bed, ETH};
use crate::command::output;
use crate::netns::Namespace;
use crate::program::Program;

/// What udhcpc calls on every event. It configures the interface alone: no default route, no resolver,
/// and nothing is written outside the bed's folder.
const SCRIPT: &str = r#"#!/bin/sh
case "$1" in
bound|renew)
    ip address replace "$ip/${mask:-24}" broadcast + dev "$interface" || exit 1
    { echo "address=$ip"; echo "router=$router"; echo "server=$serverid"; echo "dns=$dns"; echo "seconds=$lease"; } > "$LEASE_FILE"
    ;;
deconfig)
    ip -4 address flush dev "$interface"
    ;;
esac
"#;

/// A script for udhcpc that writes down all that a server told, and does nothing with it.
pub const EVERYTHING_SCRIPT: &str = r#"#!/bin/sh
if [ "$1" = bound ]; then env > "$LEASE_FILE"; fi
"#;

/// What the DHCP server granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The client's address.
    pub address: Ipv4Addr,
    /// The server that granted it.
    pub server: Ipv4Addr,
    /// The LAN's router, if the server named one.
    pub router: Option<Ipv4Addr>,
}

impl Bed {
    /// Starts dnsmasq on LAN host 0, granting `192.168.77.100` to `.199`.
    ///
    /// # Errors
    ///
    /// Returns an error if dnsmasq does not start.
    pub fn start_dnsmasq(&self) -> Result<Program> {
        let router = format!("--dhcp-option=option:router,{}", Self::host_address(0));

        self.serve(
            (self.host(0), ETH),
            "dnsmasq",
            &[
                "--bind-interfaces",
                "--except-interface=lo",
                "--log-dhcp",
                "--dhcp-range=192.168.77.100,192.168.77.199,255.255.255.0,1h",
                &router,
                "--address=/party.example/192.168.77.10",
            ],
        )
    }

    /// Starts dnsmasq as a DHCP server and router for IPv6, which prevails over others, on an interface of `end`. It is called `name`
    /// in logs; `options` say what it grants.
    ///
    /// # Errors
    ///
    /// Returns an error if dnsmasq does not start.
    pub fn serve_and_advertise(
        &self,
        end: (&Namespace, &str),
        name: &str,
        options: &[&str],
    ) -> Result<Program> {
        let parameters = format!("--ra-param={},high,4,9000", end.1);
        let advertising = ["--port=0", "--enable-ra", &parameters];

        self.serve(end, name, &[&advertising, options].concat())
    }

    /// Starts dnsmasq with nothing of the machine's own configuration.
    fn serve(
        &self,
        (namespace, interface): (&Namespace, &str),
        name: &str,
        options: &[&str],
    ) -> Result<Program> {
        let mut command = namespace.command("dnsmasq");
        command
            .args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--user=root",
                "--group=root",
                "--pid-file=",
                "--dhcp-authoritative",
                "--no-ping",
            ])
            .arg(format!("--interface={interface}"))
            .arg(format!(
                "--dhcp-leasefile={}",
                self.dir().join(format!("{name}.leases")).display()
            ))
            .args(options);
        let mut server = Program::start(self.dir(), name, command)?;
        server.wait_log("DHCP, IP range")?;

        Ok(server)
    }

    /// Gets a lease for `interface` in `namespace` with udhcpc, and gives the interface its address.
    ///
    /// # Errors
    ///
    /// Returns an error with udhcpc's output if no server answers in about 20 seconds.
    pub fn lease(&self, namespace: &Namespace, interface: &str) -> Result<Lease> {
        let file = self
            .dir()
            .join(format!("lease-{}-{interface}", namespace.name()));
        let mut command = namespace.command("udhcpc");
        command
            .args([
                "-i", interface, "-f", "-q", "-n", "-t", "10", "-T", "2", "-s",
            ])
            .arg(self.udhcpc_script()?)
            .env("LEASE_FILE", &file);
        output(&mut command)?;
        let text = fs::read_to_string(&file).context("udhcpc ended well without a lease")?;

        parse_lease(&text).with_context(|| format!("not a lease: {text:?}"))
    }

    /// Writes udhcpc's script, and returns its path.
    ///
    /// # Errors
    ///
    /// Returns an error if the bed's folder cannot be written.
    pub fn udhcpc_script(&self) -> Result<PathBuf> {
        let path = self.dir().join("udhcpc.sh");
        if !path.exists() {
            // Written aside and renamed: nobody ever executes a file that is open for writing.
            let draft = self.dir().join("udhcpc.sh.draft");
            fs::write(&draft, SCRIPT)?;
            fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
            fs::rename(&draft, &path)?;
        }

        Ok(path)
    }
}

fn parse_lease(text: &str) -> Option<Lease> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            line.strip_prefix(key)?
                .strip_prefix('=')?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
    };

    Some(Lease {
        address: value("address")?,
        server: value("server")?,
        router: value("router"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_file_is_understood_with_and_without_a_router() {
        let lease = parse_lease(
            "address=192.168.77.5\nrouter=192.168.77.1 192.168.77.2\nserver=192.168.77.10\n",
        )
        .unwrap();
        assert_eq!(lease.router, Some(Ipv4Addr::new(192, 168, 77, 1)));

        assert_eq!(
            parse_lease("address=192.168.77.5\nrouter=\nserver=192.168.77.10\n")
                .unwrap()
                .router,
            None
        );
        assert_eq!(parse_lease("router=\n"), None);
    }
}
