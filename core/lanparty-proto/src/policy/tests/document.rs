//! `docs/policy.md` is written by this test and checked by it.

use std::fmt::Write as _;

use super::vectors::{self, Vector};
use crate::policy::{Class, Refusal};

const DOCUMENT: &str = include_str!("../../../../../docs/policy.md");

#[test]
fn the_documentation_and_the_code_agree() {
    let expected = render();
    let differing = DOCUMENT
        .lines()
        .zip(expected.lines())
        .find(|(found, expected)| found != expected);

    assert_eq!(
        differing, None,
        "docs/policy.md is out of date; write it anew with the command in its last line"
    );
    assert_eq!(DOCUMENT.len(), expected.len());
}

#[test]
#[ignore = "prints docs/policy.md; checks nothing"]
fn print_the_documentation() {
    print!("{}", render());
}

fn render() -> String {
    let mut text = String::from(
        "# The safety policy

Which frames pass between remote clients and the LAN. One pure function decides (`policy::check` in `lanparty-proto`), and
client, relay and gateway all call it, so that the receiver is never weaker than the sender. This page is generated from the
table of test vectors: each row is a frame that the test `every_vector_gets_its_verdict` builds and judges, under the name in
the last column. The disguises in which each refusal holds too are in the test `no_disguise_helps`.

*From remote* is what clients send. *From LAN* is what the gateway sends; before a player gets it, `player::rewrite` has
taken out what would capture the player's Internet.

## Classes

An operator opens and closes these for remote clients. What has a refusal of its own below stays refused.

| class | default | what it is |
|---|---|---|
",
    );
    for class in Class::ALL {
        let default = if class.is_open_by_default() {
            "open"
        } else {
            "closed"
        };
        line(
            &mut text,
            &[&code(class.as_str()), default, class.describe()],
        );
    }

    text.push_str("\n## What passes both ways\n\n| kind | test |\n|---|---|\n");
    for vector in vectors::all()
        .iter()
        .filter(|vector| vector.from_remote.is_none())
    {
        line(&mut text, &[vector.kind, &code(vector.name)]);
    }

    text.push_str(
        "\n## What is refused\n\n| kind | from remote | from LAN | test |\n|---|---|---|---|\n",
    );
    for vector in vectors::all()
        .iter()
        .filter(|vector| vector.from_remote.is_some())
    {
        line(
            &mut text,
            &[
                vector.kind,
                &outcome(vector.from_remote),
                &outcome(vector.from_lan),
                &code(vector.name),
            ],
        );
    }

    text.push_str("\n## Reasons\n\n| reason | what it means | vectors |\n|---|---|---|\n");
    for &refusal in Refusal::ALL {
        let has = |vector: &&Vector| vector.from_remote == Some(refusal);
        let count = vectors::all().iter().filter(has).count().to_string();
        line(
            &mut text,
            &[&code(refusal.as_str()), refusal.describe(), &count],
        );
    }
    text.push_str(TOWARDS_PLAYERS);

    text
}

const TOWARDS_PLAYERS: &str = "
## Towards players

| what the LAN says | what becomes of it | kept by | test |
|---|---|---|---|
| DHCPv4 options 3, 6, 15, 33, 119, 121, 249, 252, also in `sname` and `file` | each becomes pad options | `keep_dhcp(code)` | `dhcp_loses_what_captures_and_keeps_the_rest` |
| DHCPv4 subnet mask shorter than /8 | becomes pad options | `keep_dhcp(121)` | `a_mask_over_half_the_internet_goes` |
| DHCPv4 in fragments | refused | | `dhcp_in_fragments_is_refused` |
| DHCPv6 resolvers and search list | become options that clients ignore | `keep_ipv6_resolvers` | `dhcpv6_loses_resolvers` |
| router lifetime and preference | 0 | `keep_router` | `an_advertisement_loses_router_and_resolvers` |
| route information, NAT64 prefix | become options that hosts ignore | `keep_router` | `an_advertisement_loses_router_and_resolvers` |
| on-link flag of a prefix shorter than /64 | cleared | `keep_router` | `an_advertisement_loses_router_and_resolvers` |
| resolvers, search list and captive portal in router advertisements | become options that hosts ignore | `keep_ipv6_resolvers` | `an_advertisement_loses_router_and_resolvers` |
| ICMP and ICMPv6 redirects, ICMP router advertisements | refused | | `redirects_are_refused` |
| IP, ARP or IPv6 inside 802.2 LLC or SNAP | refused | | `disguises_are_refused` |

Written by `cargo test -q -p lanparty-proto --lib print_the_documentation -- --ignored --nocapture | sed -n '/^# /,/^Written by/p' > docs/policy.md`
";

fn line(text: &mut String, cells: &[&str]) {
    writeln!(text, "| {} |", cells.join(" | ")).unwrap();
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn outcome(refusal: Option<Refusal>) -> String {
    refusal.map_or_else(|| "passes".to_owned(), |refusal| code(refusal.as_str()))
}
