//! A player's PC attacks the LAN with the usual tools, and a PC on the LAN does not notice.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use lanparty_e2e::attack::{forbidden_from_client, run_all, watch};
use lanparty_e2e::bed::{Bed, ETH, LAN};
use lanparty_e2e::dhcp::Lease;
use lanparty_e2e::frames::{contains, ethernet, ipx};
use lanparty_e2e::link::mac;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::siege::Member;
use lanparty_e2e::traffic::ping;
use lanparty_e2e::{Namespace, Party, Program};
use lanparty_proto::MacAddr;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A party with a victim on the LAN that has a lease, listens to router advertisements, and talks with host 0 by both protocols.
struct Siege {
    party: Party,
    _dnsmasq: Program,
    player: Lease,
}

const VICTIM: usize = 1;

impl Siege {
    fn new() -> Self {
        let bed = Bed::builder().hosts(2).build().unwrap();
        let victim = bed.host(VICTIM);
        victim
            .sysctl(&format!("net.ipv6.conf.{ETH}.accept_ra"), "2")
            .unwrap();
        victim
            .sysctl(&format!("net.ipv6.conf.{ETH}.accept_redirects"), "1")
            .unwrap();
        // What is announced for nothing is believed: the weakest victim there is.
        victim
            .sysctl(&format!("net.ipv4.conf.{ETH}.arp_accept"), "1")
            .unwrap();
        let party = Party::start_on(bed, 1).unwrap();
        let dnsmasq = party.bed.start_dnsmasq().unwrap();
        let player = party.bed.lease(party.bed.remote(0), TAP).unwrap();
        party
            .bed
            .remote(0)
            .sh(&format!("ip address add fd77::66/64 dev {TAP} nodad"))
            .unwrap();
        let siege = Self {
            party,
            _dnsmasq: dnsmasq,
            player,
        };
        // Everybody has spoken once, as machines on a LAN do all the time.
        for address in ["192.168.77.10", "fd77::10"] {
            let answered = ping(siege.victim(), address.parse().unwrap(), 1).unwrap();
            assert_eq!(answered.received, 1);
        }
        let answered = ping(siege.party.bed.host(0), "fd77::11".parse().unwrap(), 1).unwrap();
        assert_eq!(answered.received, 1);

        siege
    }

    fn victim(&self) -> &Namespace {
        self.party.bed.host(VICTIM)
    }

    /// Runs `tools` on the player's TAP; the victim's state must be the same, and nothing forbidden must have been on the LAN.
    fn endure(&self, tools: &[&str]) {
        let bed = &self.party.bed;
        let attacker = (bed.remote(0), TAP);
        let attacker_mac = self.party.tunnel_mac(0).unwrap();
        let honest = [
            (bed.host(0), ETH),
            (bed.switch(), "br0"),
            (bed.gateway(0), LAN),
        ]
        .map(|end| mac(end).unwrap());
        let before = state(self.victim());
        let words = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        let tools: Vec<String> = tools
            .iter()
            .map(|tool| tool.replace("MAC", &words(attacker_mac)))
            .collect();

        let found = watch(
            (self.victim(), ETH),
            |frame| match frame.get(6..12)? {
                source if source == attacker_mac => {
                    forbidden_from_client(frame, self.player.address)
                }
                source if honest.iter().any(|mac| mac == source) => None,
                // The gateway's search for loops has a type of its own (IEEE 802, local experimental).
                _ if frame.get(12..14) == Some(&[0x88, 0xb5]) => None,
                _ => Some("source of nobody"),
            },
            || run_all(bed, attacker, &tools),
        )
        .unwrap();

        assert_eq!(found, std::collections::BTreeMap::new());
        assert_eq!(state(self.victim()), before);
        for address in ["192.168.77.10", "fd77::10"] {
            let answered = ping(self.victim(), address.parse().unwrap(), 3).unwrap();
            assert_eq!(answered.received, 3, "{address} after the attack");
        }
    }
}

