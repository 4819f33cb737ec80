//! Whether a network interface can be bridged, before anybody is told that it is.

use std::io::ErrorKind;

use lanparty_packet::{InterfaceFacts, InterfaceKind, OpenError};
use lanparty_program::{Refused, chain};

/// `ENODEV`: what the kernel says about an interface that is not there.
const NO_DEVICE: i32 = 19;

/// Reads what the interface `name` is.
///
/// # Errors
///
/// Returns the sentence that says what is wrong and what to do.
pub(crate) fn read(name: &str) -> Result<InterfaceFacts, Refused> {
    InterfaceFacts::read(name).map_err(|error| {
        Refused(match error.raw_os_error() {
            Some(NO_DEVICE) => format!(
                "there is no network interface {name}; `ip link` lists those that there are"
            ),
            _ => format!("the network interface {name} cannot be read: {error}"),
        })
    })
}

/// Says why the interface `name` cannot be opened and what to do.
pub(crate) fn cannot_open(name: &str, error: &OpenError) -> Refused {
    if let OpenError::Socket(source) = error
        && source.kind() == ErrorKind::PermissionDenied
    {
        return Refused(format!(
            "no permission to read and write frames on {name}; run the gateway as root, or give it CAP_NET_RAW (`setcap cap_net_raw+ep`, or AmbientCapabilities= in its service)"
        ));
    }

    Refused(format!("{name} cannot be opened: {}", chain(error)))
}

/// Checks that `facts` describe a card on which remote players can be put.
///
/// # Errors
///
/// Returns the sentence that says what is wrong and what to do.
pub(crate) fn check(facts: &InterfaceFacts) -> Result<(), Refused> {
    let name = &facts.name;
    let refuse = |sentence: String| Err(Refused(sentence));
    if facts.kind == InterfaceKind::Loopback || !facts.is_ethernet() {
        return refuse(format!(
            "{name} is no Ethernet interface; name the card that is plugged into the party's switch"
        ));
    }
    if facts.kind == InterfaceKind::Wireless {
        return refuse(format!(
            "{name} is a Wi-Fi card, and access points take only its own frames from it; use a wired card, plugged into the party's switch"
        ));
    }
    if !facts.up {
        return refuse(format!(
            "{name} is switched off; switch it on with `ip link set {name} up`"
        ));
    }
    if !facts.carrier {
        return refuse(format!(
            "{name} has no link; plug it into the party's switch"
        ));
    }
    if facts.offloads.lro == Some(true) {
        return refuse(format!(
            "{name} merges received packets in a way that cannot be undone (LRO); switch that off with `ethtool -K {name} lro off`"
        ));
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use lanparty_packet::Offloads;
    use lanparty_proto::MacAddr;

    use super::*;

    fn card() -> InterfaceFacts {
        InterfaceFacts {
            name: "eth0".to_owned(),
            index: 2,
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            hardware_type: 1,
            kind: InterfaceKind::Wired,
            driver: None,
            up: true,
            carrier: true,
            offloads: Offloads::default(),
        }
    }

    fn sentence(facts: &InterfaceFacts) -> String {
        check(facts).unwrap_err().0
    }

    #[test]
    fn takes_a_wired_card_with_a_link() {
        assert!(check(&card()).is_ok());
    }

    #[test]
    fn says_what_to_do_about_every_other() {
        let wireless = InterfaceFacts {
            kind: InterfaceKind::Wireless,
            ..card()
        };
        let other = InterfaceFacts {
            hardware_type: 65_534,
            ..card()
        };
        let off = InterfaceFacts {
            up: false,
            ..card()
        };
        let unplugged = InterfaceFacts {
            carrier: false,
            ..card()
        };
        let merging = InterfaceFacts {
            offloads: Offloads {
                lro: Some(true),
                ..Offloads::default()
            },
            ..card()
        };

        assert!(sentence(&wireless).contains("use a wired card"));
        assert!(sentence(&other).contains("no Ethernet interface"));
        assert!(sentence(&off).contains("ip link set eth0 up"));
        assert!(sentence(&unplugged).contains("plug it"));
        assert!(sentence(&merging).contains("lro off"));
    }
}
