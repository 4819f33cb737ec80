//! What a gateway may do, and what it keeps over a restart.

use std::fs;
use std::os::unix::fs::chown;

use lanparty_e2e::bed::{Bed, LAN, Side};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::{ROOM, binary};
use lanparty_e2e::traffic::{ping, ping_with};
use lanparty_e2e::{Party, Program};

/// Nobody in particular.
const NOBODY: u32 = 65_534;

#[test]
fn cap_net_raw_is_enough_and_given_up() {
    let bed = Bed::new().unwrap();
    let _relay = bed.start_relay().unwrap();
    // Where an ordinary user can read it.
    let program = bed.dir().join("gateway");
    fs::copy(binary("lanparty-gateway").unwrap(), &program).unwrap();
    let state = bed.dir().join("state-nobody");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();

    let mut command = bed.on(Side::Gateway(0)).command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw"])
        .arg("--bounding-set=-all,+net_raw")
        .arg(&program)
        .args(["--relay", "10.80.2.2:4433", "--room", ROOM])
        .args(["--interface", LAN, "--relay-ca-cert"])
        .arg(bed.certificate())
        .arg("--state-dir")
        .arg(&state);
    let mut gateway = Program::start(bed.dir(), "gateway", command).unwrap();
    gateway.wait_line("gateway ready").unwrap();

    for task in fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let none = format!("{set}:\t0000000000000000");
            assert!(status.contains(&none), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains(&format!("Uid:\t{NOBODY}")), "{status}");
    }
    let _client = bed.start_client(0, ROOM).unwrap();
    bed.remote(0)
        .sh(&format!("ip address add 192.168.77.99/24 dev {TAP}"))
        .unwrap();
    let answered = ping(bed.remote(0), Bed::host_address(0).into(), 2).unwrap();
    assert_eq!(answered.received, 2);
}

#[test]
fn no_permission_is_told_so() {
    let bed = Bed::new().unwrap();
    let state = bed.dir().join("state-nobody");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();

    for (name, more, needed) in [
        ("lanparty-gateway", &["--interface", LAN][..], "CAP_NET_RAW"),
        ("lanparty-client-linux", &[], "CAP_NET_ADMIN"),
    ] {
        let program = bed.dir().join(name);
        fs::copy(binary(name).unwrap(), &program).unwrap();
        let mut command = bed.on(Side::Gateway(0)).command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["--inh-caps=-all", "--bounding-set=-all"])
            .arg(&program)
            .args(["--relay", "10.80.2.2:4433", "--room", ROOM])
            .args(more)
            .arg("--state-dir")
            .arg(&state);

        let mut program = Program::start(bed.dir(), name, command).unwrap();
        let status = program.wait(std::time::Duration::from_secs(10)).unwrap();

        assert_eq!(status.code(), Some(2), "{}", program.stderr());
        let text = program.stderr();
        assert!(text.contains("as root") && text.contains(needed), "{text}");
    }
}

#[test]
fn address_bindings_outlive_a_killed_gateway() {
    let bed = Bed::builder().remotes(2).build().unwrap();
    let mut party = Party::start_on(bed, 2).unwrap();
    let host = Bed::host_address(0).into();
    for (n, address) in [(0, "192.168.77.98/24"), (1, "192.168.77.99/24")] {
        let remote = party.bed.remote(n);
        remote
            .sh(&format!("ip address add {address} dev {TAP}"))
            .unwrap();
        let answered = ping(remote, host, 2).unwrap();
        assert_eq!(answered.received, 2);
    }
    let file = party
        .bed
        .dir()
        .join("state-gw0")
        .join(format!("lanparty-gateway-{LAN}.bindings.json"));
    lanparty_e2e::link::wait_until(
        "the bindings to be written",
        std::time::Duration::from_secs(5),
        || fs::read_to_string(&file).is_ok_and(|text| text.contains("192.168.77.98")),
    )
    .unwrap();

    party.gateway.kill().unwrap();
    party.gateway = party.bed.start_gateway(0, ROOM).unwrap();

    // The second player takes the first one's address, before that one says a word.
    let remote = party.bed.remote(1);
    remote
        .sh(&format!("ip address add 192.168.77.98/24 dev {TAP}"))
        .unwrap();
    // The gateway does not let it through, so nothing answers.
    drop(ping_with(remote, host, &["-c", "2", "-I", "192.168.77.98"]));
    let line = party.gateway.wait_line("claimed 192.168.77.98").unwrap();
    let owner = party
        .tunnel_mac(0)
        .unwrap()
        .map(|byte| format!("{byte:02x}"))
        .join(":");
    assert!(line.contains(&owner), "{line}");
}