/// Routes, addresses, and who is who: everything but ages and the states of entries, which change by themselves.
fn state(victim: &Namespace) -> String {
    let mut lines = Vec::new();
    for query in [
        "ip -4 route",
        "ip -6 route",
        "ip -o -4 address show dev eth0",
        "ip -o -6 address show dev eth0",
    ] {
        let text = victim.sh(query).unwrap();
        lines.extend(text.lines().map(|line| {
            let words = line.split_whitespace();
            words
                .filter(|word| !word.ends_with("sec"))
                .collect::<Vec<_>>()
                .join(" ")
        }));
    }
    for address in ["192.168.77.10", "fd77::10"] {
        let query = format!("ip neighbour show {address} dev {ETH}");
        let mut entry = victim.sh(&query).unwrap();
        // All namespaces share one bound on neighbours, so that a flood elsewhere may make the kernel forget; it asks again then.
        if !entry.contains("lladdr") {
            ping(victim, address.parse().unwrap(), 1).unwrap();
            entry = victim.sh(&query).unwrap();
        }
        let mac = entry.split_whitespace().nth(2).unwrap_or_default();
        let is_router = entry.contains("router");
        lines.push(format!("{address} is {mac}, router: {is_router}"));
    }
    lines.sort();

    lines.join("\n")
}

#[test]
fn router_advertisements_and_redirects_of_a_player_move_nobody() {
    let siege = Siege::new();

    siege.endure(&[
        "atk6-fake_router26 -A 2001:db8:bad::/64 -R 2001:db8:bad:1::/64 -D 2001:db8::53 -i 1 lanparty0",
        "atk6-fake_router26 -E F -A 2001:db8:bad::/64 -i 1 lanparty0",
        "atk6-fake_router26 -E H -A 2001:db8:bad::/64 -i 1 lanparty0",
        "atk6-fake_router26 -E 1 -A 2001:db8:bad::/64 -i 1 lanparty0",
        "atk6-fake_router26 -E D -A 2001:db8:bad::/64 -i 1 lanparty0",
        "atk6-fake_router26 -E O -A 2001:db8:bad::/64 -i 1 lanparty0",
        "atk6-flood_router26 lanparty0",
        "atk6-flood_router26 -F lanparty0",
        "atk6-redir6 lanparty0 fd77::11 2001:db8::1 fd77::10 fd77::66 MAC",
        "atk6-fake_dhcps6 lanparty0 2001:db8:bad::/64 2001:db8::53",
    ]);
}

#[test]
fn neighbours_of_a_lan_pc_stay_who_they_are() {
    let siege = Siege::new();

    siege.endure(&[
        "atk6-parasite6 -l lanparty0",
        "atk6-fake_advertise6 -w 1 lanparty0 fd77::10",
        "atk6-fake_advertise6 -w 1 -r lanparty0 fd77::10 fd77::11 MAC",
        "atk6-fake_advertise6 -w 1 -F lanparty0 fd77::10 fd77::11 MAC",
        "atk6-fake_solicitate6 lanparty0 fd77::10",
        "atk6-flood_advertise6 lanparty0",
        "arpspoof -i lanparty0 -t 192.168.77.11 192.168.77.10",
        "arpspoof -i lanparty0 192.168.77.10",
    ]);
}

#[test]
fn a_lan_pc_gets_a_new_address_while_a_player_denies_it() {
    let siege = Siege::new();
    let bed = &siege.party.bed;
    let victim = siege.victim();
    victim
        .sysctl(&format!("net.ipv6.conf.{ETH}.accept_dad"), "1")
        .unwrap();

    let attacker = bed.remote(0);
    let mut command = attacker.command("atk6-dos-new-ip6");
    command.arg(TAP);
    let _denier = Program::start(bed.dir(), "deny", command).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    victim
        .sh(&format!("ip address add fd77::abcd/64 dev {ETH}"))
        .unwrap();
    lanparty_e2e::link::wait_until(
        "the end of duplicate address detection",
        std::time::Duration::from_secs(10),
        || !addresses(victim).contains("tentative"),
    )
    .unwrap();

    assert!(!addresses(victim).contains("dadfailed"));
    assert_eq!(
        ping(bed.host(0), "fd77::abcd".parse().unwrap(), 1)
            .unwrap()
            .received,
        1
    );
}

fn addresses(victim: &Namespace) -> String {
    victim
        .sh(&format!("ip -6 address show dev {ETH} to fd77::abcd"))
        .unwrap()
}

