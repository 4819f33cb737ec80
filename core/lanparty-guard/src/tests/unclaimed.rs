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

/// The MAC from which the gateway asks.
const GATEWAY: MacAddr = MacAddr([0, 1, 2, 3, 4, 0xff]);

/// What a station answers when the gateway asks by an ARP probe: to the gateway alone.
fn answer(address: [u8; 4]) -> Vec<u8> {
    let mut answer = arp(HOST, address);
    answer[..6].copy_from_slice(&GATEWAY.0);
    answer[20..22].copy_from_slice(&[0, 2]);
    answer[32..42].copy_from_slice(&[&GATEWAY.0[..], &[0; 4]].concat());

    answer
}

/// Just before a member may announce what nobody answered for.
const ALMOST: Duration = Duration::from_millis(749);

fn announce(guard: &mut Guard, now: Instant) -> Result<(), Denial> {
    say(guard, &arp(BOB, FREE), now)
}

#[test]
fn a_silent_station_of_the_lan_is_asked_before_a_member_may_announce_its_address() {
    let (mut guard, now) = party();
    assert_eq!(announce(&mut guard, now), Err(Denial::Unproven));
    assert_eq!(guard.poll_probe(), Some(IpAddr::from(FREE)));
    assert_eq!(remote(&mut guard, &ipv4(BOB, FREE), now), Ok(()));
    lan(&mut guard, &answer(FREE), now);
    assert_eq!(pass(&mut guard, now, PROBE_WAIT), []);

    let later = now + PROBE_WAIT;
    assert_eq!(announce(&mut guard, later), Err(Denial::AddressClaim));
    assert_eq!(guard.poll_probe(), None);
}

#[test]
fn the_lan_is_asked_three_times_because_one_question_may_be_lost() {
    let (mut guard, now) = party();
    let asked = |asked: &[u64]| -> Vec<_> {
        let times = asked.iter().copied().map(Duration::from_millis);
        times.map(|at| (IpAddr::from(FREE), at)).collect()
    };
    assert_eq!(announce(&mut guard, now), Err(Denial::Unproven));
    assert_eq!(pass(&mut guard, now, ALMOST), asked(&[0, 250, 500]));
    // Whoever says it again and again is not believed sooner, and nobody is asked more often for it.
    for _ in 0..100 {
        assert_eq!(announce(&mut guard, now + ALMOST), Err(Denial::Unproven));
    }
    assert_eq!(guard.poll_probe(), None);
    let mut answered = Guard::default();
    answered.handle_joined(BOB, now);
    assert_eq!(announce(&mut answered, now), Err(Denial::Unproven));
    pass(&mut answered, now, ALMOST);
    lan(&mut answered, &answer(FREE), now + ALMOST);

    assert_eq!(pass(&mut guard, now, PROBE_WAIT), []);
    assert_eq!(announce(&mut guard, now + PROBE_WAIT), Ok(()));
    pass(&mut answered, now, PROBE_WAIT);
    let refused = announce(&mut answered, now + PROBE_WAIT);
    assert_eq!(refused, Err(Denial::AddressClaim));
}

#[test]
fn an_answer_that_waits_to_be_read_counts_however_late_the_gateway_is() {
    let (mut guard, now) = party();
    assert_eq!(announce(&mut guard, now), Err(Denial::Unproven));
    pass(&mut guard, now, ALMOST);

    // The gateway stood still; what the members said meanwhile is read first.
    let late = now + Duration::from_secs(9);
    assert_eq!(announce(&mut guard, late), Err(Denial::Unproven));
    lan(&mut guard, &answer(FREE), late);
    guard.handle_timeout(late);
    assert_eq!(announce(&mut guard, late), Err(Denial::AddressClaim));

    // The times between questions are kept, too.
    let (mut guard, now) = party();
    assert_eq!(announce(&mut guard, now), Err(Denial::Unproven));
    guard.handle_timeout(late);
    guard.handle_timeout(late);
    assert_eq!(announce(&mut guard, late), Err(Denial::Unproven));
    pass(&mut guard, late, Duration::from_millis(500));
    assert_eq!(announce(&mut guard, late), Ok(()));
}

#[test]
fn an_answer_that_comes_too_late_takes_the_address_back_and_is_told() {
    let (mut guard, now) = party();
    remote(&mut guard, &arp(BOB, FREE), now).unwrap();
    let later = now + PROBE_WAIT * 2;
    lan(&mut guard, &answer(FREE), later);

    assert!(events(&mut guard).contains(&Event::Lost {
        member: BOB,
        address: FREE.into(),
        owner: Owner::Lan(HOST),
        was_proven: true,
    }));
    assert_eq!(announce(&mut guard, later), Err(Denial::AddressClaim));
    let used = remote(&mut guard, &ipv4(BOB, FREE), later);
    assert_eq!(used, Err(Denial::AddressClaim));
}

#[test]
fn what_the_lan_could_not_answer_for_is_nobodys_after_a_restart_or_a_broken_connection() {
    let (mut guard, now) = party();
    assert_eq!(announce(&mut guard, now), Err(Denial::Unproven));
    let mut restarted = Guard::default();
    restarted.restore(&guard.snapshot(now), now);
    restarted.handle_joined(BOB, now);
    guard.handle_deaf();

    for guard in [&mut guard, &mut restarted] {
        pass(guard, now, PROBE_WAIT);
        let later = now + PROBE_WAIT;
        assert_eq!(announce(guard, later), Err(Denial::Unproven));
        assert_eq!(guard.poll_probe(), Some(IpAddr::from(FREE)));
    }
    // What is proven stays.
    assert_eq!(remote(&mut guard, &arp(ALICE, LEASED), now), Ok(()));
}

#[test]
fn nobody_is_let_through_because_too_much_is_asked_at_a_time() {
    let mut guard = Guard::default();
    let now = start();
    let members = (0..80).map(|n| MacAddr([2, 0, 0, 0, 1, n]));
    for (n, member) in (0_u8..).zip(members) {
        guard.handle_joined(member, now);
        for last in 0..16 {
            let claim = arp(member, [10, 1, n, last]);
            assert_eq!(say(&mut guard, &claim, now), Err(Denial::Unproven));
        }
    }
    let asked = pass(&mut guard, now, PROBE_WAIT);

    let first = asked.iter().filter(|(_, after)| after.is_zero());
    assert_eq!(first.count(), 1024);
    // Whoever had to wait is asked about next.
    let last = arp(MacAddr([2, 0, 0, 0, 1, 79]), [10, 1, 79, 15]);
    assert_eq!(remote(&mut guard, &last, now + PROBE_WAIT), Ok(()));
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
