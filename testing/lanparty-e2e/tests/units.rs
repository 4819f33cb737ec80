//! The systemd units: what they forbid, and that the programs can do without it.

use std::time::Duration;

use lanparty_e2e::bed::Bed;
use lanparty_e2e::command::{output, tool};
use lanparty_e2e::party::TAP;
use lanparty_e2e::program::ROOM;
use lanparty_e2e::traffic::ping;

/// How long a program may take to hand over on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn programs_do_all_their_work_with_what_their_units_leave_them() {
    let bed = Bed::new().unwrap();
    for (program, unit) in [
        ("lanparty-relay", "lanparty-relay"),
        ("lanparty-gateway", "lanparty-gateway"),
        ("lanparty-client-linux", "lanparty-client@"),
    ] {
        bed.confine(program, unit).unwrap();
    }
    let mut relay = bed.start_relay().unwrap();
    let mut gateway = bed.start_gateway(0, ROOM).unwrap();
    let _client = bed.start_client(0, ROOM).unwrap();
    let remote = bed.remote(0);
    remote
        .sh(&format!("ip address add 192.168.77.99/24 dev {TAP}"))
        .unwrap();
    let is_on_the_lan = || {
        let answered = ping(remote, Bed::host_address(0).into(), 3).unwrap();
        assert_eq!(answered.received, 3);
    };
    is_on_the_lan();

    // What follows them inherits the filter.
    relay.hand_over(PATIENCE).unwrap();
    is_on_the_lan();
    gateway.hand_over(PATIENCE).unwrap();
    is_on_the_lan();
}

/// The units' exposure by systemd's own measure (0 is best), which security reviews go by.
#[test]
fn units_are_locked_down() {
    const MOST: f64 = 2.0;
    let units = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd");
    for unit in ["lanparty-relay", "lanparty-gateway", "lanparty-client@"] {
        let mut command = tool("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager"]);
        let text = output(command.arg(format!("{units}/{unit}.service"))).unwrap();
        let line = text.lines().find(|line| line.contains("Overall")).unwrap();
        let exposure = line.split(": ").nth(1).unwrap();
        let exposure: f64 = exposure.split(' ').next().unwrap().parse().unwrap();

        assert!(exposure <= MOST, "{unit}: {line}");
    }
}