#[test]
fn a_switch_never_hears_what_a_player_tells_it() {
    let siege = Siege::new();

    // Attack numbers are yersinia's own: claim the root, flood, become the active router, take the LAN's leases.
    siege.endure(&[
        "yersinia stp -attack 4 -interface lanparty0",
        "yersinia stp -attack 2 -interface lanparty0",
        "yersinia cdp -attack 1 -interface lanparty0",
        "yersinia vtp -attack 0 -interface lanparty0",
        "yersinia hsrp -attack 0 -interface lanparty0",
        "yersinia hsrp -M -attack 0 -interface lanparty0",
        "yersinia dot1q -attack 1 -interface lanparty0",
        "yersinia dot1x -attack 0 -interface lanparty0",
        "yersinia mpls -attack 0 -interface lanparty0",
        "yersinia dhcp -attack 1 -interface lanparty0",
    ]);
}

#[test]
fn a_dhcp_server_and_router_of_a_player_serves_nobody_on_the_lan() {
    let siege = Siege::new();
    let bed = &siege.party.bed;
    let _rogue = bed
        .serve_and_advertise(
            (bed.remote(0), TAP),
            "rogue",
            &[
                "--dhcp-range=192.168.77.220,192.168.77.250,255.255.255.0,1h",
                "--dhcp-range=fd77::200,fd77::2ff,64,1h",
                "--dhcp-option=option:router,192.168.77.66",
                "--dhcp-option=option:dns-server,192.168.77.66",
            ],
        )
        .unwrap();

    let found = watch(
        (siege.victim(), ETH),
        |frame| {
            (frame.get(6..12) == Some(&siege.party.tunnel_mac(0).unwrap()))
                .then(|| forbidden_from_client(frame, siege.player.address))?
        },
        || {
            for _ in 0..3 {
                let lease = bed.lease(siege.victim(), ETH)?;
                assert_eq!(lease.server, Bed::host_address(0));
                assert_eq!(lease.router, Some(Bed::host_address(0)));
            }
            Ok(())
        },
    )
    .unwrap();

    assert_eq!(found, std::collections::BTreeMap::new());
    assert!(!state(siege.victim()).contains("192.168.77.66"));
}

#[test]
fn a_player_that_sends_a_lan_pcs_frames_is_blocked_and_named_to_everybody() {
    let bed = Bed::builder().remotes(2).build().unwrap();
    let mut party = Party::start_on(bed, 1).unwrap();
    let own = MacAddr([2, 0, 0, 0, 0, 0x66]);
    let group = [0xff; 6];
    let frame = |source: [u8; 6], marker: &[u8]| {
        ethernet(group, source, 0x8137, &ipx(group, source, marker))
    };
    let mut attacker = Member::join_from(&party.bed, 1, ROOM, own).unwrap();
    let host = RawSocket::open((party.bed.host(0), ETH)).unwrap();
    attacker.send(&frame(own.0, b"while it behaves"));
    host.expect("the player's own frame", PATIENCE, |frame| {
        contains(frame, b"while it behaves")
    })
    .unwrap();
    // The LAN PC looks for somebody who is not there, so that everybody hears it.
    drop(ping(
        party.bed.host(0),
        "192.168.77.200".parse().unwrap(),
        1,
    ));

    let foreign = frame(party.host_mac(0).unwrap(), b"of the LAN");
    let start = std::time::Instant::now();
    while !party.gateway.stdout().contains("is blocked for") {
        assert!(start.elapsed() < PATIENCE, "{}", party.gateway.story());
        attacker.send(&foreign);
        attacker
            .turn(std::time::Duration::from_millis(100))
            .unwrap();
    }

    let name = own.to_string();
    let line = party.gateway.wait_line("is blocked for").unwrap();
    assert!(line.contains(&name) && line.contains("60 s"), "{line}");
    let line = party.clients[0].wait_line("is blocked for").unwrap();
    assert!(line.contains(&name), "{line}");
    let line = party.relay.wait_log("closes a loop").unwrap();
    assert!(line.contains(&name), "{line}");
    // It is not heard any more, and others are.
    let honest = RawSocket::open((party.bed.remote(0), TAP)).unwrap();
    let honest_mac = party.tunnel_mac(0).unwrap();
    let found = watch(
        (party.bed.host(0), ETH),
        |frame| contains(frame, b"in the block").then_some("of the blocked player"),
        || {
            attacker.send(&frame(own.0, b"in the block"));
            attacker.turn(std::time::Duration::from_millis(100))?;
            honest.send(&frame(honest_mac, b"of another player"))?;
            host.expect("another player's frame", PATIENCE, |frame| {
                contains(frame, b"of another player")
            })?;
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(found, std::collections::BTreeMap::new());
}
