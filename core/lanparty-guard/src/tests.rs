//! What a remote client can and cannot do with addresses.

mod frames;
mod unclaimed;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lanparty_proto::{Frame, MacAddr};

use self::frames::{arp, dhcp, ipv4, ipv6};

use crate::{
    Denial, Event, Guard, MAX_MEMBERS, Origin, Owner, PROBE_WAIT, Role, SavedBinding, Snapshot,
};

const ALICE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const BOB: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
const HOST: MacAddr = MacAddr([0, 1, 2, 3, 4, 5]);
const SERVER: MacAddr = MacAddr([0, 1, 2, 3, 4, 1]);

const ROUTER_IP: [u8; 4] = [10, 0, 0, 1];
const DHCP_IP: [u8; 4] = [10, 0, 0, 2];
const DNS_IP: [u8; 4] = [10, 0, 0, 3];
const HOST_IP: [u8; 4] = [10, 0, 0, 9];
const LEASED: [u8; 4] = [10, 0, 0, 50];
const FREE: [u8; 4] = [10, 0, 0, 77];

#[test]
fn the_lans_infrastructure_is_nobodys_to_claim() {
    let (mut guard, now) = party();

    for (address, role) in [
        (ROUTER_IP, Role::Router),
        (DHCP_IP, Role::DhcpServer),
        (DNS_IP, Role::Resolver),
    ] {
        for frame in [arp(BOB, address), ipv4(BOB, address)] {
            assert_eq!(remote(&mut guard, &frame, now), Err(Denial::AddressClaim));
        }
        assert!(events(&mut guard).contains(&Event::Claim {
            member: BOB,
            address: IpAddr::from(address),
            owner: Owner::Protected(role),
        }));
    }
}

#[test]
fn the_gateways_own_addresses_are_nobodys_to_claim_and_follow_its_changes() {
    let (mut guard, now) = party();
    let (first, second) = ([10, 0, 0, 5], [10, 0, 0, 6]);
    let own_v6: IpAddr = "fe80::1".parse().unwrap();
    remote(&mut guard, &arp(BOB, first), now).unwrap();
    guard.protect_own(&[first.into(), own_v6], now);

    assert!(events(&mut guard).contains(&Event::Lost {
        member: BOB,
        address: first.into(),
        owner: Owner::Protected(Role::Gateway),
        was_proven: true,
    }));
    let refused = Err(Denial::AddressClaim);
    assert_eq!(remote(&mut guard, &arp(BOB, first), now), refused);
    assert_eq!(remote(&mut guard, &ipv4(ALICE, first), now), refused);
    assert_eq!(remote(&mut guard, &ipv6(BOB, 1), now), refused);
    assert_eq!(remote(&mut guard, &ipv6(BOB, 2), now), Ok(()));
    assert!(events(&mut guard).contains(&Event::Claim {
        member: BOB,
        address: first.into(),
        owner: Owner::Protected(Role::Gateway),
    }));

    // No server can give it away either, and nothing kept from an earlier run.
    let ack = dhcp(SERVER, DHCP_IP, 2, BOB, first, &[53, 1, 5]);
    lan(&mut guard, &ack, now);
    assert_eq!(remote(&mut guard, &arp(BOB, first), now), refused);
    let mut restarted = Guard::default();
    restarted.protect_own(&[LEASED.into()], now);
    restarted.restore(&guard.snapshot(now), now);
    restarted.handle_joined(ALICE, now);
    assert_eq!(remote(&mut restarted, &ipv4(ALICE, LEASED), now), refused);

    guard.protect_own(&[second.into()], now);
    assert_eq!(remote(&mut guard, &ipv4(ALICE, first), now), Ok(()));
    assert_eq!(remote(&mut guard, &ipv4(ALICE, second), now), refused);
}

#[test]
fn a_lease_is_its_members_alone() {
    let (mut guard, now) = party();

    assert_eq!(remote(&mut guard, &arp(ALICE, LEASED), now), Ok(()));
    assert_eq!(remote(&mut guard, &ipv4(ALICE, LEASED), now), Ok(()));
    assert_eq!(
        remote(&mut guard, &arp(BOB, LEASED), now),
        Err(Denial::AddressClaim)
    );
    // A player may have set an address by hand as well, as long as it is nobody's.
    assert_eq!(remote(&mut guard, &ipv4(ALICE, FREE), now), Ok(()));
    // Link-local addresses may stand beside a lease.
    assert_eq!(
        remote(&mut guard, &arp(ALICE, [169, 254, 1, 1]), now),
        Ok(())
    );
}

#[test]
fn a_member_has_few_addresses_and_none_that_it_took_displaces_a_lease() {
    let (mut guard, now) = party();
    for last in 100..110 {
        remote(&mut guard, &arp(ALICE, [192, 168, 77, last]), now).unwrap();
    }

    // Bob may have what Alice had to give up, and not her lease.
    assert_eq!(
        remote(&mut guard, &arp(BOB, [192, 168, 77, 101]), now),
        Ok(())
    );
    assert_eq!(
        remote(&mut guard, &arp(BOB, LEASED), now),
        Err(Denial::AddressClaim)
    );
}

