//! Bulk and sparse traffic of one player beside each other.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lanparty_e2e::bed::Bed;
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{RELAY_PORT, ROOM};
use lanparty_e2e::traffic::{ping, ping_with};
use lanparty_e2e::{Program, Side};

/// Starts a relay that lets each client send so many bytes a second, and so many at once.
fn start_relay(bed: &Bed, limit: &str) -> Program {
    let mut command = bed.program(Side::Relay, "lanparty-relay").unwrap();
    command
        .args(["--listen", &format!("{RELAY_PORT}/udp")])
        .args(["--client-bytes", limit])
        .arg("--dev-cert-out")
        .arg(bed.certificate());
    let mut relay = Program::start(bed.dir(), "relay", command).unwrap();
    relay.wait_line("relay ready").unwrap();

    relay
}

/// Sends some 5 MB/s from `socket` until `is_over`, and returns how many datagrams.
fn flood(socket: &UdpSocket, target: SocketAddr, is_over: &AtomicBool) -> u32 {
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..4 {
            sent += u32::from(socket.send_to(&[7; 1300], target).is_ok());
        }
        std::thread::sleep(Duration::from_millis(1));
    }

    sent
}

/// Counts what waits in `socket` and what still comes.
fn received(socket: &UdpSocket) -> u32 {
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut received = 0;
    while socket.recv(&mut [0; 2000]).is_ok() {
        received += 1;
    }

    received
}

#[test]
fn no_ping_is_lost_beside_an_upload_that_the_relay_limits() {
    let bed = Bed::new().unwrap();
    Bed::set_offloads(bed.gateway_cable(0), true).unwrap();
    Bed::set_offloads(bed.host_cable(0), true).unwrap();
    let _relay = start_relay(&bed, "500000/32768");
    let _gateway = bed.start_gateway(0, ROOM).unwrap();
    let _client = bed.start_client(0, ROOM).unwrap();
    let address = format!("ip address add 192.168.77.50/24 broadcast + dev {TAP}");
    bed.remote(0).sh(&address).unwrap();
    let host = SocketAddr::new(Bed::host_address(0).into(), 9);
    let target = bed.host(0).enter(|| UdpSocket::bind(host).unwrap());
    let source = (bed.remote(0)).enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    let is_over = AtomicBool::new(false);
    // The gateway asks the LAN about a new address before it believes it.
    let first = ping(bed.remote(0), host.ip(), 10).unwrap();
    assert!(first.received > 0, "the tunnel works");

    let (pings, sent) = std::thread::scope(|scope| {
        let sent = scope.spawn(|| flood(&source, host, &is_over));
        let pings = ping_with(
            bed.remote(0),
            host.ip(),
            &["-i", "0.01", "-c", "300", "-s", "500"],
        );
        is_over.store(true, Ordering::Relaxed);
        (pings.unwrap(), sent.join().unwrap())
    });

    let received = received(&target);
    assert!(
        received < sent / 2,
        "the relay limits: {received} of {sent}"
    );
    assert_eq!(pings.received, pings.sent, "beside {sent} datagrams");
}
