//! What a player takes from the LAN.

use std::str::FromStr;

/// The DHCPv4 options that are taken out unless kept (RFC 2132, 3397, 3442; 249 and 252 are Microsoft's).
///
/// Routers, resolvers, domain, static routes, search list, classless routes twice, and the proxy script.
pub const STRIPPED_DHCP: [u8; 8] = [3, 6, 15, 33, 119, 121, 249, 252];

/// Their names, in the same order, as options and documentation say them.
const NAMES: [&str; 8] = [
    "router",
    "dns",
    "domain",
    "static-routes",
    "search",
    "routes",
    "ms-routes",
    "wpad",
];

/// A DHCPv4 option that is taken out unless kept: one of [`STRIPPED_DHCP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DhcpOption(u8);

impl DhcpOption {
    /// Returns the option's number.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl FromStr for DhcpOption {
    type Err = DhcpOptionError;

    /// Reads an option by its name or number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.parse::<u8>().ok();

        STRIPPED_DHCP
            .into_iter()
            .zip(NAMES)
            .find(|&(option, name)| code == Some(option) || text == name)
            .map(|(option, _)| Self(option))
            .ok_or(DhcpOptionError)
    }
}

/// The text names no option that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing of that name is taken out; what can be kept is {list}, every other option passes anyway", list = list())]
pub struct DhcpOptionError;

/// The names and numbers of all, for a sentence.
fn list() -> String {
    let options = NAMES.iter().zip(STRIPPED_DHCP);
    let options: Vec<_> = options
        .map(|(name, code)| format!("{name} ({code})"))
        .collect();

    options.join(", ")
}

/// What a player takes from the LAN; the default takes nothing that moves traffic which is not the party's.
///
/// Gateway and client each have one, and a thing passes only where both keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlayerPolicy {
    kept: u8,
    /// Whether router advertisements keep their lifetime and routes.
    pub keep_router: bool,
    /// Whether router advertisements and DHCPv6 keep resolvers and search lists.
    pub keep_ipv6_resolvers: bool,
}

impl PlayerPolicy {
    /// Returns the policy with a DHCPv4 option kept.
    #[must_use]
    pub fn keep_dhcp(mut self, option: DhcpOption) -> Self {
        self.kept |= bit(option.0);
        self
    }

    /// Returns whether routes from DHCPv4 are kept.
    pub(super) fn keeps_routes(self) -> bool {
        const CLASSLESS_ROUTES: u8 = 121;

        !self.strips_dhcp(CLASSLESS_ROUTES)
    }

    /// Returns whether the player takes a router or routes from DHCPv4.
    pub fn takes_routes(self) -> bool {
        const ROUTES: [u8; 4] = [3, 33, 121, 249];

        ROUTES.into_iter().any(|code| !self.strips_dhcp(code))
    }

    /// Returns whether DHCPv4 option `code` is taken out.
    pub fn strips_dhcp(self, code: u8) -> bool {
        bit(code) & !self.kept != 0
    }
}

/// The bit of a code's place in [`STRIPPED_DHCP`], or none.
fn bit(code: u8) -> u8 {
    STRIPPED_DHCP
        .iter()
        .zip(0..)
        .find_map(|(&stripped, place)| (stripped == code).then_some(1 << place))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_single_options() {
        let policy = PlayerPolicy::default().keep_dhcp(DhcpOption(6));

        for code in STRIPPED_DHCP {
            assert!(PlayerPolicy::default().strips_dhcp(code));
            assert_eq!(policy.strips_dhcp(code), code != 6);
        }
        assert!(!policy.strips_dhcp(1));
    }

    #[test]
    fn options_are_read_by_name_and_by_number() {
        for (code, name) in STRIPPED_DHCP.into_iter().zip(NAMES) {
            let by_name: DhcpOption = name.parse().unwrap();
            assert_eq!(by_name.code(), code);
            assert_eq!(code.to_string().parse(), Ok(by_name));
        }
        for other in ["1", "", "Router", "256", "hostname"] {
            let error = other.parse::<DhcpOption>().unwrap_err();
            assert!(error.to_string().contains("router (3), dns (6)"));
        }
    }
}