#[test]
fn a_lease_ends_with_its_time() {
    let (mut guard, now) = party();
    let later = now + Duration::from_secs(601);

    assert_eq!(remote(&mut guard, &arp(BOB, LEASED), later), Ok(()));
}

#[test]
fn a_lease_given_back_frees_its_member() {
    let (mut guard, now) = party();
    let release = dhcp(ALICE, LEASED, 1, ALICE, [0; 4], &[53, 1, 7]);
    remote(&mut guard, &release, now).unwrap();

    assert_eq!(remote(&mut guard, &ipv4(ALICE, FREE), now), Ok(()));
}

#[test]
fn the_first_to_come_has_a_static_address() {
    let (mut guard, now) = party();

    assert_eq!(remote(&mut guard, &arp(BOB, FREE), now), Ok(()));
    guard.handle_joined(MacAddr([2, 0, 0, 0, 0, 0xc]), now);
    let carol = arp(MacAddr([2, 0, 0, 0, 0, 0xc]), FREE);
    assert_eq!(remote(&mut guard, &carol, now), Err(Denial::AddressClaim));
    assert!(events(&mut guard).contains(&Event::Bound {
        member: BOB,
        address: IpAddr::from(FREE),
        origin: Origin::FirstCome,
    }));
}

#[test]
fn a_station_on_the_lan_wins_over_who_came_first_but_not_over_a_lease() {
    let (mut guard, now) = party();
    remote(&mut guard, &arp(BOB, FREE), now).unwrap();

    lan(&mut guard, &arp(HOST, FREE), now);
    lan(&mut guard, &arp(HOST, LEASED), now);

    assert_eq!(
        remote(&mut guard, &ipv4(BOB, FREE), now),
        Err(Denial::AddressClaim)
    );
    assert_eq!(remote(&mut guard, &ipv4(ALICE, LEASED), now), Ok(()));
}

#[test]
fn an_address_heard_on_the_lan_is_not_a_members() {
    let (mut guard, now) = party();

    assert_eq!(
        remote(&mut guard, &arp(BOB, HOST_IP), now),
        Err(Denial::AddressClaim)
    );
    assert!(events(&mut guard).contains(&Event::Claim {
        member: BOB,
        address: IpAddr::from(HOST_IP),
        owner: Owner::Lan(HOST),
    }));
}

#[test]
fn a_probe_claims_nothing() {
    let (mut guard, now) = party();

    assert_eq!(remote(&mut guard, &arp(BOB, [0; 4]), now), Ok(()));
    assert_eq!(events(&mut guard), []);
}

#[test]
fn the_same_claim_is_reported_once_in_a_while() {
    let (mut guard, now) = party();
    for _ in 0..1000 {
        remote(&mut guard, &arp(BOB, ROUTER_IP), now).unwrap_err();
    }

    assert_eq!(events(&mut guard).len(), 1);
}

#[test]
fn dhcp_has_a_rate_and_speaks_for_its_sender() {
    let (mut guard, now) = party();
    let own = dhcp(BOB, [0; 4], 1, BOB, [0; 4], &[53, 1, 1]);
    let others = dhcp(BOB, [0; 4], 1, ALICE, [0; 4], &[53, 1, 1]);

    assert_eq!(remote(&mut guard, &others, now), Err(Denial::DhcpSender));
    let passed = |guard: &mut Guard, now| {
        (0..100)
            .filter(|_| remote(guard, &own, now).is_ok())
            .count()
    };
    assert_eq!(passed(&mut guard, now), 10);
    assert_eq!(passed(&mut guard, now + Duration::from_secs(1)), 5);
    assert_eq!(passed(&mut guard, now + Duration::from_secs(100)), 10);
}

#[test]
fn bindings_hold_from_the_first_frame_after_a_restart() {
    let (guard, now) = party();
    let saved = guard.snapshot(now);
    let mut guard = Guard::default();
    guard.restore(&saved, now);
    guard.handle_joined(ALICE, now);
    guard.handle_joined(BOB, now);

    assert_eq!(guard.snapshot(now), saved);
    assert_eq!(
        remote(&mut guard, &arp(BOB, LEASED), now),
        Err(Denial::AddressClaim)
    );
    assert_eq!(
        remote(&mut guard, &arp(BOB, ROUTER_IP), now),
        Err(Denial::AddressClaim)
    );
    assert_eq!(remote(&mut guard, &ipv4(ALICE, LEASED), now), Ok(()));
}

