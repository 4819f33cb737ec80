//! The safety policy at the relay, and clients that close a loop.

use std::time::Duration;

use lanparty_ctrl::LeaveReason;
use lanparty_obs::DropReason;
use lanparty_proto::policy::{Policy, ProtocolClass};
use lanparty_proto::probe::{Probe, ProbeKind};
use lanparty_proto::{MacAddr, Refusal, probe};
use lanparty_switch::Limits;

use crate::party::{A, B, Member, Party, SERVER, client, defaults, frame, gateway};

#[test]
fn r9_asks_the_safety_policy_for_both_directions() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    let tagged = |source: MacAddr| {
        [
            &[0xff; 6][..],
            &source.0,
            &[0x81, 0, 0, 1, 0x81, 0x37],
            &[0; 46],
        ]
        .concat()
    };

    let is_filtered = |result: Result<_, DropReason>| result.is_err_and(DropReason::is_safety);
    assert!(is_filtered(party.send(&a, &tagged(A))));
    assert!(is_filtered(
        party.send(&a, &frame(A, MacAddr::BROADCAST, 60))
    ));
    assert!(is_filtered(party.send(&g, &frame(A, MacAddr::ZERO, 60))));
}

#[test]
fn r9_a_kind_that_the_relay_closes_goes_nowhere_and_one_that_it_opens_passes() {
    let ipx = |source| frame(MacAddr::BROADCAST, source, 60);
    let wake = |source: MacAddr| {
        let mut bytes = ipx(source);
        bytes[12..14].copy_from_slice(&0x0842_u16.to_be_bytes());
        bytes
    };
    let mut strict = Party::new(Limits {
        policy: Policy::with(&[ProtocolClass::WakeOnLan], &[ProtocolClass::Ipx]),
        ..Limits::default()
    });
    let mut usual = defaults();
    for (party, ipx_passes) in [(&mut strict, false), (&mut usual, true)] {
        let g = party.join(&gateway());
        let a = party.join(&client(A));

        assert_eq!(party.send(&a, &ipx(A)).is_ok(), ipx_passes);
        assert_eq!(party.send(&a, &wake(A)).is_ok(), !ipx_passes);
        // What the LAN says is not behind the list.
        party.send(&g, &ipx(SERVER)).unwrap();
        party.send(&g, &wake(SERVER)).unwrap();
    }
}

/// An IPv4 fragment of packet `id`: a first one with a UDP header to `port`, or a later one.
fn fragment(source: MacAddr, id: u8, port: Option<u8>) -> Vec<u8> {
    let offset = if port.is_some() { [0x20, 0] } else { [0, 2] };
    let udp = [0x0f, 0xa0, 0, port.unwrap_or(0), 0, 40, 0, 0];
    [
        &SERVER.0[..],
        &source.0,
        &[8, 0, 0x45, 0, 0, 36, 0, id],
        &offset,
        &[64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
        &udp,
        &[0; 8 + 24],
    ]
    .concat()
}

#[test]
fn r9_later_fragments_of_a_refused_first_one_stay_at_the_relay() {
    const DHCP_CLIENT: u8 = 68;
    let mut party = defaults();
    party.join(&gateway());
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let refused = Err(DropReason::Policy(Refusal::Ipv4Fragment));
    let verdict =
        |party: &mut Party, member: &Member, frame: &[u8]| party.send(member, frame).map(|_| ());

    let later = fragment(A, 1, None);
    assert_eq!(verdict(&mut party, &a, &later), Ok(()));
    let first = fragment(A, 1, Some(DHCP_CLIENT));
    assert_eq!(verdict(&mut party, &a, &first), refused);
    assert_eq!(verdict(&mut party, &a, &later), refused);
    // Another packet and another client's are their own.
    assert_eq!(verdict(&mut party, &a, &fragment(A, 2, None)), Ok(()));
    assert_eq!(verdict(&mut party, &b, &fragment(B, 1, None)), Ok(()));
    party.now += Duration::from_secs(2);
    assert_eq!(verdict(&mut party, &a, &later), Ok(()));
}

/// What a gateway says about a client that closes a loop.
fn notice(about: &Member, seconds: u64) -> Vec<u8> {
    let probe = Probe {
        kind: ProbeKind::Blocked,
        peer: about.welcome.peer,
        instance: 7,
        number: seconds,
        tag: 0,
    };

    probe.frame(probe::GROUP, probe::source(SERVER)).to_vec()
}

#[test]
fn a_client_that_closes_a_loop_is_not_heard_for_as_long_as_the_gateway_says() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let mut a = party.join(&client(A));
    let b = party.join(&client(B));
    let hello = |party: &mut Party, member: &Member, source| {
        let frame = frame(MacAddr::BROADCAST, source, 60);
        party.send(member, &frame).map(|_| ())
    };

    // The notice itself goes to everybody, and only the gateway can give one.
    let told = party.send(&g, &notice(&a, 60)).unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(party.blocked, [(A, Duration::from_mins(1))]);
    assert!(party.send(&a, &notice(&b, 60)).is_err());
    party.send(&g, &notice(&a, 59)).unwrap();
    assert_eq!(party.blocked.len(), 1, "said once");

    let blocked = Err(DropReason::LoopBlocked);
    assert_eq!(hello(&mut party, &a, A), blocked);
    assert_eq!(hello(&mut party, &b, B), Ok(()));
    assert_eq!(hello(&mut party, &g, SERVER), Ok(()));
    let room = &party.switch.snapshot(party.now)[0];
    let shown = room
        .members
        .iter()
        .filter(|member| member.blocked.is_some());
    assert_eq!(
        shown.map(|member| member.mac).collect::<Vec<_>>(),
        [Some(A)]
    );

    // Leaving and coming back does not help; waiting does.
    party
        .switch
        .handle_leave(a.at, LeaveReason::Disconnect)
        .unwrap();
    a = party.join(&client(A));
    assert_eq!(hello(&mut party, &a, A), blocked);
    party.now += Duration::from_secs(59);
    assert_eq!(hello(&mut party, &a, A), Ok(()));
}
