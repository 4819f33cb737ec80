//! The bed alone: what tests of the tunnel take for granted is true without a tunnel.
//!
//! Here the remote PC's cable ends in the party's switch.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lanparty_e2e::bed::{Bed, ETH, Side, WAN};
use lanparty_e2e::impair::{Impairment, Loss, Proxy};
use lanparty_e2e::link::{cable, snapshot};
use lanparty_e2e::raw::RawSocket;
use lanparty_e2e::traffic::{Enough, ping, tcp, udp_echo};
use lanparty_e2e::{frames, openttd};

const PATIENCE: Duration = Duration::from_secs(10);

/// A bed whose first remote PC is plugged into the switch as `eth0`.
fn plugged() -> Bed {
    let bed = Bed::new().unwrap();
    cable((bed.remote(0), ETH), (bed.switch(), "guest")).unwrap();
    bed.switch().sh("ip link set guest master br0").unwrap();

    bed
}

#[test]
fn every_box_reaches_the_relay_by_ipv4_and_ipv6() {
    let bed = Bed::builder().remotes(2).gateways(2).build().unwrap();

    for side in [
        Side::Remote(0),
        Side::Remote(1),
        Side::Gateway(0),
        Side::Gateway(1),
    ] {
        for address in [
            IpAddr::from(Bed::wan_address(Side::Relay)),
            "fd80:2::2".parse().unwrap(),
        ] {
            let ping = ping(bed.on(side), address, 1).unwrap();
            assert_eq!(ping.received, 1, "{side:?} to {address}");
        }
    }
}

#[test]
fn lan_and_internet_do_not_know_each_other() {
    let bed = Bed::new().unwrap();

    assert!(
        ping(bed.remote(0), Bed::host_address(0).into(), 1).is_ok_and(|ping| ping.received == 0)
    );
}

#[test]
fn dnsmasq_grants_a_lease_and_the_machine_s_resolver_stays() {
    let bed = plugged();
    let resolver = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    let _dnsmasq = bed.start_dnsmasq().unwrap();

    let lease = bed.lease(bed.remote(0), ETH).unwrap();

    assert_eq!(lease.server, Bed::host_address(0));
    assert_eq!(
        ping(bed.host(0), lease.address.into(), 1).unwrap().received,
        1
    );
    assert_eq!(
        std::fs::read("/etc/resolv.conf").unwrap_or_default(),
        resolver
    );
}

#[test]
fn openttd_is_found_by_broadcast_and_tells_its_name() {
    let bed = plugged();
    bed.remote(0)
        .sh("ip address add 192.168.77.50/24 broadcast + dev eth0")
        .unwrap();
    let _server = bed.start_openttd(bed.host(0), "the party's game").unwrap();

    let found = openttd::find(bed.remote(0), Ipv4Addr::new(192, 168, 77, 255), PATIENCE).unwrap();

    assert_eq!(found.ip(), IpAddr::from(Bed::host_address(0)));
    assert!(openttd::is_called(bed.remote(0), found, "the party's game").unwrap());
    assert!(!openttd::is_called(bed.remote(0), found, "another game").unwrap());
}

#[test]
fn transfers_arrive_whole_and_echoes_come_back() {
    let bed = Bed::new().unwrap();
    let relay = Bed::wan_address(Side::Relay).into();

    let transfer = tcp(bed.remote(0), bed.relay(), relay, Enough::Bytes(5_000_000)).unwrap();

    assert_eq!(transfer.bytes, 5_000_000);
    for size in [1, 512, 1472, 8000] {
        udp_echo(bed.remote(0), bed.relay(), relay, &vec![7; size]).unwrap();
    }
}

#[test]
fn raw_frames_arrive_unchanged_with_their_vlan_tags() {
    let bed = plugged();
    let (from, to) = (
        RawSocket::open((bed.remote(0), ETH)).unwrap(),
        RawSocket::open((bed.host(0), ETH)).unwrap(),
    );
    let source = [2, 0, 0, 0, 0, 9];
    let plain = frames::ethernet(frames::BROADCAST, source, 0x8137, b"no tag");
    let tagged = frames::ethernet(
        frames::BROADCAST,
        source,
        0x8100,
        b"\x60\x05\x81\x37one tag",
    );
    let stacked = frames::ethernet(
        frames::BROADCAST,
        source,
        0x88a8,
        b"\x00\x07\x81\x00\x00\x05\x81\x37two tags",
    );

    for frame in [plain, tagged, stacked] {
        from.send(&frame).unwrap();
        assert_eq!(
            to.expect("the frame", PATIENCE, |bytes| bytes[6..12] == source)
                .unwrap(),
            frame
        );
    }
}

