//! The allow-list: classes of protocols that an operator opens or closes.

use std::str::FromStr;

use super::Refusal;
use crate::EtherType;

/// Writes the enum, its names and its list from one table, so that they cannot differ.
macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal, $open:literal;)+) => {
        /// Protocols that are opened or closed together, for frames from remote clients: what options call a kind.
        ///
        /// Opening a class never lets pass what has a refusal of its own ([`Refusal::is_final`]): switch control, PPPoE, IP in
        /// disguise, a server's DHCP.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ProtocolClass {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ProtocolClass {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name used by options and documentation.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns whether the class is open by default.
            pub const fn is_open_by_default(self) -> bool {
                match self {
                    $(Self::$variant => $open,)+
                }
            }

            /// Returns what the class is, in one sentence.
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+
                }
            }
        }
    };
}

classes! {
    /// IPv4: TCP, UDP, ICMP and a host's IGMP.
    Ipv4 => "ipv4", true;
    /// ARP requests and replies in the sender's own name.
    Arp => "arp", true;
    /// IPv6: TCP, UDP, and a host's ICMPv6.
    Ipv6 => "ipv6", true;
    /// IPX over EtherType 0x8137 or 0x8138, raw 802.3, 802.2 (SAP 0xE0) and SNAP.
    Ipx => "ipx", true;
    /// NetBIOS frames (NetBEUI) over 802.2 (SAP 0xF0).
    NetBeui => "netbeui", true;
    /// AppleTalk and its address resolution, over Ethernet II or SNAP.
    AppleTalk => "appletalk", true;
    /// Ad-hoc play of Sony's PSP (EtherType 0x88C8).
    PspAdhoc => "psp_adhoc", true;
    /// Wake-on-LAN frames (EtherType 0x0842); closed, because a remote player need not switch on the party's machines.
    WakeOnLan => "wake_on_lan", false;
    /// The EtherType for local experiments (0x88B6) that the gateway's own probes do not use.
    LocalExperimental => "local_experimental", false;
    /// IP protocols beside TCP, UDP, ICMP and IGMP, such as SCTP and ESP.
    OtherIp => "other_ip", false;
    /// EtherTypes that are of no other kind.
    OtherTypes => "other_types", false;
    /// 802.2 service access points and SNAP protocols that are of no other kind.
    OtherLlc => "other_llc", false;
}

impl ProtocolClass {
    /// Returns the class of an EtherType.
    pub const fn of_type(kind: EtherType) -> Self {
        match kind.0 {
            0x0800 => Self::Ipv4,
            0x0806 => Self::Arp,
            0x86dd => Self::Ipv6,
            0x8137 | 0x8138 => Self::Ipx,
            0x809b | 0x80f3 => Self::AppleTalk,
            0x88c8 => Self::PspAdhoc,
            0x0842 => Self::WakeOnLan,
            0x88b6 => Self::LocalExperimental,
            _ => Self::OtherTypes,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl FromStr for ProtocolClass {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let class = Self::ALL.iter().find(|class| class.as_str() == text);
        let refusal = Refusal::ALL
            .iter()
            .find(|refusal| refusal.as_str() == text && refusal.is_final());

        class
            .copied()
            .ok_or_else(|| refusal.map_or(KindError::Unknown, |refusal| KindError::Final(*refusal)))
    }
}

/// The text names no kind that can be opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// There is no such kind.
    #[error("there is no such kind; the kinds are {names}", names = names())]
    Unknown,
    /// It is the reason of a refusal that keeps the LAN safe.
    #[error(
        "{name} is always refused and no option opens it, because it would let a remote player break the LAN; the kinds are {names}",
        name = .0.as_str(),
        names = names()
    )]
    Final(Refusal),
}

/// The names of all kinds, for a sentence.
fn names() -> String {
    let names: Vec<_> = ProtocolClass::ALL
        .iter()
        .map(|class| class.as_str())
        .collect();

    names.join(", ")
}

/// Which classes of protocols remote clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    open: u16,
}

impl Policy {
    /// The safe default: what games on a LAN speak, and nothing else.
    pub const DEFAULT: Self = {
        let mut open = 0;
        let mut rest = ProtocolClass::ALL;
        while let [class, tail @ ..] = rest {
            if class.is_open_by_default() {
                open |= class.bit();
            }
            rest = tail;
        }

        Self { open }
    };

    /// Returns the default with the classes of `allow` open and those of `deny` closed; what is in both is closed.
    pub fn with(allow: &[ProtocolClass], deny: &[ProtocolClass]) -> Self {
        let open = allow
            .iter()
            .fold(Self::DEFAULT, |policy, class| policy.open(*class));

        deny.iter().fold(open, |policy, class| policy.close(*class))
    }

    /// Returns the policy with `class` open.
    #[must_use]
    pub const fn open(self, class: ProtocolClass) -> Self {
        Self {
            open: self.open | class.bit(),
        }
    }

    /// Returns the policy with `class` closed.
    #[must_use]
    pub const fn close(self, class: ProtocolClass) -> Self {
        Self {
            open: self.open & !class.bit(),
        }
    }

    /// Returns whether `class` is open.
    #[inline]
    pub const fn allows(self, class: ProtocolClass) -> bool {
        self.open & class.bit() != 0
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_and_closes_one_class_at_a_time() {
        for &class in ProtocolClass::ALL {
            let opened = Policy::DEFAULT.open(class);
            let closed = opened.close(class);

            assert!(opened.allows(class));
            assert!(!closed.allows(class));
            for &other in ProtocolClass::ALL.iter().filter(|&&other| other != class) {
                assert_eq!(closed.allows(other), other.is_open_by_default());
            }
        }
    }

    #[test]
    fn reads_the_names_it_prints() {
        for &class in ProtocolClass::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
        }
        assert_eq!("ip".parse::<ProtocolClass>(), Err(KindError::Unknown));
        // A reason that is merely "not on the list" is no kind, and nothing to be afraid of.
        assert_eq!(
            "ether_type".parse::<ProtocolClass>(),
            Err(KindError::Unknown)
        );
    }

    #[test]
    fn an_unknown_kind_is_answered_with_all_names() {
        let sentence = "ip".parse::<ProtocolClass>().unwrap_err().to_string();

        for class in ProtocolClass::ALL {
            assert!(sentence.contains(class.as_str()), "{sentence}");
        }
    }

    #[test]
    fn what_keeps_the_lan_safe_cannot_be_named_as_a_kind() {
        let error = "dhcp_server".parse::<ProtocolClass>().unwrap_err();

        assert_eq!(error, KindError::Final(Refusal::DhcpServer));
        assert!(error.to_string().contains("no option opens it"), "{error}");
    }

    #[test]
    fn denying_wins_over_allowing() {
        let both = [ProtocolClass::Ipx, ProtocolClass::WakeOnLan];
        let policy = Policy::with(&both, &[ProtocolClass::WakeOnLan]);

        assert_eq!(policy, Policy::DEFAULT);
    }
}
