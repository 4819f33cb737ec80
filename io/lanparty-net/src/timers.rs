//! When which link wants to be woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many links, of which each changes with every packet.
///
/// Moving a deadline back costs nothing: the old entry stays until it is the next, and only then makes way ([`Timers::settle`]). So a busy
/// link has one entry most of the time, and the heap at most one for each time that a deadline moved forward; and nobody is woken by the
/// timer of an acknowledgement that has left meanwhile with a frame.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, usize)>>);

/// A link's own memory of its deadline.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// When it wants to be woken.
    due: Option<Instant>,
    /// Its entry, never later than that.
    armed: Option<Instant>,
}

impl Alarm {
    /// An entry came up. Returns whether it is the link's, and not one that an earlier one replaced.
    pub(crate) fn ring(&mut self, deadline: Instant) -> bool {
        let is_ours = self.armed == Some(deadline);
        if is_ours {
            *self = Self::default();
        }

        is_ours
    }
}

impl Timers {
    /// Makes sure that `slot` comes up at `deadline` or earlier.
    pub(crate) fn arm(&mut self, slot: usize, deadline: Option<Instant>, alarm: &mut Alarm) {
        alarm.due = deadline;
        let Some(deadline) = deadline else {
            return;
        };
        if alarm.armed.is_none_or(|armed| deadline < armed) {
            alarm.armed = Some(deadline);
            self.0.push(Reverse((deadline, slot)));
        }
    }

    /// Lets the next entry be one that its link still wants; call it before [`Timers::next`] is waited for. `alarm` finds a slot's alarm.
    pub(crate) fn settle<L>(
        &mut self,
        slots: &mut [L],
        alarm: impl Fn(&mut L) -> Option<&mut Alarm>,
    ) {
        while let Some(Reverse((deadline, slot))) = self.0.peek().copied() {
            let alarm = (slots.get_mut(slot).and_then(&alarm))
                .filter(|alarm| alarm.armed == Some(deadline));
            let due = alarm.as_ref().and_then(|alarm| alarm.due);
            if due.is_some_and(|due| due <= deadline) {
                return;
            }
            self.0.pop();
            if let Some(alarm) = alarm {
                alarm.armed = None;
                self.arm(slot, due, alarm);
            }
        }
    }

    /// Returns when the next slot comes up.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes a slot whose time has come, with the deadline it was armed for.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let Reverse((deadline, slot)) = *self.0.peek()?;
        if deadline > now {
            return None;
        }
        self.0.pop();

        Some((slot, deadline))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Some links, and the time that their deadlines count from.
    struct Bench {
        timers: Timers,
        alarms: [Alarm; 3],
        start: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                timers: Timers::default(),
                alarms: <[Alarm; 3]>::default(),
                start: Instant::now(),
            }
        }

        fn at(&self, after: u64) -> Instant {
            self.start + Duration::from_millis(after)
        }

        fn arm(&mut self, slot: usize, after: Option<u64>) {
            let deadline = after.map(|after| self.at(after));
            self.timers.arm(slot, deadline, &mut self.alarms[slot]);
        }

        fn next(&mut self) -> Option<u128> {
            self.timers.settle(&mut self.alarms, |alarm| Some(alarm));
            let next = self.timers.next()?;

            Some((next - self.start).as_millis())
        }

        /// Who is woken until then.
        fn woken(&mut self, until: u64) -> Vec<usize> {
            let now = self.at(until);
            std::iter::from_fn(|| self.timers.pop_due(now))
                .filter_map(|(slot, at)| self.alarms[slot].ring(at).then_some(slot))
                .collect()
        }
    }

    #[test]
    fn the_earliest_comes_first() {
        let mut bench = Bench::new();
        bench.arm(0, Some(5));
        bench.arm(1, Some(3));
        assert_eq!(bench.next(), Some(3));
        bench.arm(0, Some(1));
        assert_eq!(bench.next(), Some(1));
        assert_eq!(bench.woken(4), [0, 1]);
        assert_eq!(bench.next(), None, "the old entry is nobody's");
    }

    #[test]
    fn nobody_is_woken_by_a_deadline_that_moved_back_or_went() {
        let mut bench = Bench::new();
        bench.arm(0, Some(5));
        bench.arm(0, Some(50));
        bench.arm(1, Some(6));
        bench.arm(1, None);
        bench.arm(2, Some(60));
        assert_eq!(bench.next(), Some(50));
        assert_eq!(bench.woken(49), [0; 0]);
        assert_eq!(bench.woken(100), [0, 2]);
    }

    #[test]
    fn a_deadline_that_moves_all_the_time_has_one_entry() {
        let mut bench = Bench::new();
        for after in 5..1000 {
            bench.arm(0, Some(after));
            assert_eq!(bench.next(), Some(after.into()));
        }
        assert_eq!(bench.timers.0.len(), 1);
    }

    #[test]
    fn a_slot_that_is_gone_wakes_nobody() {
        let mut bench = Bench::new();
        bench.arm(0, Some(5));
        bench.alarms[0] = Alarm::default();
        assert_eq!(bench.next(), None);
    }

    /// What can happen to a link's deadline, in milliseconds from now.
    #[derive(Debug, Clone)]
    enum Step {
        /// It was flushed and wants to be woken then.
        Arm(usize, Option<u64>),
        /// It is gone, and another one has its slot.
        Renew(usize, Option<u64>),
        /// Time passes, and whoever is due is woken.
        Pass(u64),
        /// What comes next is looked at.
        Settle,
    }

    fn step() -> impl Strategy<Value = Step> {
        let deadline = || proptest::option::weighted(0.8, 0_u64..20);
        prop_oneof![
            4 => (0_usize..3, deadline()).prop_map(|(slot, at)| Step::Arm(slot, at)),
            1 => (0_usize..3, deadline()).prop_map(|(slot, at)| Step::Renew(slot, at)),
            2 => (0_u64..10).prop_map(Step::Pass),
            2 => Just(Step::Settle),
        ]
    }

    proptest! {
        #[test]
        fn no_deadline_is_ever_lost_and_none_is_waited_for_in_vain(
            steps in proptest::collection::vec(step(), 0..200)
        ) {
            let mut bench = Bench::new();
            let mut wanted: [Option<u64>; 3] = [None; 3];
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Arm(slot, after) => {
                        wanted[slot] = after.map(|after| now + after);
                        bench.arm(slot, wanted[slot]);
                    }
                    Step::Renew(slot, after) => {
                        bench.alarms[slot] = Alarm::default();
                        wanted[slot] = after.map(|after| now + after);
                        bench.arm(slot, wanted[slot]);
                    }
                    Step::Pass(time) => {
                        now += time;
                        let woken = bench.woken(now);
                        for (slot, wanted) in wanted.iter_mut().enumerate() {
                            let is_due = wanted.is_some_and(|at| at <= now);
                            prop_assert!(!is_due || woken.contains(&slot), "{slot} sleeps on");
                            // Whoever is woken is flushed, and says anew what it waits for.
                            wanted.take_if(|at| *at <= now);
                            if woken.contains(&slot) {
                                bench.arm(slot, *wanted);
                            }
                        }
                    }
                    Step::Settle => {
                        let next = wanted.iter().flatten().min().copied();
                        prop_assert_eq!(bench.next(), next.map(u128::from));
                    }
                }
            }
        }
    }
}