#[test]
fn a_snapshot_of_nonsense_is_harmless() {
    let now = start();
    let mut guard = Guard::default();
    let mut saved = Snapshot::default();
    for n in 0..10_000_u32 {
        saved.bindings.push(SavedBinding {
            member: format!("02:00:00:00:{:02x}:{:02x}", n >> 8 & 0xff, n & 0xff),
            address: IpAddr::V4(Ipv4Addr::from(n)),
            origin: Origin::Dhcp,
            seconds_left: u64::MAX,
        });
    }
    guard.restore(&saved, now);

    assert!(guard.snapshot(now).bindings.len() <= MAX_MEMBERS);
}

#[test]
fn eight_ipv6_addresses_and_the_oldest_goes() {
    let (mut guard, now) = party();
    for n in 1..=9 {
        let later = now + Duration::from_secs(n.into());
        remote(&mut guard, &ipv6(BOB, n), later).unwrap();
    }

    pass(&mut guard, now + Duration::from_secs(9), PROBE_WAIT);
    let bound = guard.snapshot(now + Duration::from_secs(10)).bindings;
    let of_bob = bound
        .iter()
        .filter(|binding| binding.member == BOB.to_string());
    assert_eq!(of_bob.count(), 8);
}

#[test]
fn the_router_of_an_advertisement_is_protected() {
    let (mut guard, now) = party();
    let mut advertisement = ipv6(SERVER, 1);
    advertisement[20] = 58;
    advertisement[54] = 134;
    lan(&mut guard, &advertisement, now);

    assert_eq!(
        remote(&mut guard, &ipv6(BOB, 1), now),
        Err(Denial::AddressClaim)
    );
}

#[test]
fn who_is_not_in_the_room_says_nothing() {
    let (mut guard, now) = party();
    guard.handle_left(BOB);

    assert_eq!(
        remote(&mut guard, &arp(BOB, FREE), now),
        Err(Denial::UnknownMember)
    );
}

#[test]
fn tables_stay_bounded_and_empty_themselves() {
    let (mut guard, now) = party();
    for n in 0..100_000_u32 {
        lan(&mut guard, &arp(HOST, n.to_be_bytes()), now);
        let mac = MacAddr([2, 1, 0, 0, (n >> 8).to_be_bytes()[3], n.to_be_bytes()[3]]);
        guard.handle_joined(mac, now);
        guard.handle_left(mac);
    }
    let due = guard.poll_timeout().unwrap();
    guard.handle_timeout(due + Duration::from_hours(48));

    let left = guard.snapshot(due + Duration::from_hours(48));
    assert_eq!(left, Snapshot::default());
}

/// Alice and Bob are here, Alice has a lease, and the LAN has introduced itself.
fn party() -> (Guard, Instant) {
    let mut guard = Guard::default();
    let now = start();
    guard.handle_joined(ALICE, now);
    guard.handle_joined(BOB, now);
    lan(&mut guard, &arp(HOST, HOST_IP), now);
    let options = [
        &[53, 1, 5, 51, 4, 0, 0, 2, 0x58][..],
        &[3, 4],
        &ROUTER_IP,
        &[6, 4],
        &DNS_IP,
        &[54, 4],
        &DHCP_IP,
        &[255],
    ]
    .concat();
    let ack = dhcp(SERVER, DHCP_IP, 2, ALICE, LEASED, &options);
    lan(&mut guard, &ack, now);
    events(&mut guard);

    (guard, now)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn start() -> Instant {
    Instant::now()
}

fn lan(guard: &mut Guard, bytes: &[u8], now: Instant) {
    guard.handle_lan(&Frame::parse(bytes).unwrap(), now);
}

fn say(guard: &mut Guard, bytes: &[u8], now: Instant) -> Result<(), Denial> {
    let Ok(frame) = Frame::parse(bytes) else {
        panic!("{bytes:?} is no frame");
    };

    guard.check_remote(&frame, now)
}

fn remote(guard: &mut Guard, bytes: &[u8], now: Instant) -> Result<(), Denial> {
    // What is announced too early is announced again, as machines do.
    match say(guard, bytes, now) {
        Err(Denial::Unproven) => {
            pass(guard, now, PROBE_WAIT);
            say(guard, bytes, now + PROBE_WAIT)
        }
        other => other,
    }
}

/// Lets time pass as the gateway's loop does, and returns what the LAN is asked about and after how long.
fn pass(guard: &mut Guard, now: Instant, time: Duration) -> Vec<(IpAddr, Duration)> {
    let (mut at, mut asked) = (now, Vec::new());
    loop {
        guard.handle_timeout(at);
        asked.extend(std::iter::from_fn(|| guard.poll_probe()).map(|address| (address, at - now)));
        match guard.poll_timeout() {
            Some(due) if due <= now + time => at = due.max(at),
            _ => return asked,
        }
    }
}

fn events(guard: &mut Guard) -> Vec<Event> {
    std::iter::from_fn(|| guard.poll_event()).collect()
}
