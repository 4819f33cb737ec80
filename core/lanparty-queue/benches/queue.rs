//! What a frame costs in the queue, and a batch of acknowledgements in the controller.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lanparty_queue::{
    AckBatch, EgressConfig, EgressQueue, FqCodel, FqConfig, Pace, QueueItem, RateController,
    TrafficClass,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// As large as a handle on a pooled buffer.
#[derive(Debug, Clone, Copy)]
struct Item([u64; 4]);

impl QueueItem for Item {
    fn wire_len(&self) -> usize {
        1400
    }

    fn mark_ce(&mut self) -> bool {
        self.0[0] == 1
    }
}

const TRAIN: u32 = 64;

#[expect(
    clippy::disallowed_methods,
    reason = "a bench needs some instant to count from"
)]
fn clock() -> Instant {
    Instant::now()
}

fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(u64::from(TRAIN)));
    for (name, flows) in [("one flow", 1), ("64 flows", 64)] {
        group.bench_function(format!("enqueue and dequeue a train, {name}"), |bencher| {
            let mut queue = FqCodel::new(FqConfig::default());
            let now = clock();
            bencher.iter(|| {
                for number in 0..TRAIN {
                    let _enqueued = queue.enqueue(
                        Item([0; 4]),
                        (number % flows) << 20,
                        0,
                        TrafficClass::Normal,
                        now,
                    );
                }
                while let Some(item) = queue.dequeue(now) {
                    black_box(item);
                }
            });
        });
    }
    group.bench_function("through an egress queue without limit", |bencher| {
        let mut egress = EgressQueue::new(EgressConfig::new(Pace::Off));
        let mut now = clock();
        bencher.iter(|| {
            // A turn of its own, or the cap on bytes in flight would stop the egress queue.
            now += Duration::from_millis(1);
            for _ in 0..TRAIN {
                let _enqueued =
                    black_box(egress.enqueue(Item([0; 4]), 1, 0, TrafficClass::Normal, now));
            }
            while let Some(item) = egress.poll_transmit(now) {
                black_box(item);
            }
        });
    });
    group.finish();
}

fn controller(criterion: &mut Criterion) {
    criterion.bench_function(
        "controller: send a train and take its acknowledgement",
        |bencher| {
            let start = clock();
            bencher.iter_batched_ref(
                || (RateController::new(1400), start),
                |(controller, now)| {
                    for _ in 0..100 {
                        let sent = *now;
                        controller.handle_sent(sent, 32 * 1400);
                        *now += Duration::from_millis(1);
                        let mut batch = AckBatch::default();
                        batch.add(sent, 32 * 1400);
                        controller.handle_ack_batch(*now, &batch);
                        black_box(controller.pacing_rate());
                    }
                },
                BatchSize::SmallInput,
            );
        },
    );
}

criterion_group!(benches, queue, controller);
criterion_main!(benches);
