//! What a client and a LAN may send.

use std::time::Duration;

use lanparty_proto::MacAddr;
use lanparty_switch::Limits;

use crate::party::{A, B, Member, Party, SERVER, client, defaults, frame, gateway};

#[test]
fn r10_limits_broadcast_and_address_resolution_apart() {
    let mut party = defaults();
    party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));
    let arp = [
        &[0xff; 6][..],
        &A.0,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &A.0,
        &[0; 14],
        &[0; 18],
    ]
    .concat();

    let passed = |party: &mut Party, frame: &[u8]| {
        (0..500).filter(|_| party.send(&a, frame).is_ok()).count()
    };
    assert_eq!(passed(&mut party, &frame(MacAddr::BROADCAST, A, 60)), 128);
    assert_eq!(passed(&mut party, &arp), 64);
    party.pass(Duration::from_secs(1));
    assert_eq!(passed(&mut party, &frame(MacAddr::BROADCAST, A, 60)), 64);
    assert_eq!(passed(&mut party, &arp), 32);
}

#[test]
fn r10_limits_frames_for_stations_that_nobody_has_and_no_others() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));
    let passed = |party: &mut Party, to| {
        (0..1000)
            .filter(|_| party.send(&a, &frame(to, A, 60)).is_ok())
            .count()
    };

    assert_eq!(passed(&mut party, SERVER), 64, "nobody has seen the server");
    party.send(&g, &frame(A, SERVER, 60)).unwrap();
    assert_eq!(passed(&mut party, SERVER), 1000, "the server has spoken");
    assert_eq!(passed(&mut party, B), 1000, "a member is always known");
}

#[test]
fn r10_limits_bytes_of_a_client_and_the_lan_s_broadcast() {
    let mut party = Party::new(Limits {
        bytes: lanparty_switch::Rate {
            per_second: 60_000,
            burst: 6_000,
        },
        ..Limits::default()
    });
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));

    let passed = |party: &mut Party, from: &Member, frame: &[u8]| {
        (0..2000)
            .filter(|_| party.send(from, frame).is_ok())
            .count()
    };
    assert_eq!(passed(&mut party, &a, &frame(B, A, 60)), 100);
    assert_eq!(
        passed(&mut party, &g, &frame(MacAddr::BROADCAST, SERVER, 60)),
        1024
    );
    assert_eq!(passed(&mut party, &g, &frame(A, SERVER, 60)), 2000);
}

#[test]
fn r10_a_client_that_sends_more_bytes_than_it_may_loses_no_small_frame() {
    let limits = Limits {
        bytes: lanparty_switch::Rate {
            per_second: 1_000_000,
            burst: 20_000,
        },
        ..Limits::default()
    };
    let mut party = Party::new(limits);
    let a = party.join(&client(A));
    party.join(&client(B));

    let (mut bulk, mut sent) = (0, 0);
    for millisecond in 0..1000 {
        for _ in 0..10 {
            sent += usize::from(party.send(&a, &frame(B, A, 1200)).is_ok());
            bulk += 1;
        }
        if millisecond % 2 == 0 {
            let ping = party.send(&a, &frame(B, A, 98));
            assert!(ping.is_ok(), "a ping goes, after {millisecond} ms");
        }
        party.now += Duration::from_millis(1);
    }

    assert!(sent < bulk / 10, "{sent} of {bulk} frames are the limit");
    assert!(sent * 1200 + 500 * 98 <= 1_000_000 + 20_000);
    assert!(sent * 1200 > 900_000, "and the limit is used: {sent}");
}
