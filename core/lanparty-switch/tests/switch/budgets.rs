//! Frames that a path cannot carry whole.

use lanparty_ctrl::{Capability, Hello, Message};
use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;
use lanparty_switch::{Fit, Verdict};

use crate::party::{
    A, B, C, Party, SERVER, client, datagram, defaults, fragments, frame, gateway, native,
};

#[test]
fn r11_drops_what_is_over_the_sender_s_budget_before_reading_it() {
    let mut party = defaults();
    let a = party.join(&Hello {
        budget: 1300,
        ..client(A)
    });

    assert_eq!(
        party.send_raw(&a, &vec![0xff; 1301]),
        Err(DropReason::DatagramBudget)
    );
    assert_eq!(
        party.send_raw(&a, &vec![0xff; 1300]),
        Err(DropReason::MalformedDatagram)
    );
}

#[test]
fn r11_skips_a_target_whose_budget_is_too_small_and_no_other() {
    let mut party = defaults();
    let a = party.join(&native(client(A)));
    let b = party.join(&native(client(B)));
    let c = party.join(&native(client(C)));
    party.switch.handle_budget(b.at, 1000);

    let to = party.send(&a, &frame(MacAddr::BROADCAST, A, 1200));
    assert_eq!(to, Ok(vec![c.conn]));
    assert_eq!(party.send(&a, &frame(B, A, 1200)), Ok(vec![]));

    let snapshot = party.switch.snapshot(party.now);
    let skipped = snapshot[0].members[1].drops.get(DropReason::TargetBudget);
    assert_eq!(skipped, 2);
    party.switch.handle_budget(b.at, 1434);
    assert_eq!(party.send(&a, &frame(B, A, 1200)), Ok(vec![b.conn]));
}

#[test]
fn a_native_room_is_told_when_a_path_shrinks_and_when_it_widens() {
    let mut party = defaults();
    let hears = |hello: Hello| Hello {
        capabilities: vec![Capability::RoomBudget],
        ..hello
    };
    let told = |party: &mut Party| {
        let news = party.news().into_iter();
        let budgets = news.filter_map(|(conn, message)| match message {
            Message::RoomBudget(room) => Some((conn, room.budget)),
            _ => None,
        });
        budgets.collect::<Vec<_>>()
    };
    let a = party.join(&hears(client(A)));
    let b = party.join(&hears(client(B)));
    party.join(&native(client(C)));
    assert_eq!(told(&mut party), [], "everybody carries the MTU");

    party.switch.handle_budget(b.at, 1162);
    party.drain();
    let narrow = [(a.conn, Some(1162)), (b.conn, Some(1162))];
    assert_eq!(told(&mut party), narrow, "the third would not understand");

    let g = party.join(&hears(gateway()));
    assert_eq!(told(&mut party), [(g.conn, Some(1162))]);

    party.switch.handle_budget(b.at, 1434);
    party.drain();
    assert_eq!(told(&mut party).len(), 3);
    party.switch.handle_budget(b.at, 1162);
    party.drain();
    told(&mut party);
    party.switch.handle_lost(b.at, party.now);
    party.drain();
    let wide = [(a.conn, None), (g.conn, None)];
    assert_eq!(told(&mut party), wide, "nothing is sent to the narrow one");
}

#[test]
fn a_full_room_is_told_nothing_of_paths() {
    let mut party = defaults();
    let hello = Hello {
        capabilities: vec![Capability::FullFrame, Capability::RoomBudget],
        ..client(A)
    };
    let a = party.join(&hello);
    party.switch.handle_budget(a.at, 1162);
    party.drain();

    let news = party.news();
    assert!(
        !news
            .iter()
            .any(|(_, m)| matches!(m, Message::RoomBudget(_)))
    );
}

#[test]
fn r11_a_full_room_splits_for_a_narrow_target() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.try_join(&client(B), 1162).unwrap();
    let c = party.join(&client(C));
    let datagram = datagram(&a, &frame(MacAddr::BROADCAST, A, 1400));

    let verdict = party.switch.handle_datagram(a.at, &datagram, party.now);
    let Verdict::Forward(forward) = verdict else {
        panic!("the frame is for everybody");
    };

    let fits: Vec<_> = forward.targets().iter().map(|t| (t.conn, t.fit)).collect();
    assert_eq!(fits, [(b.conn, Fit::Split), (c.conn, Fit::Whole)]);
    let fragments = lanparty_switch::split_datagram(&datagram, forward.split_sequence).unwrap();
    assert!(fragments.iter().all(|fragment| fragment.len() <= 1162));
}

#[test]
fn halves_leave_together_in_whatever_order_they_come() {
    let mut party = defaults();
    let a = party.join(&client(A));
    let b = party.join(&client(B));
    let frame = frame(B, A, 1514);

    for (sequence, reorder) in [(1, false), (2, true)] {
        let [mut first, mut second] = fragments(&a, &frame, sequence);
        if reorder {
            std::mem::swap(&mut first, &mut second);
        }
        assert_eq!(party.send_raw(&a, &first), Ok(vec![]));
        let verdict = party.switch.handle_datagram(a.at, &second, party.now);
        let Verdict::Forward(forward) = verdict else {
            panic!("both fragments are there");
        };
        assert_eq!(forward.held.as_deref(), Some(&first[..]));
        let to: Vec<_> = forward.targets().iter().map(|t| (t.conn, t.fit)).collect();
        assert_eq!(to, [(b.conn, Fit::Whole)]);
    }
    assert_eq!(party.switch.held_bytes(), 0);
}

#[test]
fn a_split_frame_hides_nothing_from_policy_and_rates() {
    let mut party = defaults();
    let a = party.join(&client(A));
    party.join(&client(B));
    let whole = |party: &mut Party, frame: &[u8], sequence| {
        let [first, second] = fragments(&a, frame, sequence);
        party.send_raw(&a, &first).unwrap();
        party.send_raw(&a, &second)
    };

    assert_eq!(
        whole(&mut party, &frame(B, SERVER, 800), 1),
        Err(DropReason::SpoofedSource)
    );
    assert!(whole(&mut party, &frame(B, A, 1515), 2).is_err_and(DropReason::is_safety));
    let passed = (0..500)
        .filter(|n| whole(&mut party, &frame(MacAddr::BROADCAST, A, 1200), 3 + n).is_ok())
        .count();
    assert_eq!(passed, 128);
}

#[test]
fn halves_that_never_meet_are_counted_and_bounded() {
    let mut party = defaults();
    let a = party.join(&client(A));
    party.join(&client(B));
    let frame = frame(B, A, 1514);
    for sequence in 0..10_000 {
        let [first, _] = fragments(&a, &frame, sequence);
        party.send_raw(&a, &first).unwrap();
    }

    assert!(party.switch.held_bytes() < 32 * 1024);
    let lost = party.switch.totals().drops.get(DropReason::FragmentLost);
    assert_eq!(lost, 10_000 - 32);
}
