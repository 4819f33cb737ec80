//! The options about what a player takes from the LAN.

use lanparty_proto::player::{DhcpOption, PlayerPolicy};

/// What the player keeps of what the LAN says, though it moves traffic that is not the party's.
#[derive(clap::Args, Debug, Clone, Default)]
#[group(id = "keep")]
pub struct KeepArgs {
    /// Let players have an option of the LAN's DHCP server that would move their other traffic: router, dns, domain, static-routes, search, routes, ms-routes, wpad, or its number; may be repeated
    ///
    /// Both the gateway and the client take such options out, so that both need this: a thing is kept only where both keep it.
    #[arg(
        long = "keep-dhcp-option",
        env = "SOFTLAN_KEEP_DHCP_OPTION",
        value_name = "OPTION",
        value_delimiter = ','
    )]
    pub dhcp_option: Vec<DhcpOption>,

    /// Let router advertisements of the LAN keep their router lifetime and routes: the LAN becomes a player's way to the IPv6 Internet; needed at both the gateway and the client
    #[arg(long = "keep-ipv6-router", env = "SOFTLAN_KEEP_IPV6_ROUTER")]
    pub ipv6_router: bool,

    /// Let router advertisements and DHCPv6 of the LAN keep name servers and search lists; needed at both the gateway and the client
    #[arg(long = "keep-ipv6-dns", env = "SOFTLAN_KEEP_IPV6_DNS")]
    pub ipv6_dns: bool,
}

impl KeepArgs {
    /// Returns what the player takes from the LAN, as far as this program decides.
    pub fn player(&self) -> PlayerPolicy {
        let mut policy = PlayerPolicy::default();
        policy.keep_router = self.ipv6_router;
        policy.keep_ipv6_resolvers = self.ipv6_dns;

        self.dhcp_option
            .iter()
            .fold(policy, |policy, option| policy.keep_dhcp(*option))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lanparty_proto::player::options::STRIPPED_DHCP;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        keep: KeepArgs,
    }

    fn player(arguments: &[&str]) -> PlayerPolicy {
        let arguments = [&["program"], arguments].concat();

        Cli::try_parse_from(arguments).unwrap().keep.player()
    }

    #[test]
    fn nothing_is_kept_that_nobody_asked_for() {
        assert_eq!(player(&[]), PlayerPolicy::default());
    }

    #[test]
    fn options_are_kept_by_name_and_number_in_lists_and_repeated() {
        let policy = player(&["--keep-dhcp-option", "router,6", "--keep-dhcp-option=252"]);

        let left = STRIPPED_DHCP
            .into_iter()
            .filter(|&code| policy.strips_dhcp(code));
        assert_eq!(left.collect::<Vec<_>>(), [15, 33, 119, 121, 249]);
        assert!(!policy.keep_router && !policy.keep_ipv6_resolvers);
    }

    #[test]
    fn router_and_name_servers_of_ipv6_are_kept_each_by_itself() {
        assert!(player(&["--keep-ipv6-router"]).keep_router);
        assert!(player(&["--keep-ipv6-dns"]).keep_ipv6_resolvers);
        assert_ne!(
            player(&["--keep-ipv6-router"]),
            player(&["--keep-ipv6-dns"])
        );
    }
}
