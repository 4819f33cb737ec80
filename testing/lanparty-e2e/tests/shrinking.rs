//! A path that shrinks under a transfer, without a word, stops nothing for long.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::IpAddr;
use std::time::Duration;

use lanparty_e2e::bed::Bed;
use lanparty_e2e::party::TAP;
use lanparty_e2e::traffic::{Enough, ping_with, stall};
use lanparty_e2e::{Namespace, Party, Side};

/// The address that the remote PC gets by hand.
const REMOTE: &str = "192.168.77.50";

/// How long a transfer may stand still (the project's promise for a black hole).
const LONGEST_STALL: Duration = Duration::from_secs(3);

/// Transfers from one end to the other, makes packets over 1300 bytes vanish between the Internet and the remote PC
/// meanwhile, and expects the transfer to go on, and full frames to pass.
fn survives(to_lan: bool) {
    let party = Party::start().unwrap();
    let bed = &party.bed;
    bed.remote(0)
        .sh(&format!("ip address add {REMOTE}/24 broadcast + dev {TAP}"))
        .unwrap();
    let lan: IpAddr = Bed::host_address(0).into();
    let (from, to, address): (&Namespace, &Namespace, IpAddr) = if to_lan {
        (bed.remote(0), bed.host(0), lan)
    } else {
        (bed.host(0), bed.remote(0), REMOTE.parse().unwrap())
    };

    let longest = std::thread::scope(|scope| {
        let transfer = scope.spawn(|| stall(from, to, address, Enough::Time(LONGEST_STALL * 2)));
        std::thread::sleep(Duration::from_secs(1));
        bed.set_black_hole(Side::Remote(0), 1300).unwrap();
        transfer.join().unwrap().unwrap()
    });

    assert!(
        longest < LONGEST_STALL,
        "the transfer stood still for {longest:?}"
    );
    let pinged = ping_with(from, address, &["-c", "3", "-s", "1472", "-M", "do"]).unwrap();
    assert_eq!(pinged.received, 3, "full frames pass the narrow path");
}

#[test]
#[ignore = "not kept yet: in about half of the runs the transfer stands still for five seconds, and three are promised"]
fn transfer_to_the_lan_goes_on_when_the_path_becomes_a_black_hole() {
    survives(true);
}

#[test]
#[ignore = "not kept yet: in about half of the runs the transfer stands still for five seconds, and three are promised"]
fn transfer_from_the_lan_goes_on_when_the_path_becomes_a_black_hole() {
    survives(false);
}
