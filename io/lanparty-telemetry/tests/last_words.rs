//! A process that ends by a panic has said everything.
#![expect(
    clippy::disallowed_methods,
    reason = "what is tested is the end of a process"
)]

use std::process::Command;

use lanparty_telemetry::Format;

/// Tells this program that it is the process that panics.
const CHILD: &str = "LANPARTY_TEST_CHILD";

#[test]
fn a_panic_is_told_after_everything_that_was_logged() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_panics", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();

    let text = String::from_utf8(output.stderr).unwrap();
    let numbers = text.lines().filter(|line| line.contains("number="));
    assert_eq!(numbers.count(), 50, "{text}");
    let (_, last) = text.split_once("number=49\n").unwrap();
    assert!(
        last.contains("thread 'the_process_that_panics' panicked at ")
            && last.contains("on purpose"),
        "{text}"
    );
}

#[test]
fn the_process_that_panics() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    lanparty_telemetry::init(&"info".parse().unwrap(), Format::Text).unwrap();
    for number in 0..50 {
        tracing::info!(number, "a line");
    }
    panic!("on purpose");
}
