//! A LAN attacks the PCs of players with the usual tools, and they keep their own way to the Internet.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::time::Duration;

use lanparty_e2e::attack::{run_all, watch};
use lanparty_e2e::bed::{Bed, ETH};
use lanparty_e2e::dhcp::EVERYTHING_SCRIPT;
use lanparty_e2e::frames::{BROADCAST, contains, ethernet, udp4};
use lanparty_e2e::link::wait_until;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::{Namespace, Party, Program, command};

const PATIENCE: Duration = Duration::from_secs(10);

/// A party whose player believes whatever the kernel can be told to believe.
fn credulous() -> Party {
    let party = Party::start_on(Bed::builder().hosts(2).build().unwrap(), 1).unwrap();
    let player = party.bed.remote(0);
    for (key, value) in [
        ("ipv6.conf.lanparty0.accept_ra", "2"),
        ("ipv6.conf.lanparty0.accept_ra_defrtr", "1"),
        ("ipv6.conf.lanparty0.accept_ra_rt_info_max_plen", "128"),
        ("ipv6.conf.lanparty0.accept_redirects", "1"),
        ("ipv4.conf.lanparty0.accept_redirects", "1"),
        ("ipv4.conf.lanparty0.secure_redirects", "0"),
        ("ipv4.conf.all.accept_redirects", "1"),
    ] {
        player.sysctl(&format!("net.{key}"), value).unwrap();
    }

    party
}

