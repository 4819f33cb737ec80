//! The bed itself: who is there, which cable goes where, and which address it has.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use crate::link::{self, End};
use crate::netns::{self, Namespace, PREFIX};

/// Beds of this process so far: tells the beds of parallel tests apart.
static BEDS: AtomicU32 = AtomicU32::new(0);

/// What a bed consists of.
#[derive(Debug, Clone, Copy)]
pub struct BedBuilder {
    remotes: u8,
    gateways: u8,
    hosts: u8,
}

impl BedBuilder {
    /// Sets how many remote PCs there are (one, unless said).
    #[must_use]
    pub fn remotes(mut self, count: u8) -> Self {
        self.remotes = count;
        self
    }

    /// Sets how many gateway boxes stand on the LAN (one, unless said).
    #[must_use]
    pub fn gateways(mut self, count: u8) -> Self {
        self.gateways = count;
        self
    }

    /// Sets how many hosts the LAN has (one, unless said).
    #[must_use]
    pub fn hosts(mut self, count: u8) -> Self {
        self.hosts = count;
        self
    }

    /// Removes what crashed runs have left, and builds the bed.
    ///
    /// # Errors
    ///
    /// Returns an error that says what is missing: root, a tool, a kernel feature.
    pub fn build(self) -> Result<Bed> {
        netns::sweep();
        let number = BEDS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{:x}-{number}", std::process::id());
        let dir = TempDir::create(&prefix)?;
        let make = |role: &str| {
            let namespace = Namespace::create(format!("{prefix}-{role}"))?;
            // Addresses are ours to give and unique: no waiting for duplicate address detection.
            namespace.sysctl("net.ipv6.conf.default.accept_dad", "0")?;
            namespace.sysctl("net.ipv4.conf.all.rp_filter", "0")?;
            namespace.sysctl("net.ipv4.conf.default.rp_filter", "0")?;
            // The kernel answers every echo request and UDP probe here; tests count answers.
            namespace.sysctl("net.ipv4.icmp_ratelimit", "0")?;

            Ok::<_, anyhow::Error>(namespace)
        };
        let many = |role: &str, count: u8| {
            (0..count)
                .map(|n| make(&format!("{role}{n}")))
                .collect::<Result<Vec<_>>>()
        };
        let bed = Bed {
            inet: make("inet")?,
            relay: make("relay")?,
            switch: make("sw")?,
            remotes: many("remote", self.remotes)?,
            gateways: many("gw", self.gateways)?,
            hosts: many("host", self.hosts)?,
            dir,
        };
        bed.lay_wan()?;
        bed.lay_lan()?;

        Ok(bed)
    }
}

/// A box with a cable to the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A remote player's PC.
    Remote(usize),
    /// The host of the relay.
    Relay,
    /// A gateway box at the party.
    Gateway(usize),
}

impl Side {
    /// Returns the third byte of the box's network `10.80.N.0/24`, and the last group of `fd80:N::/64`.
    fn network(self) -> u8 {
        match self {
            Self::Relay => 2,
            Self::Remote(n) => 10 + small(n),
            Self::Gateway(n) => 100 + small(n),
        }
    }

    /// Returns the name of the router's port towards this box.
    pub fn router_port(self) -> String {
        match self {
            Self::Relay => "relay".to_owned(),
            Self::Remote(n) => format!("remote{n}"),
            Self::Gateway(n) => format!("gw{n}"),
        }
    }
}

/// Boxes of one kind are counted in single figures.
fn small(n: usize) -> u8 {
    u8::try_from(n).expect("a bed has few boxes")
}

/// Which packets between a box and the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Those that the box sends.
    Out,
    /// Those that it would get.
    In,
}

/// The interface of every box towards the Internet.
pub const WAN: &str = "wan0";

/// The gateway box's interface towards the LAN.
pub const LAN: &str = "lan0";

/// The interface of a LAN host.
pub const ETH: &str = "eth0";

/// A party's network on this machine; see the crate's documentation for the picture.
///
/// Fields drop in order: boxes (with what runs in them) before the folder their programs write to.
#[derive(Debug)]
pub struct Bed {
    inet: Namespace,
    relay: Namespace,
    switch: Namespace,
    remotes: Vec<Namespace>,
    gateways: Vec<Namespace>,
    hosts: Vec<Namespace>,
    dir: TempDir,
}

impl Bed {
    /// Starts to describe a bed: one remote PC, one gateway box, one LAN host.
    pub fn builder() -> BedBuilder {
        BedBuilder {
            remotes: 1,
            gateways: 1,
            hosts: 1,
        }
    }

