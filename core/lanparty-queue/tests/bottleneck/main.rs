//! What the egress queue does to a line, in virtual time. Figures: `cargo test -p lanparty-queue --test bottleneck -- --nocapture`.

mod sim;

use lanparty_queue::{BitRate, Pace};
use sim::{Line, Seen, Sim, Source};
use std::time::Duration;

const MBIT: u64 = 1_000_000;

const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// 100 Mbit/s, 10 ms each way, 200 ms of buffer.
const DOWN: Line = Line {
    rate: |_| 100 * MBIT,
    delay: |_| ms(10),
    buffer: ms(200),
    loss_permille: 0,
    dead: |_| false,
    burst: Duration::ZERO,
};

const UP: Line = Line {
    rate: |_| 40 * MBIT,
    ..DOWN
};

/// Percent of `rate` that a run of `length` after its warm-up used.
fn used(seen: &Seen, rate: u64, length: Duration) -> u64 {
    seen.total() * 8 * 1000 * 100
        / (rate * u64::try_from(length.as_millis()).expect("runs are short"))
}

fn run(name: &str, line: Line, pace: Pace, source: Source) -> Seen {
    let mut sim = Sim::new(line, ms(2000));
    sim.add(pace, source, Duration::ZERO);
    let seen = sim.run(ms(22_000));
    report(name, &seen, (line.rate)(Duration::ZERO), ms(20_000));
    seen
}

#[expect(
    clippy::print_stdout,
    reason = "figures for docs/queueing.md, shown with --nocapture"
)]
fn report(name: &str, seen: &Seen, rate: u64, length: Duration) {
    println!(
        "{name:40} used {:3} %  wait p99 {:?}  game p99 {:?}  shares {:?}",
        used(seen, rate, length),
        seen.wait_p99(),
        seen.game_p99(),
        seen.bytes
    );
}

#[test]
fn auto_fills_the_line_and_keeps_its_buffer_empty() {
    for (name, line) in [("auto 100 Mbit/s", DOWN), ("auto 40 Mbit/s", UP)] {
        let rate = (line.rate)(Duration::ZERO);
        for source in [Source::Greedy, Source::Window] {
            let seen = run(&format!("{name} {source:?}"), line, Pace::Auto, source);
            assert!(used(&seen, rate, ms(20_000)) >= 85);
            assert!(seen.wait_p99() <= ms(15));
            assert!(seen.game_p99() <= ms(25));
        }
    }
}

#[test]
fn fixed_fills_the_line_and_keeps_its_buffer_empty() {
    for (name, line) in [("fixed 100 Mbit/s", DOWN), ("fixed 40 Mbit/s", UP)] {
        let rate = (line.rate)(Duration::ZERO);
        let pace = Pace::Fixed(BitRate::clamped(rate / 100 * 96));
        for source in [Source::Greedy, Source::Window] {
            let seen = run(&format!("{name} {source:?}"), line, pace, source);
            assert!(used(&seen, rate, ms(20_000)) >= 90);
            assert!(seen.wait_p99() <= ms(5));
            assert!(seen.game_p99() <= ms(15));
        }
    }
}

#[test]
fn a_game_alone_meets_an_empty_line() {
    let seen = run("game alone", UP, Pace::Auto, Source::None);
    assert!(seen.game_p99() <= ms(11));
}

#[test]
fn random_loss_of_two_percent_does_not_collapse_auto() {
    let line = Line {
        loss_permille: 20,
        ..DOWN
    };
    let seen = run("auto 2 % loss", line, Pace::Auto, Source::Greedy);
    assert!(used(&seen, 100 * MBIT, ms(20_000)) >= 80);
    assert!(seen.wait_p99() <= ms(15));
}

#[test]
fn a_fall_of_the_rate_is_followed_within_two_seconds() {
    let line = Line {
        rate: |at| if at < ms(5000) { 100 * MBIT } else { 20 * MBIT },
        ..DOWN
    };
    let mut sim = Sim::new(line, ms(7000));
    sim.add(Pace::Auto, Source::Greedy, Duration::ZERO);
    let seen = sim.run(ms(17_000));
    report(
        "auto 100 -> 20 Mbit/s, after 2 s",
        &seen,
        20 * MBIT,
        ms(10_000),
    );
    assert!(seen.wait_p99() <= ms(25));
    assert!(used(&seen, 20 * MBIT, ms(10_000)) >= 80);
}

#[test]
fn a_longer_route_is_accepted_as_such() {
    let line = Line {
        delay: |at| if at < ms(5000) { ms(10) } else { ms(30) },
        ..DOWN
    };
    let mut sim = Sim::new(line, ms(8000));
    sim.add(Pace::Auto, Source::Greedy, Duration::ZERO);
    let seen = sim.run(ms(18_000));
    report(
        "auto route 20 -> 60 ms, after 3 s",
        &seen,
        100 * MBIT,
        ms(10_000),
    );
    assert!(used(&seen, 100 * MBIT, ms(10_000)) >= 80);
    assert!(seen.wait_p99() <= ms(20));
}

#[test]
fn a_black_hole_is_left_at_once() {
    let line = Line {
        dead: |at| at.as_millis() % 5000 >= 3000,
        ..UP
    };
    let mut sim = Sim::new(line, ms(1000));
    sim.add(Pace::Auto, Source::Greedy, Duration::ZERO);
    let seen = sim.run(ms(21_000));
    report("auto dead 2 s of 5 s", &seen, 40 * MBIT, ms(20_000));
    for second in [5, 10, 15] {
        let after: u64 = seen.buckets[second * 10..second * 10 + 10].iter().sum();
        assert!(after * 8 >= 40 * MBIT * 80 / 100, "{second}: {after}");
    }
}

#[test]
fn a_path_limited_by_a_processor_is_filled_without_a_standing_queue() {
    let line = Line {
        rate: |_| 2500 * MBIT,
        delay: |_| Duration::from_micros(50),
        buffer: ms(50),
        burst: Duration::from_micros(100),
        ..DOWN
    };
    let mut sim = Sim::new(line, ms(500));
    sim.add(Pace::Auto, Source::Greedy, Duration::ZERO);
    let seen = sim.run(ms(2500));
    report("auto 2.5 Gbit/s, 0.1 ms", &seen, 2500 * MBIT, ms(2000));
    assert!(used(&seen, 2500 * MBIT, ms(2000)) >= 80);
    assert!(seen.game_p99() <= ms(3));
}

#[test]
fn competitors_share_roughly_fairly() {
    let mut sim = Sim::new(DOWN, ms(10_000));
    for index in 0..3 {
        sim.add(Pace::Auto, Source::Greedy, ms(1000 * index));
    }
    let seen = sim.run(ms(40_000));
    report("auto three competitors", &seen, 100 * MBIT, ms(30_000));
    let (least, most) = (
        seen.bytes.iter().min().unwrap(),
        seen.bytes.iter().max().unwrap(),
    );
    assert!(used(&seen, 100 * MBIT, ms(30_000)) >= 85);
    assert!(most <= &(least * 3), "{least} {most}");
    assert!(seen.wait_p99() <= ms(40));
}
