//! Ways to the relay: by IPv6, over a bad line, through a NAT that forgets.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::time::Duration;

use lanparty_e2e::bed::Bed;
use lanparty_e2e::impair::{Impairment, Loss, Proxy};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{RELAY_PORT, ROOM};
use lanparty_e2e::traffic::{Enough, ping, tcp};
use lanparty_e2e::{Party, Program};

/// The router's address towards remote PC 0: where impaired lines begin.
const ROUTER: &str = "10.80.10.1:0";

/// Joins by `address` and gives the TAP an address, so that pings tell whether the tunnel works.
fn join(bed: &Bed, address: SocketAddr) -> Program {
    let command = bed.client_command_by(0, address, ROOM).unwrap();
    let mut client = Program::start(bed.dir(), "client", command).unwrap();
    client.wait_line("joined").unwrap();
    bed.remote(0)
        .sh(&format!(
            "ip address add 192.168.77.50/24 broadcast + dev {TAP}"
        ))
        .unwrap();

    client
}

/// Puts a bad line, the same each way, between remote PC 0 and the relay.
fn line(bed: &Bed, impairment: Impairment, seed: u64) -> Proxy {
    let relay = Bed::relay_address(RELAY_PORT);

    bed.inet()
        .enter(|| Proxy::start(ROUTER.parse().unwrap(), relay, impairment, impairment, seed))
        .unwrap()
}

#[test]
fn relay_is_reached_by_ipv6() {
    let bed = Bed::new().unwrap();
    let mut command = bed
        .program(lanparty_e2e::Side::Relay, "lanparty-relay")
        .unwrap();
    command
        .args(["--listen", &format!("[::]:{RELAY_PORT}")])
        .arg("--dev-cert-out")
        .arg(bed.certificate());
    let mut relay = Program::start(bed.dir(), "relay", command).unwrap();
    relay.wait_line("relay ready").unwrap();
    // One socket for both: the gateway comes by IPv4.
    let _gateway = bed.start_gateway(0, ROOM).unwrap();

    let _client = join(
        &bed,
        SocketAddr::new("fd80:2::2".parse().unwrap(), RELAY_PORT),
    );

    assert_eq!(
        ping(bed.remote(0), Bed::host_address(0).into(), 3)
            .unwrap()
            .received,
        3
    );
}

#[test]
fn transfers_arrive_whole_over_a_bad_line() {
    let party = Party::start_on(Bed::new().unwrap(), 0).unwrap();
    let impairment = Impairment {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(3),
        loss: Loss::Independent(0.01),
        reorder: 0.05,
        reorder_by: Duration::from_millis(5),
        duplicate: 0.02,
        corrupt: 0.01,
        ..Impairment::default()
    };
    let proxy = line(&party.bed, impairment, 0x50f7_1a4e);
    let _client = join(&party.bed, proxy.address());

    let lan = Bed::host_address(0).into();
    tcp(
        party.bed.remote(0),
        party.bed.host(0),
        lan,
        Enough::Bytes(2_000_000),
    )
    .unwrap();
    tcp(
        party.bed.host(0),
        party.bed.remote(0),
        "192.168.77.50".parse().unwrap(),
        Enough::Bytes(2_000_000),
    )
    .unwrap();
}

#[test]
fn another_source_port_ends_nothing() {
    let party = Party::start_on(Bed::new().unwrap(), 0).unwrap();
    let proxy = line(&party.bed, Impairment::default(), 1);
    let _client = join(&party.bed, proxy.address());
    let lan = Bed::host_address(0).into();
    assert_eq!(ping(party.bed.remote(0), lan, 2).unwrap().received, 2);

    proxy.rebind();

    // The packet that tells the relay of the new port may be lost with its answer; then everything flows again.
    let _first = ping(party.bed.remote(0), lan, 3).unwrap();
    assert_eq!(ping(party.bed.remote(0), lan, 5).unwrap().received, 5);
}