    /// Builds the ordinary bed: one remote PC, one gateway box, one LAN host.
    ///
    /// # Errors
    ///
    /// Returns an error that says what is missing.
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Returns the Internet's router.
    pub fn inet(&self) -> &Namespace {
        &self.inet
    }

    /// Returns the relay's host.
    pub fn relay(&self) -> &Namespace {
        &self.relay
    }

    /// Returns the party's switch.
    pub fn switch(&self) -> &Namespace {
        &self.switch
    }

    /// Returns remote PC `n`.
    ///
    /// # Panics
    ///
    /// Panics if the bed was built with fewer.
    pub fn remote(&self, n: usize) -> &Namespace {
        self.remotes
            .get(n)
            .expect("the bed was built with this remote")
    }

    /// Returns gateway box `n`.
    ///
    /// # Panics
    ///
    /// Panics if the bed was built with fewer.
    pub fn gateway(&self, n: usize) -> &Namespace {
        self.gateways
            .get(n)
            .expect("the bed was built with this gateway")
    }

    /// Returns LAN host `n`.
    ///
    /// # Panics
    ///
    /// Panics if the bed was built with fewer.
    pub fn host(&self, n: usize) -> &Namespace {
        self.hosts.get(n).expect("the bed was built with this host")
    }

    /// Returns the box on `side`.
    pub fn on(&self, side: Side) -> &Namespace {
        match side {
            Side::Remote(n) => self.remote(n),
            Side::Relay => &self.relay,
            Side::Gateway(n) => self.gateway(n),
        }
    }

    /// Returns the folder for this bed's files; it goes with the bed.
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// Returns the IPv4 address of a box on the Internet.
    pub fn wan_address(side: Side) -> Ipv4Addr {
        Ipv4Addr::new(10, 80, side.network(), 2)
    }

    /// Returns the relay's address with `port`.
    pub fn relay_address(port: u16) -> SocketAddr {
        SocketAddr::from((Self::wan_address(Side::Relay), port))
    }

