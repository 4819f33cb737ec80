#![expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to count from"
)]

use super::*;

#[derive(Debug, PartialEq, Eq)]
struct Packet {
    source: u16,
    flow: u32,
    number: u32,
    len: usize,
    ect: bool,
}

impl QueueItem for Packet {
    fn wire_len(&self) -> usize {
        self.len
    }

    fn mark_ce(&mut self) -> bool {
        self.ect
    }

    fn supersedes(&self, older: &Self) -> bool {
        self.flow == older.flow && self.len == SMALL
    }
}

/// Packets of this length say all that the one before them said.
const SMALL: usize = 54;

fn packet(source: u16, flow: u32, number: u32, len: usize) -> Packet {
    Packet {
        source,
        flow,
        number,
        len,
        ect: false,
    }
}

fn put(queue: &mut FqCodel<Packet>, item: Packet, now: Instant) -> u32 {
    let (flow, source) = (item.flow, item.source);
    let class = if item.len == SMALL {
        TrafficClass::Acknowledgement
    } else {
        TrafficClass::Normal
    };
    queue.enqueue(item, flow, source, class, now).overflow
}

#[test]
fn an_idle_queue_is_small_and_owns_nothing() {
    assert!(
        size_of::<FqCodel<[u64; 4]>>() <= 512,
        "{}",
        size_of::<FqCodel<[u64; 4]>>()
    );
    let mut queue = FqCodel::new(FqConfig::default());
    let now = Instant::now();
    assert_eq!(put(&mut queue, packet(0, 1, 0, 100), now), 0);
    assert!(queue.dequeue(now).is_some());
    queue.release_if_empty();
    assert_eq!(queue.dequeue(now), None);
}

#[test]
fn a_sparse_flow_passes_a_backlog() {
    let mut queue = FqCodel::new(FqConfig::default());
    let now = Instant::now();
    for number in 0..100 {
        put(&mut queue, packet(0, 1, number, 1400), now);
    }
    for _ in 0..10 {
        queue.dequeue(now);
    }
    put(&mut queue, packet(0, 2, 0, 100), now);
    assert!(queue.next_is_sparse());
    assert_eq!(queue.dequeue(now).map(|item| item.flow), Some(2));
}

#[test]
fn a_sparse_flow_passes_the_backlog_of_every_other_sender() {
    let mut queue = FqCodel::new(FqConfig::default());
    let now = Instant::now();
    for number in 0..50 {
        for source in 1..=32 {
            put(&mut queue, packet(source, 1, number, 1400), now);
        }
    }
    for _ in 0..100 {
        queue.dequeue(now);
    }
    put(&mut queue, packet(5, 2, 0, 100), now);
    assert_eq!(
        queue.dequeue(now).map(|item| (item.source, item.flow)),
        Some((5, 2))
    );
}

#[test]
fn a_sender_with_many_flows_gets_no_more_than_a_sender_with_one() {
    let mut queue = FqCodel::new(FqConfig::default());
    let now = Instant::now();
    let mut bytes = [0_usize; 3];
    for number in 0..4000_u32 {
        for _ in 0..2 {
            put(
                &mut queue,
                packet(1, number.wrapping_mul(2_654_435_761), number, 700),
                now,
            );
        }
        put(&mut queue, packet(2, 7, number, 1400), now);
        if let Some(item) = queue.dequeue(now) {
            bytes[usize::from(item.source)] += item.len;
        }
    }
    let (many, one) = (bytes[1], bytes[2]);
    assert!(many.abs_diff(one) <= 8 * QUANTUM as usize, "{many} {one}");
}

#[test]
fn control_goes_first_and_cannot_be_abused() {
    let mut queue = FqCodel::new(FqConfig::default());
    let now = Instant::now();
    put(&mut queue, packet(0, 1, 0, 1400), now);
    for number in 0..10_000 {
        let item = packet(9, 3, number, 60);
        let _enqueued = queue.enqueue(item, 3, 9, TrafficClass::Control, now);
    }
    let mut ahead = 0;
    while let Some(item) = queue.dequeue(now) {
        if item.flow == 1 {
            break;
        }
        ahead += 1;
    }
    assert!(
        (1..=CONTROL_MAX_PACKETS + 2 * QUANTUM as usize / 60).contains(&ahead),
        "{ahead}"
    );
}

#[test]
fn overflow_takes_the_head_of_the_fattest_flow_of_the_fattest_source() {
    let config = FqConfig {
        limit_bytes: 100_000,
        ..FqConfig::default()
    };
    let mut queue = FqCodel::new(config);
    let now = Instant::now();
    for number in 0..20 {
        assert_eq!(put(&mut queue, packet(1, 1, number, 1000), now), 0);
    }
    let mut dropped = 0;
    for number in 0..500 {
        dropped += put(&mut queue, packet(2, 1, number, 1000), now);
    }
    assert_eq!(dropped, 420);
    assert_eq!(queue.counts().overflow, 420);
    let left: Vec<Packet> = std::iter::from_fn(|| queue.dequeue(now)).collect();
    assert_eq!(left.iter().filter(|item| item.source == 1).count(), 20);
    assert_eq!(
        left.iter()
            .filter(|item| item.source == 2)
            .map(|item| item.number)
            .min(),
        Some(420)
    );
}

#[test]
fn codel_marks_what_can_be_marked_and_drops_the_rest() {
    for ect in [false, true] {
        let mut queue = FqCodel::new(FqConfig::default());
        let start = Instant::now();
        let mut out = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            for _ in 0..2 {
                let mut item = packet(0, 1, 0, 1400);
                item.ect = ect;
                put(&mut queue, item, now);
            }
            out += u64::from(queue.dequeue(now).is_some());
        }
        let counts = queue.counts();
        assert_eq!(out + queue.len() as u64 + counts.codel, 2000);
        assert!(if ect {
            counts.marked > 3 && counts.codel == 0
        } else {
            counts.codel > 3 && counts.marked == 0
        });
        assert_eq!(queue.take_counts(), counts);
        assert_eq!(queue.take_counts(), QueueCounts::default());
    }
}

#[test]
fn a_newer_item_takes_the_place_of_what_it_makes_needless() {
    let mut queue = FqCodel::new(FqConfig::default());
    let now = Instant::now();
    for (number, len) in [(0, SMALL), (1, SMALL), (2, 100), (3, SMALL), (4, SMALL)] {
        assert_eq!(put(&mut queue, packet(0, 1, number, len), now), 0);
    }
    // Another flow, though it may share a bucket, keeps what is its own.
    assert_eq!(put(&mut queue, packet(0, 2, 5, SMALL), now), 0);

    let mut left: Vec<u32> = std::iter::from_fn(|| queue.dequeue(now))
        .map(|item| item.number)
        .collect();
    left.sort_unstable();
    assert_eq!(left, [1, 2, 4, 5]);
    assert_eq!(queue.counts().superseded, 2);
    assert_eq!(queue.counts().dropped(QueueDrop::Superseded), 2);
    assert_eq!(queue.bytes(), 0);
}