/// Every way out that is not the LAN itself.
fn ways_out(player: &Namespace) -> String {
    let mut lines: Vec<String> = ["ip -4 route", "ip -6 route"]
        .into_iter()
        .flat_map(|query| {
            let text = player.sh(query).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| line.contains(" via ") || line.starts_with("default"))
        .map(|line| {
            let words = line.split_whitespace();
            words
                .filter(|word| !word.ends_with("sec"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    lines.sort();

    lines.join("\n")
}

/// Returns what a frame says that would capture a player, if it says so; written without a look at the rewriting.
fn capturing(frame: &[u8]) -> Option<&'static str> {
    let at = |from: usize, len: usize| frame.get(from..from + len).unwrap_or_default();
    match (at(12, 2), at(20, 1), at(54, 1), at(23, 1), at(34, 1)) {
        ([0x86, 0xdd], [58], [137], ..) => Some("redirect"),
        ([0x86, 0xdd], [58], [134], ..) if at(60, 2) != [0, 0] => Some("router lifetime"),
        ([0x86, 0xdd], [58], [134], ..) => router_option(frame.get(70..).unwrap_or_default()),
        // Later fragments say nothing without the first one.
        ([0x86, 0xdd], [44], ..) if at(56, 2) == [0, 1] && matches!(at(62, 1), [134 | 137]) => {
            Some("fragmented router advertisement")
        }
        ([0x08, 0x00], _, _, [1], [5]) => Some("ICMP redirect"),
        _ => None,
    }
}

/// Route information, RDNSS and DNSSL (RFC 4191, RFC 8106).
fn router_option(mut options: &[u8]) -> Option<&'static str> {
    while let [kind, len, ..] = options {
        match kind {
            24 => return Some("route information"),
            25 => return Some("RDNSS"),
            31 => return Some("DNSSL"),
            _ => options = options.get(usize::from(*len).max(1) * 8..)?,
        }
    }

    None
}

/// Starts a DHCP server and router on LAN host 0 that offers everything which captures those who take it.
fn start_server(bed: &Bed) -> anyhow::Result<Program> {
    bed.serve_and_advertise(
        (bed.host(0), ETH),
        "evil",
        &[
            "--dhcp-range=192.168.77.100,192.168.77.199,255.255.255.0,1h",
            "--dhcp-range=fd77::200,fd77::2ff,slaac,64,1h",
            "--dhcp-option-force=3,192.168.77.66",
            "--dhcp-option-force=6,192.168.77.66",
            "--dhcp-option-force=15,evil.example",
            "--dhcp-option-force=33,8.8.8.8,192.168.77.66",
            "--dhcp-option-force=119,evil.example",
            "--dhcp-option-force=121,0.0.0.0/1,192.168.77.66,128.0.0.0/1,192.168.77.66",
            "--dhcp-option-force=249,0.0.0.0/1,192.168.77.66",
            "--dhcp-option-force=252,http://192.168.77.66/wpad.dat",
            "--dhcp-option=option6:dns-server,[fd77::66]",
            "--dhcp-option=option6:domain-search,evil.example",
        ],
    )
}

#[test]
fn dhcp_options_of_the_lan_do_not_capture_a_player() {
    let party = credulous();
    let bed = &party.bed;
    let player = bed.remote(0);
    let before = ways_out(player);
    let found = watch((player, TAP), capturing, || {
        let _server = start_server(bed)?;
        // The same server captures a PC of the LAN, so that the player's peace means something.
        let of_lan = everything(bed, bed.host(1), ETH);
        for word in ["192.168.77.66", "evil.example", "wpad.dat"] {
            assert!(of_lan.contains(word), "{word} in {of_lan}");
        }
        let of_player = everything(bed, player, TAP);
        assert!(of_player.contains("ip=192.168.77."), "{of_player}");
        for word in ["192.168.77.66", "evil", "wpad", "8.8.8.8"] {
            assert!(!of_player.contains(word), "{word} in {of_player}");
        }
        // Router advertisements come on request.
        player.sysctl("net.ipv6.conf.lanparty0.disable_ipv6", "1")?;
        player.sysctl("net.ipv6.conf.lanparty0.disable_ipv6", "0")?;
        std::thread::sleep(Duration::from_secs(5));
        Ok(())
    })
    .unwrap();

    assert_eq!(found, std::collections::BTreeMap::new());
    assert_eq!(ways_out(player), before);
    let announced = player.sh(&format!("ip -6 address show dev {TAP}")).unwrap();
    assert!(
        announced.contains("fd77:"),
        "advertisements arrive, with the prefix that they may have: {announced}"
    );
}

/// Returns what a player is told by a LAN that offers everything, and its ways out, if gateway and client have these options.
fn offered(at_gateway: &[&str], at_client: &[&str]) -> (String, String) {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    let mut gateway = bed.gateway_command(0, ROOM).unwrap();
    gateway.args(at_gateway);
    let mut gateway = Program::start(bed.dir(), "gateway", gateway).unwrap();
    gateway.wait_line("gateway ready").unwrap();
    let mut client = bed.client_command(0, ROOM).unwrap();
    client.args(at_client);
    let mut client = Program::start(bed.dir(), "client", client).unwrap();
    client.wait_line("joined").unwrap();
    let _server = start_server(&bed).unwrap();

    let player = bed.remote(0);
    let told = everything(&bed, player, TAP);
    // Router advertisements come on request; a way out comes with the prefix or not at all.
    player
        .sysctl("net.ipv6.conf.lanparty0.disable_ipv6", "1")
        .unwrap();
    player
        .sysctl("net.ipv6.conf.lanparty0.disable_ipv6", "0")
        .unwrap();
    wait_until("the LAN's prefix", PATIENCE, || {
        let shown = player.sh(&format!("ip -6 route show dev {TAP}"));
        shown.is_ok_and(|routes| routes.contains("fd77:"))
    })
    .unwrap();

    (told, ways_out(player))
}

/// Everything that can be kept.
const KEEP_ALL: [&str; 4] = [
    "--keep-dhcp-option",
    "router,dns,domain,static-routes,search,routes,ms-routes,252",
    "--keep-ipv6-router",
    "--keep-ipv6-dns",
];

#[test]
fn what_would_capture_a_player_passes_only_where_gateway_and_client_keep_it() {
    let is_way = |ways: &str| ways.lines().any(|line| line.contains(TAP));
    let (told, ways) = offered(&KEEP_ALL, &KEEP_ALL);
    for words in [
        "router=192.168.77.66",
        "dns=192.168.77.66",
        "domain=evil.example",
        "search=evil.example",
        "wpad=http://192.168.77.66",
        "8.8.8.8",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    assert!(is_way(&ways), "{ways}");

    for (at_gateway, at_client) in [(&KEEP_ALL[..], &[][..]), (&[], &KEEP_ALL)] {
        let (told, ways) = offered(at_gateway, at_client);
        for word in ["192.168.77.66", "evil", "wpad", "8.8.8.8"] {
            assert!(!told.contains(word), "{word} in {told}");
        }
        assert!(!is_way(&ways), "{ways}");
    }
}

#[test]
fn a_single_option_that_both_keep_passes_alone() {
    let keep = ["--keep-dhcp-option=dns"];
    let (told, _) = offered(&keep, &keep);

    assert!(told.contains("dns=192.168.77.66"), "{told}");
    assert!(
        !told.contains("router=") && !told.contains("evil"),
        "{told}"
    );
}

/// Gets a lease, and returns all that the server told.
fn everything(bed: &Bed, namespace: &Namespace, interface: &str) -> String {
    let script = bed.dir().join("everything.sh");
    let draft = bed.dir().join(format!("{}.sh", namespace.name()));
    fs::write(&draft, EVERYTHING_SCRIPT).unwrap();
    fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::rename(&draft, &script).unwrap();
    let file = bed.dir().join(format!("told-{}", namespace.name()));
    let mut udhcpc = namespace.command("udhcpc");
    udhcpc
        .args(["-i", interface, "-f", "-q", "-n", "-t", "10", "-T", "2"])
        .args(
            [
                "router",
                "dns",
                "domain",
                "routes",
                "search",
                "staticroutes",
                "msstaticroutes",
                "wpad",
            ]
            .map(|name| format!("-O{name}")),
        )
        .arg("-s")
        .arg(&script)
        .env("LEASE_FILE", &file);
    command::output(&mut udhcpc).unwrap();

    fs::read_to_string(file).unwrap()
}

#[test]
fn router_advertisements_and_redirects_of_the_lan_do_not_capture_a_player() {
    let party = credulous();
    let bed = &party.bed;
    let player = bed.remote(0);
    player
        .sh(&format!("ip address add fd77::99/64 dev {TAP} nodad"))
        .unwrap();
    let before = ways_out(player);

    let found = watch((player, TAP), capturing, || {
        let tools = [
            "atk6-fake_router26 -A 2001:db8:bad::/64 -R 2001:db8:bad:1::/64 -D 2001:db8::53 -L evil.example -i 1 eth0",
            "atk6-fake_router26 -E F -A 2001:db8:bad::/64 -i 1 eth0",
            "atk6-fake_router26 -E H -A 2001:db8:bad::/64 -i 1 eth0",
            "atk6-fake_router26 -E 1 -A 2001:db8:bad::/64 -i 1 eth0",
            "atk6-fake_router26 -E O -A 2001:db8:bad::/64 -i 1 eth0",
            "atk6-flood_router26 eth0",
            "atk6-redir6 eth0 fd77::99 2001:db8::1 fe80::1 fd77::66",
        ];
        run_all(bed, (bed.host(0), ETH), &tools.map(str::to_owned))?;
        redirect(&party)
    })
    .unwrap();

    assert_eq!(found, std::collections::BTreeMap::new());
    assert_eq!(ways_out(player), before);
}

/// Sends the player an ICMP redirect for the address of the relay (RFC 792), and then a frame that may pass.
fn redirect(party: &Party) -> anyhow::Result<()> {
    let host = RawSocket::open((party.bed.host(0), ETH))?;
    let player = RawSocket::open((party.bed.remote(0), TAP))?;
    let (from, to) = (party.host_mac(0)?, party.tunnel_mac(0)?);
    let redirected = udp4(
        ([10, 80, 10, 2], 5000),
        ([10, 80, 2, 2], 4433),
        b"redirected",
    );
    let message = [&[5, 1, 0, 0, 192, 168, 77, 66], &redirected[..28]].concat();
    let mut packet = udp4(
        ([192, 168, 77, 254], 0),
        ([192, 168, 77, 99], 0),
        &message[8..],
    );
    packet[9] = 1;
    packet.splice(20..28, message[..8].iter().copied());
    host.send(&ethernet(to, from, 0x0800, &packet))?;
    let last = udp4(
        ([192, 168, 77, 10], 9999),
        ([255; 4], 9999),
        b"behind the redirect",
    );
    host.send(&ethernet(BROADCAST, from, 0x0800, &last))?;
    player.expect("the frame behind the redirect", PATIENCE, |frame| {
        contains(frame, b"behind the redirect")
    })?;

    Ok(())
}
