//! Counters, goodbyes, and what cannot be understood.

use lanparty_ctrl::{Message, Stats};
use lanparty_session::{EndKind, Output};

use crate::harness::{Bench, SECOND, end, sent};

#[test]
fn unknown_message_is_answered_and_ends_with_a_clear_error() {
    let (mut bench, attempt) = Bench::joined();
    let body = br#"{"type":"dance"}"#;
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bench.session.handle_control(attempt, &bytes, bench.now);
    let outputs = bench.outputs();

    assert!(matches!(sent(&outputs)[..], [Message::Disconnect(_)]));
    let (kind, sentence) = end(&outputs).unwrap();
    assert_eq!(kind, EndKind::Failed);
    assert!(sentence.contains("dance"), "{sentence}");
}

#[test]
fn stats_go_every_ten_seconds_however_often_they_come() {
    let (mut bench, _) = Bench::joined();
    let mut count = 0;
    for _ in 0..300 {
        bench.pass(SECOND / 10);
        bench.session.handle_stats(Stats::default(), bench.now);
        count += sent(&bench.outputs()).len();
    }

    assert_eq!(count, 3);
}

#[test]
fn leaving_says_goodbye_before_it_closes() {
    let (mut bench, attempt) = Bench::joined();
    bench.session.leave(bench.now);
    assert!(matches!(
        sent(&bench.outputs())[..],
        [Message::Disconnect(_)]
    ));
    bench.pass(SECOND);
    let outputs = bench.outputs();

    assert!(matches!(outputs[0], Output::Close { id, .. } if id == attempt));
    assert_eq!(end(&outputs).unwrap().0, EndKind::Left);
}
