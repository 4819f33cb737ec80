//! What an interface is, for refusals in sentences and for diagnosis.

use lanparty_proto::MacAddr;

/// What an interface is, read without changing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// Its name.
    pub name: String,
    /// Its number in this network namespace.
    pub index: u32,
    /// Its MAC address; all zeros if it is no Ethernet interface.
    pub mac: MacAddr,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its hardware type (`ARPHRD_*`, `linux/if_arp.h`); 1 is Ethernet.
    pub hardware_type: u16,
    /// What kind of device it is.
    pub kind: InterfaceKind,
    /// The name of its driver, if it tells.
    pub driver: Option<String>,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it has a link.
    pub carrier: bool,
    /// What the card and the kernel do with frames before we see them.
    pub offloads: Offloads,
}

impl InterfaceFacts {
    /// Returns whether frames on it are Ethernet frames (`ARPHRD_ETHER`).
    pub const fn is_ethernet(&self) -> bool {
        self.hardware_type == 1
    }
}

/// What kind of device an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    /// A network card, or something that looks like one.
    Wired,
    /// A wireless card: as a station it can send with its own MAC only.
    Wireless,
    /// A software bridge.
    Bridge,
    /// A VLAN of another interface.
    Vlan,
    /// The loopback.
    Loopback,
}

/// Offloads that change what a packet socket sees; `None` where the driver does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offloads {
    /// Generic receive offload: harmless, the virtio-net header says how to undo it.
    pub gro: Option<bool>,
    /// Large receive offload: merges what cannot be cut again. `ethtool -K IFACE lro off`.
    pub lro: Option<bool>,
    /// VLAN tags taken off on receive: harmless, auxiliary data brings them back.
    pub rx_vlan: Option<bool>,
    /// TCP segmentation on send.
    pub tso: Option<bool>,
    /// Generic segmentation on send.
    pub gso: Option<bool>,
}
