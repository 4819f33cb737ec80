//! `docs/policy.md` is written by this test and checked by it.

use std::fmt::Write as _;

use super::vectors::{self, Vector};
use super::with;
use crate::policy::{Policy, ProtocolClass, Refusal};

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

*From remote* is what clients send. *From LAN* is what the LAN says; before it enters the tunnel the gateway takes out what would
capture a player's Internet, and the client does the same again before the player gets it (`player::rewrite`, last table).

## Kinds

What remote clients may send is an allow-list of these. Relay, gateway and client each take `--allow-kind NAME` and
`--deny-kind NAME`, which may be repeated, or `SOFTLAN_ALLOW_KIND` and `SOFTLAN_DENY_KIND` with commas between the names; what is
named in both is denied. They decide one after the other, so a kind passes if all on its way let it: denying needs one of them,
allowing all (both clients and the relay between two players; the client, the relay and the gateway towards the LAN). What the
LAN sends is not behind this list. An option costs no time: a kind is one bit of a mask.

| kind | default | option | what it is |
|---|---|---|---|
",
    );
    for class in ProtocolClass::ALL {
        let (default, option) = if class.is_open_by_default() {
            ("open", "--deny-kind")
        } else {
            ("closed", "--allow-kind")
        };
        let option = code(&format!("{option} {}", class.as_str()));
        line(
            &mut text,
            &[&code(class.as_str()), default, &option, class.describe()],
        );
    }

    text.push_str("\n## What passes both ways\n\n| what | closed by | test |\n|---|---|---|\n");
    for vector in vectors::all()
        .iter()
        .filter(|vector| vector.from_remote.is_none())
    {
        line(
            &mut text,
            &[vector.kind, &closed_by(vector), &code(vector.name)],
        );
    }

    text.push_str(
        "\n## What is refused

What no option opens would let a remote player break or take over the LAN: a server's DHCP, a router's words, the names of others,
what switches and gateways say to each other, and every frame that hides what it is.

| what | from remote | from LAN | opened by | test |\n|---|---|---|---|---|\n",
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
                &opened_by(vector),
                &code(vector.name),
            ],
        );
    }

    text.push_str(
        "\n## Reasons\n\n| reason | what it means | lifted by | vectors |\n|---|---|---|---|\n",
    );
    for &refusal in Refusal::ALL {
        let has = |vector: &&Vector| vector.from_remote == Some(refusal);
        let count = vectors::all().iter().filter(has).count().to_string();
        let lifted = if refusal.is_final() {
            "nothing"
        } else {
            "`--allow-kind`"
        };
        line(
            &mut text,
            &[&code(refusal.as_str()), refusal.describe(), lifted, &count],
        );
    }
    text.push_str(TOWARDS_PLAYERS);

    text
}

const TOWARDS_PLAYERS: &str = "
## Towards players

Gateway and client each take this out, the gateway before the tunnel, the client behind it, and neither relies on the other: a thing is
kept only where both have the option that keeps it. `--keep-dhcp-option` takes names or numbers, may be repeated, and is
`SOFTLAN_KEEP_DHCP_OPTION` with commas between them: `router` (3), `dns` (6), `domain` (15), `static-routes` (33), `search` (119),
`routes` (121), `ms-routes` (249), `wpad` (252). What a PC does with what it gets is up to its system: Windows ignores a default route of
the party's adapter in any case, because the client has it do so. Checksums are right afterwards.

| what the LAN says | what becomes of it | kept by | test |
|---|---|---|---|
| DHCPv4 options 3, 6, 15, 33, 119, 121, 249, 252, also in `sname` and `file` | each becomes pad options | `--keep-dhcp-option` | `dhcp_loses_what_captures_and_keeps_the_rest` |
| DHCPv4 subnet mask shorter than /8 | becomes pad options | `--keep-dhcp-option routes` | `a_mask_over_half_the_internet_goes` |
| DHCPv4 in fragments | refused | | `dhcp_in_fragments_is_refused` |
| DHCPv6 resolvers and search list | become options that clients ignore | `--keep-ipv6-dns` | `dhcpv6_loses_resolvers` |
| router lifetime and preference | 0 | `--keep-ipv6-router` | `an_advertisement_loses_router_and_resolvers` |
| route information, NAT64 prefix | become options that hosts ignore | `--keep-ipv6-router` | `an_advertisement_loses_router_and_resolvers` |
| on-link flag of a prefix shorter than /64 | cleared | `--keep-ipv6-router` | `an_advertisement_loses_router_and_resolvers` |
| resolvers, search list and captive portal in router advertisements | become options that hosts ignore | `--keep-ipv6-dns` | `an_advertisement_loses_router_and_resolvers` |
| ICMP and ICMPv6 redirects, ICMP router advertisements | refused | | `redirects_are_refused` |
| IP, ARP or IPv6 inside 802.2 LLC or SNAP | refused | | `disguises_are_refused` |
| what one side keeps and the other does not | taken out | | `an_option_is_kept_only_where_gateway_and_client_keep_it` |

Written by `cargo test -q -p lanparty-proto --lib print_the_documentation -- --ignored --nocapture | sed -n '/^# /,/^Written by/p' > docs/policy.md`
";

fn line(text: &mut String, cells: &[&str]) {
    writeln!(text, "| {} |", cells.join(" | ")).unwrap();
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Names the kind without which a vector does not pass.
fn closed_by(vector: &Vector) -> String {
    let kinds: Vec<_> = ProtocolClass::ALL
        .iter()
        .filter(|&&class| with(Policy::DEFAULT.close(class), vector).is_some())
        .map(|class| code(class.as_str()))
        .collect();
    assert!(!kinds.is_empty(), "{} is in no kind", vector.name);

    kinds.join(", ")
}

/// Names the kind with which a vector passes.
fn opened_by(vector: &Vector) -> String {
    let kind = ProtocolClass::ALL
        .iter()
        .find(|&&class| with(Policy::DEFAULT.open(class), vector).is_none());

    kind.map_or_else(|| "nothing".to_owned(), |class| code(class.as_str()))
}

fn outcome(refusal: Option<Refusal>) -> String {
    refusal.map_or_else(|| "passes".to_owned(), |refusal| code(refusal.as_str()))
}
