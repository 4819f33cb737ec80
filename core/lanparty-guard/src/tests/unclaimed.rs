//! Addresses that nobody on the LAN has been heard to have.

use super::*;

#[test]
fn a_member_that_takes_one_address_after_the_other_runs_out_of_new_ones() {
    let (mut guard, now) = party();
    let mut take = |last, now| remote(&mut guard, &arp(ALICE, [10, 0, 0, last]), now).is_ok();

    assert_eq!((100..200).filter(|&last| take(last, now)).count(), 16);
    assert!(take(115, now), "what it has it keeps");
    let later = now + Duration::from_secs(10);
    assert_eq!((200..250).filter(|&last| take(last, later)).count(), 1);
}

#[test]
fn a_silent_station_of_the_lan_is_asked_before_a_member_may_announce_its_address() {
    let (mut guard, now) = party();
    let claim = arp(BOB, FREE);
    let frame = Frame::parse(&claim).unwrap();
    assert_eq!(guard.check_remote(&frame, now), Err(Denial::Unproven));
    assert_eq!(guard.poll_probe(), Some(IpAddr::from(FREE)));
    assert_eq!(remote(&mut guard, &ipv4(BOB, FREE), now), Ok(()));
    lan(&mut guard, &arp(HOST, FREE), now);

    let later = now + PROBE_WAIT;
    assert_eq!(guard.check_remote(&frame, later), Err(Denial::AddressClaim));
    assert_eq!(guard.poll_probe(), None);
}

#[test]
fn an_address_that_a_lan_station_is_about_to_take_is_not_a_members() {
    let (mut guard, now) = party();
    let mut probe = arp(HOST, [0; 4]);
    probe[38..42].copy_from_slice(&FREE);
    lan(&mut guard, &probe, now);

    assert_eq!(
        remote(&mut guard, &arp(BOB, FREE), now),
        Err(Denial::AddressClaim)
    );
}

#[test]
fn a_member_defends_the_address_that_it_has_against_a_lan_station_that_asks() {
    let (mut guard, now) = party();
    remote(&mut guard, &arp(BOB, FREE), now).unwrap();
    let mut probe = arp(HOST, [0; 4]);
    probe[38..42].copy_from_slice(&FREE);
    lan(&mut guard, &probe, now);

    assert_eq!(remote(&mut guard, &arp(BOB, FREE), now), Ok(()));
}

#[test]
fn a_lan_station_that_solicits_or_asks_for_duplicates_has_its_ipv6_address() {
    let (mut guard, now) = party();
    let mut solicitation = ipv6(HOST, 7);
    solicitation[20] = 58;
    solicitation[54] = 135;
    lan(&mut guard, &solicitation, now);
    let mut detection = solicitation;
    detection[22..38].fill(0);
    detection[62..64].copy_from_slice(&[0xfe, 0x80]);
    detection[77] = 8;
    lan(&mut guard, &detection, now);

    for host in [7, 8] {
        assert_eq!(
            remote(&mut guard, &ipv6(BOB, host), now),
            Err(Denial::AddressClaim),
            "fe80::{host}"
        );
    }
}