#[test]
fn path_mtu_cable_and_address_change_as_told() {
    let bed = Bed::new().unwrap();
    let relay: IpAddr = Bed::wan_address(Side::Relay).into();
    let remote = bed.remote(0);

    bed.set_path_mtu(Side::Remote(0), 1300).unwrap();
    let back = bed.relay().sh("ping -n -c 1 -W 2 -s 1372 -M do 10.80.10.2");
    assert!(
        back.is_err_and(|error| error.to_string().contains("mtu = 1300")
            || error.to_string().contains("mtu=1300"))
    );

    bed.set_wan_up(Side::Remote(0), false).unwrap();
    assert!(ping(remote, relay, 1).is_ok_and(|ping| ping.received == 0));
    bed.set_wan_up(Side::Remote(0), true).unwrap();
    assert_eq!(ping(remote, relay, 1).unwrap().received, 1);

    let address = bed.set_wan_address(Side::Remote(0), 77).unwrap();
    assert_eq!(ping(bed.relay(), address.into(), 1).unwrap().received, 1);
}

#[test]
fn offloads_follow_the_switch_on_the_cable() {
    let bed = Bed::new().unwrap();
    let state = || bed.gateway(0).sh("ethtool -k lan0").unwrap();

    assert!(state().contains("tcp-segmentation-offload: off"));
    Bed::set_offloads(bed.gateway_cable(0), true).unwrap();
    assert!(state().contains("tcp-segmentation-offload: on"));
}

#[test]
fn impaired_line_loses_what_its_seed_says() {
    let bed = Bed::new().unwrap();
    let line = Impairment {
        loss: Loss::Independent(0.5),
        ..Impairment::default()
    };
    let lost = || {
        let server = bed
            .relay()
            .enter(|| std::net::UdpSocket::bind("10.80.2.2:0"))
            .unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let target = server.local_addr().unwrap();
        let proxy = bed
            .inet()
            .enter(|| {
                Proxy::start(
                    "10.80.10.1:0".parse().unwrap(),
                    target,
                    line,
                    Impairment::default(),
                    42,
                )
            })
            .unwrap();
        let client = bed
            .remote(0)
            .enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))
            .unwrap();
        for number in 0..50_u8 {
            client.send_to(&[number], proxy.address()).unwrap();
        }
        let mut arrived = Vec::new();
        let mut buffer = [0; 10];
        while let Ok(1) = server.recv(&mut buffer) {
            arrived.push(buffer[0]);
        }
        arrived
    };

    let first = lost();
    assert!((10..40).contains(&first.len()), "{first:?}");
    assert_eq!(first, lost());
}

#[test]
fn snapshot_shows_a_route_and_its_return() {
    let bed = Bed::new().unwrap();
    let before = snapshot(bed.remote(0)).unwrap();

    bed.remote(0)
        .sh(&format!("ip route add 224.0.0.0/4 dev {WAN}"))
        .unwrap();
    assert_ne!(snapshot(bed.remote(0)).unwrap(), before);
    bed.remote(0)
        .sh(&format!("ip route del 224.0.0.0/4 dev {WAN}"))
        .unwrap();
    assert_eq!(snapshot(bed.remote(0)).unwrap(), before);
}

#[test]
fn nothing_is_left_of_a_bed_whose_test_panics() {
    let result = std::thread::spawn(|| {
        let bed = Bed::new().unwrap();
        let names = [
            bed.remote(0).name().to_owned(),
            bed.dir().display().to_string(),
        ];
        let sleeper = lanparty_e2e::Program::start(bed.dir(), "sleeper", {
            let mut command = bed.remote(0).command("sleep");
            command.arg("1000");
            command
        })
        .unwrap();
        std::panic::panic_any((names, sleeper.pid()));
    })
    .join();
    let ([namespace, folder], pid) = *result
        .unwrap_err()
        .downcast::<([String; 2], u32)>()
        .unwrap();

    assert!(!std::path::Path::new("/run/netns").join(namespace).exists());
    assert!(!std::path::Path::new(&folder).exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn bed_of_a_killed_run_is_swept_by_the_next() {
    // A process that is over, as a crashed run: its id is free, and its namespace is still there.
    let mut over = lanparty_e2e::command::tool("true").spawn().unwrap();
    over.wait().unwrap();
    let name = format!("softlan-{:x}-0-remote0", over.id());
    lanparty_e2e::command::sh(&format!("ip netns add {name}")).unwrap();
    let mut inside = lanparty_e2e::command::tool("ip")
        .args(["netns", "exec", &name, "sleep", "1000"])
        .spawn()
        .unwrap();

    lanparty_e2e::netns::sweep();

    assert!(!std::path::Path::new("/run/netns").join(&name).exists());
    // The sleeper was killed with it, if it had entered already.
    drop(inside.kill());
    inside.wait().unwrap();
}
