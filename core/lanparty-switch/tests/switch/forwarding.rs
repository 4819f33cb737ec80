//! Where frames go, and whose they may be.

use std::time::Duration;

use lanparty_ctrl::{Capability, ForeignSource, Hello, Message, Stats};
use lanparty_obs::DropReason;
use lanparty_proto::{MacAddr, PeerId};
use lanparty_switch::ConnId;

use crate::party::{
    A, B, C, Member, Party, SERVER, client, defaults, fragments, frame, gateway, in_room,
};

#[test]
fn r7_sends_every_kind_of_frame_to_whom_it_is_for_and_to_nobody_else() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let outsider = party.join(&in_room(client(C), "ROOM2"));
    let multicast = MacAddr([1, 0, 0x5e, 0, 0, 0xfb]);

    let mut sent = |from, to, source| party.send(from, &frame(to, source, 60));
    for group in [MacAddr::BROADCAST, multicast] {
        assert_eq!(sent(&a, group, A), Ok(vec![g.conn, b.conn]));
        assert_eq!(sent(&g, group, SERVER), Ok(vec![a.conn, b.conn]));
    }
    assert_eq!(sent(&a, B, A), Ok(vec![b.conn]));
    assert_eq!(sent(&g, B, SERVER), Ok(vec![b.conn]));
    assert_eq!(sent(&a, SERVER, A), Ok(vec![g.conn]));
    assert_eq!(
        sent(&g, SERVER, MacAddr([0, 9, 9, 9, 9, 9])),
        Err(DropReason::UnknownDestination)
    );
    assert_eq!(sent(&a, A, A), Err(DropReason::OwnFrame));
    assert_eq!(
        sent(&a, C, A),
        Ok(vec![g.conn]),
        "another room's member is nobody here"
    );
    assert_eq!(
        sent(&outsider, SERVER, C),
        Err(DropReason::NoGateway),
        "another room's gateway is nobody there"
    );
}

#[test]
fn r8_a_client_sends_with_its_own_mac_and_the_lan_with_no_clients() {
    let mut party = defaults();
    let g = party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));

    let mut sent = |from, source| party.send(from, &frame(MacAddr::BROADCAST, source, 60));
    assert_eq!(sent(&a, B), Err(DropReason::SpoofedSource));
    assert_eq!(sent(&a, SERVER), Err(DropReason::SpoofedSource));
    assert_eq!(sent(&g, A), Err(DropReason::RemoteMacOnLan));
    assert!(sent(&g, SERVER).is_ok());
}

/// A gateway that wants to know whose frames clients send.
fn attentive() -> Hello {
    Hello {
        capabilities: vec![Capability::FullFrame, Capability::ForeignSource],
        ..gateway()
    }
}

/// What a gateway on `conn` was told about foreign sources since the last call.
fn foreign(party: &mut Party, conn: ConnId) -> Vec<(PeerId, MacAddr)> {
    let told = party.news().into_iter().filter_map(|(to, message)| {
        let Message::ForeignSource(ForeignSource { peer, mac }) = message else {
            return None;
        };
        assert_eq!(to, conn, "nobody else is told");
        Some((peer, mac))
    });

    told.collect()
}

#[test]
fn r8_the_gateway_is_told_once_a_second_whose_frames_a_client_sends() {
    let mut party = defaults();
    let gate = party.join(&attentive());
    let (a, b) = (party.join(&client(A)), party.join(&client(B)));
    party.news();

    for (member, mac) in [(&a, SERVER), (&a, SERVER), (&b, A), (&a, B), (&a, A)] {
        let _passed = party.send(member, &frame(MacAddr::BROADCAST, mac, 60));
    }
    let (a_sent, b_sent) = ((a.welcome.peer, SERVER), (b.welcome.peer, A));
    assert_eq!(foreign(&mut party, gate.conn), [a_sent, b_sent]);

    party.pass(Duration::from_secs(1));
    let [first, second] = fragments(&a, &frame(B, SERVER, 1500), 1);
    party.send_raw(&a, &first).unwrap();
    party.send_raw(&a, &second).unwrap_err();
    assert_eq!(foreign(&mut party, gate.conn), [a_sent]);
}

#[test]
fn r8_a_crowd_that_sends_foreign_frames_does_not_fill_the_gateway_s_line() {
    let mut party = defaults();
    let gate = party.join(&attentive());
    let clients: Vec<Member> = (0..60)
        .map(|number| party.join(&client(MacAddr([2, 0, 0, 0, 1, number]))))
        .collect();
    party.news();

    let mut told = 0;
    for _ in 0..10 {
        for member in &clients {
            party
                .send(member, &frame(MacAddr::BROADCAST, SERVER, 60))
                .unwrap_err();
        }
        told += foreign(&mut party, gate.conn).len();
        party.pass(Duration::from_secs(1));
    }

    assert!((160..=200).contains(&told), "{told} in ten seconds");
}

#[test]
fn r8_a_gateway_that_does_not_understand_it_is_told_nothing_of_foreign_frames() {
    let mut party = defaults();
    let gate = party.join(&gateway());
    let a = party.join(&client(A));
    party.news();

    let sent = party.send(&a, &frame(B, SERVER, 60));

    assert_eq!(sent, Err(DropReason::SpoofedSource));
    assert_eq!(foreign(&mut party, gate.conn), []);
}

#[test]
fn r15_snapshots_show_stats_and_when_a_member_was_last_seen() {
    let mut party = defaults();
    let a = party.join(&client(A));
    party.pass(Duration::from_secs(7));
    let stats = Stats {
        frames_up: 42,
        ..Stats::default()
    };
    party.switch.handle_stats(a.at, stats.clone(), party.now);
    party.pass(Duration::from_secs(5));

    let snapshot = party.switch.snapshot(party.now);
    let member = &snapshot[0].members[0];

    assert_eq!(member.stats, Some(stats));
    assert_eq!(member.last_seen, Duration::from_secs(5));
    assert_eq!(member.age, Duration::from_secs(12));
    assert_eq!((member.peer, member.mac), (PeerId(1), Some(A)));
}

#[test]
fn every_byte_counted_went_somewhere_or_has_a_reason() {
    let mut party = defaults();
    party.join(&gateway());
    let a = party.join(&client(A));
    party.join(&client(B));
    let frames = (0..300).map(|number| [MacAddr::BROADCAST, B, A, SERVER][number % 4]);
    let passed = frames
        .filter(|to| party.send(&a, &frame(*to, A, 60)).is_ok())
        .count();

    let totals = party.switch.totals();
    assert_eq!(totals.ingress.frames, u64::try_from(passed).unwrap());
    assert_eq!(totals.ingress.frames + totals.drops.total(), 300);
    assert_eq!(totals.ingress.bytes, totals.ingress.frames * 60);
}
