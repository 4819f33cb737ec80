//! The queue against a naive model: nothing is lost, doubled, or reordered within a flow, and every bound holds.

use lanparty_queue::{FqCodel, FqConfig, QueueItem, TrafficClass};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
struct Item {
    number: u64,
    flow: u32,
    source: u16,
    len: usize,
    ect: bool,
}

impl QueueItem for Item {
    fn wire_len(&self) -> usize {
        self.len
    }

    fn mark_ce(&mut self) -> bool {
        self.ect
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        flow: u32,
        source: u16,
        len: usize,
        control: bool,
        ect: bool,
    },
    Take,
    Peek,
    Wait(u64),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u32..40, prop_oneof![Just(0_u16), 0_u16..20, Just(u16::MAX)], 0_usize..1600, prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(flow, source, len, control, ect)| Step::Put { flow: flow << 20, source, len, control, ect }),
        4 => Just(Step::Take),
        1 => Just(Step::Peek),
        1 => (0_u64..30_000).prop_map(Step::Wait),
        1 => Just(Step::Release),
    ]
}

proptest! {
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    fn what_goes_in_comes_out_or_is_counted(
        steps in prop::collection::vec(step(), 1..1500),
        limit_bytes in 2000_usize..200_000,
        limit_packets in 1_usize..200,
        buckets in 1_u16..1024,
        quantum in prop_oneof![Just(300_u32), Just(1514)],
    ) {
        let config = FqConfig { buckets, quantum, limit_bytes, limit_packets, ..FqConfig::default() };
        let mut queue = FqCodel::new(config);
        let mut now = Instant::now();
        let mut waiting: BTreeMap<u64, Item> = BTreeMap::new();
        let mut last: BTreeMap<(u32, u16), u64> = BTreeMap::new();
        let (mut put, mut taken, mut overflow) = (0_u64, 0_u64, 0_u64);
        let mut take = |queue: &mut FqCodel<Item>, waiting: &mut BTreeMap<u64, Item>, now| {
            let Some(item) = queue.dequeue(now) else { return Ok(false) };
            prop_assert!(waiting.remove(&item.number).is_some(), "never enqueued, or out twice");
            if item.flow != u32::MAX {
                let before = last.insert((item.flow, item.source), item.number);
                prop_assert!(before.is_none_or(|before| before < item.number), "reordered");
            }
            Ok(true)
        };
        for step in steps {
            match step {
                Step::Put { flow, source, len, control, ect } => {
                    // Control items may overtake ordinary ones, so they have a flow of their own.
                    let flow = if control { u32::MAX } else { flow };
                    let item = Item { number: put, flow, source, len, ect };
                    let class = if control { TrafficClass::Control } else { TrafficClass::Normal };
                    put += 1;
                    waiting.insert(item.number, item);
                    overflow += u64::from(queue.enqueue(item, flow, source, class, now).overflow);
                }
                Step::Take => taken += u64::from(take(&mut queue, &mut waiting, now)?),
                Step::Peek => prop_assert_eq!(queue.peek_len().is_some(), !queue.is_empty()),
                Step::Wait(micros) => now += Duration::from_micros(micros),
                Step::Release => queue.release_if_empty(),
            }
            let counts = queue.counts();
            prop_assert_eq!(put, taken + counts.codel + counts.overflow + queue.len() as u64);
            prop_assert_eq!(overflow, counts.overflow);
            // The control class has its own small bound.
            prop_assert!(queue.len() <= limit_packets + 64);
            prop_assert!(queue.bytes() <= limit_bytes.max(64 * 640));
        }
        while take(&mut queue, &mut waiting, now)? {
            taken += 1;
        }
        let counts = queue.counts();
        prop_assert_eq!((queue.len(), queue.bytes()), (0, 0));
        prop_assert_eq!(put, taken + counts.codel + counts.overflow);
        prop_assert_eq!(waiting.len() as u64, counts.codel + counts.overflow);
    }
}
