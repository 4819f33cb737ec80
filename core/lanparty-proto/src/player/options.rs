//! What a player takes from the LAN.

/// The DHCPv4 options that are taken out unless kept (RFC 2132, 3397, 3442; 249 and 252 are Microsoft's).
///
/// Routers, resolvers, domain, static routes, search list, classless routes twice, and the proxy script.
pub const STRIPPED_DHCP: [u8; 8] = [3, 6, 15, 33, 119, 121, 249, 252];

/// What a player takes from the LAN; the default takes nothing that moves traffic which is not the party's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlayerPolicy {
    kept: u8,
    /// Whether router advertisements keep their lifetime and routes.
    pub keep_router: bool,
    /// Whether router advertisements and DHCPv6 keep resolvers and search lists.
    pub keep_ipv6_resolvers: bool,
}

impl PlayerPolicy {
    /// Returns the policy with DHCPv4 option `code` kept.
    ///
    /// A code that is not in [`STRIPPED_DHCP`] is kept anyway.
    #[must_use]
    pub fn keep_dhcp(mut self, code: u8) -> Self {
        self.kept |= bit(code);
        self
    }

    /// Returns whether routes from DHCPv4 are kept.
    pub(super) fn keeps_routes(self) -> bool {
        const CLASSLESS_ROUTES: u8 = 121;

        !self.strips_dhcp(CLASSLESS_ROUTES)
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
        let policy = PlayerPolicy::default().keep_dhcp(6);

        for code in STRIPPED_DHCP {
            assert!(PlayerPolicy::default().strips_dhcp(code));
            assert_eq!(policy.strips_dhcp(code), code != 6);
        }
        assert!(!policy.strips_dhcp(1));
    }
}