    /// Returns the IPv4 address of LAN host `n`; host 0 is the party's DHCP server.
    pub fn host_address(n: usize) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 77, 10 + small(n))
    }

    /// Sets the MTU of both ends of a box's cable to the Internet.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses.
    pub fn set_wan_mtu(&self, side: Side, mtu: u32) -> Result<()> {
        link::set_mtu((self.on(side), WAN), mtu)?;

        link::set_mtu((&self.inet, &side.router_port()), mtu)
    }

    /// Lowers (or raises) only the router's port towards a box, so that packets find out on their way.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses.
    pub fn set_path_mtu(&self, side: Side, mtu: u32) -> Result<()> {
        link::set_mtu((&self.inet, &side.router_port()), mtu)
    }

    /// Makes a black hole: packets over `mtu` bytes between the Internet and a box vanish without a word, both ways.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses.
    pub fn set_black_hole(&self, side: Side, mtu: u32) -> Result<()> {
        // What the router itself would say of them finds no way.
        self.inet.sh("ip rule add iif lo ipproto icmp blackhole")?;

        self.set_path_mtu(side, mtu)
    }

    /// Pulls a box's Internet cable, or puts it back (with its default routes, as a DHCP client would).
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses.
    pub fn set_wan_up(&self, side: Side, up: bool) -> Result<()> {
        link::set_up((&self.inet, &side.router_port()), up)
    }

    /// Lets a box's packets of one way vanish without a word, or pass again.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses.
    pub fn set_silence(&self, side: Side, way: Way, on: bool) -> Result<()> {
        let verb = if on { "add" } else { "del" };
        let network = side.network();
        let (v4, v6) = match way {
            Way::Out => (format!("iif {}", side.router_port()), None),
            Way::In => (
                format!("to 10.80.{network}.0/24"),
                Some(format!("to fd80:{network}::/64")),
            ),
        };
        let v6 = v6.as_ref().unwrap_or(&v4);
        self.inet
            .sh(&format!("ip -4 rule {verb} pref 10 {v4} blackhole"))?;
        self.inet
            .sh(&format!("ip -6 rule {verb} pref 10 {v6} blackhole"))?;

        Ok(())
    }

    /// Gives a box another address (the last byte of its network), as when a player changes networks.
    ///
    /// # Errors
    ///
    /// Returns an error if the kernel refuses.
    pub fn set_wan_address(&self, side: Side, last: u8) -> Result<Ipv4Addr> {
        let network = side.network();
        let namespace = self.on(side);
        namespace.sh(&format!("ip -4 address flush dev {WAN}"))?;
        namespace.sh(&format!(
            "ip address add 10.80.{network}.{last}/24 dev {WAN}"
        ))?;
        namespace.sh(&format!("ip route replace default via 10.80.{network}.1"))?;

        Ok(Ipv4Addr::new(10, 80, network, last))
    }

    /// Switches the offloads of one cable, both ends.
    ///
    /// # Errors
    ///
    /// Returns an error if ethtool refuses.
    pub fn set_offloads(ends: [End<'_>; 2], on: bool) -> Result<()> {
        ends.into_iter()
            .try_for_each(|end| link::set_offloads(end, on))
    }

    /// Returns both ends of the cable between gateway box `n` and the switch.
    pub fn gateway_cable(&self, n: usize) -> [End<'_>; 2] {
        [
            (self.gateway(n), LAN),
            (&self.switch, GATEWAY_PORTS.get(n).expect("few gateways")),
        ]
    }

    /// Returns both ends of the cable between LAN host `n` and the switch.
    pub fn host_cable(&self, n: usize) -> [End<'_>; 2] {
        [
            (self.host(n), ETH),
            (&self.switch, HOST_PORTS.get(n).expect("few hosts")),
        ]
    }

    fn lay_wan(&self) -> Result<()> {
        let sides = (0..self.remotes.len())
            .map(Side::Remote)
            .chain([Side::Relay])
            .chain((0..self.gateways.len()).map(Side::Gateway));
        for side in sides {
            let (namespace, port, network) = (self.on(side), side.router_port(), side.network());
            link::cable((namespace, WAN), (&self.inet, &port))?;
            self.inet
                .sh(&format!("ip address add 10.80.{network}.1/24 dev {port}"))?;
            self.inet
                .sh(&format!("ip address add fd80:{network}::1/64 dev {port}"))?;
            namespace.sh(&format!("ip address add 10.80.{network}.2/24 dev {WAN}"))?;
            namespace.sh(&format!("ip address add fd80:{network}::2/64 dev {WAN}"))?;
            namespace.sh(&format!("ip route add default via 10.80.{network}.1"))?;
            namespace.sh(&format!("ip route add default via fd80:{network}::1"))?;
        }
        self.inet.sysctl("net.ipv4.ip_forward", "1")?;

        self.inet.sysctl("net.ipv6.conf.all.forwarding", "1")
    }

    fn lay_lan(&self) -> Result<()> {
        self.switch
            .sh("ip link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0")?;
        for n in 0..self.gateways.len() {
            let [gateway, port] = self.gateway_cable(n);
            self.plug(gateway, port)?;
            // The gateway's own stack has no business on the LAN; its packet socket sees every frame.
            self.gateway(n)
                .sysctl(&format!("net.ipv6.conf.{LAN}.disable_ipv6"), "1")?;
        }
        for n in 0..self.hosts.len() {
            let [host, port] = self.host_cable(n);
            self.plug(host, port)?;
            let address = Self::host_address(n);
            self.host(n).sh(&format!(
                "ip address add {address}/24 broadcast + dev {ETH}"
            ))?;
            self.host(n)
                .sh(&format!("ip address add fd77::{}/64 dev {ETH}", 10 + n))?;
            // A host's own way out: what has no better route (multicast, limited broadcast) leaves by the LAN.
            self.host(n).sh(&format!(
                "ip route add default via 192.168.77.254 dev {ETH}"
            ))?;
        }
        self.switch.sh("ip link set br0 up")?;

        Ok(())
    }

    fn plug(&self, end: End<'_>, port: End<'_>) -> Result<()> {
        link::cable(end, port)?;
        self.switch
            .sysctl(&format!("net.ipv6.conf.{}.disable_ipv6", port.1), "1")?;
        self.switch
            .sh(&format!("ip link set {} master br0", port.1))?;

        Ok(())
    }
}

/// The switch's ports towards gateway boxes.
const GATEWAY_PORTS: [&str; 4] = ["gw0", "gw1", "gw2", "gw3"];

/// The switch's ports towards LAN hosts.
const HOST_PORTS: [&str; 4] = ["host0", "host1", "host2", "host3"];

/// A folder that goes when dropped.
#[derive(Debug)]
struct TempDir(PathBuf);

impl TempDir {
    fn create(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .with_context(|| format!("failed to create {}", path.display()))?;

        Ok(Self(path))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if std::env::var_os("SOFTLAN_KEEP_LOGS").is_none() {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}
