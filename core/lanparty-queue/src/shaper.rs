//! A token bucket, kept as the time at which it will be level again (the generic cell rate algorithm): no timer fills it.
//!
//! Not `lanparty_bounds::TokenBucket`, which refuses: a shaper lets things wait, so it says when the
//! next may leave, may run into debt for sparse flows, and changes its rate while it runs.

use crate::rate::BitRate;
use std::time::{Duration, Instant};

/// Burst after silence: 1 ms of the rate. A train is at most as long, and a line's first hop holds it without notice.
pub const BURST: Duration = Duration::from_millis(1);

/// What a loop may catch up that was kept from sending by other work while something waited: `CoDel`'s target (RFC 8289 section 4.4), beyond
/// which a queue stands. Without it, a loop with turns of 3 ms would send a third of the rate.
pub const CATCH_UP: Duration = Duration::from_millis(5);

/// Two full-size datagrams always fit a burst, or slow lines would send each packet of a pair on its own timer: 2 * 1514.
pub const MIN_BURST_BYTES: u64 = 2 * 1514;

/// How far control and sparse flows may run ahead of the bucket: four full-size datagrams. It is repaid by bulk at once, so that the
/// line's rate is exceeded for one burst and never on average.
pub const SPARSE_DEBT_BYTES: u64 = 4 * 1514;

/// Outer bytes per datagram on IPv4: IP 20, UDP 8, QUIC short header 1 + connection id 8 + packet number 4, AEAD tag 16, DATAGRAM
/// frame header 3 (RFC 9000 section 17.3.1, RFC 9221 section 4).
pub const OVERHEAD_IPV4: u16 = 20 + 8 + 1 + 8 + 4 + 16 + 3;

/// As [`OVERHEAD_IPV4`] with IPv6's header of 40 bytes.
pub const OVERHEAD_IPV6: u16 = OVERHEAD_IPV4 + 20;

/// Paces datagrams to a rate.
#[derive(Debug, Clone, Copy)]
pub struct Shaper {
    rate: BitRate,
    overhead: u16,
    /// When all that was sent has left the line; in the past after silence.
    level: Option<Instant>,
    /// What division left over of the last packet's time, in 1/rate ns: without it 5 Gbit/s of small packets run 0.2 % fast.
    remainder: u64,
}

impl Shaper {
    /// A shaper with a full bucket. `overhead` is added to every datagram's length.
    pub const fn new(rate: BitRate, overhead: u16) -> Self {
        Self {
            rate,
            overhead,
            level: None,
            remainder: 0,
        }
    }

    /// The rate in force.
    pub const fn rate(&self) -> BitRate {
        self.rate
    }

    /// Bytes added to each datagram.
    pub const fn overhead(&self) -> u16 {
        self.overhead
    }

    /// Changes the rate from now on. What is owed stays owed in time.
    pub const fn set_rate(&mut self, rate: BitRate) {
        self.rate = rate;
        self.remainder = 0;
    }

    /// Changes the bytes added to each datagram, for example when a path turns out to be IPv6.
    pub const fn set_overhead(&mut self, overhead: u16) {
        self.overhead = overhead;
    }

    /// Whether a datagram may leave now; a sparse one may borrow up to [`SPARSE_DEBT_BYTES`].
    pub fn may_send(&self, now: Instant, sparse: bool) -> bool {
        self.earliest(sparse).is_none_or(|at| at <= now)
    }

    /// When the next datagram may leave; `None` means at any time.
    pub fn earliest(&self, sparse: bool) -> Option<Instant> {
        let level = self.level?;
        if sparse {
            level.checked_sub(self.rate.time_for(SPARSE_DEBT_BYTES))
        } else {
            Some(level)
        }
    }

    /// Charges a datagram of `len` bytes that leaves now; `waited` if there was something to send all the time since it might have left.
    pub fn sent(&mut self, now: Instant, len: usize, waited: bool) {
        let bytes = (len as u64).saturating_add(u64::from(self.overhead));
        let rate = self.rate.bits_per_second();
        let nanos = bytes
            .saturating_mul(8_000_000_000)
            .saturating_add(self.remainder);
        self.remainder = nanos % rate;
        let cost = Duration::from_nanos(nanos / rate);
        let burst = BURST.max(self.rate.time_for(MIN_BURST_BYTES));
        let burst = if waited { burst.max(CATCH_UP) } else { burst };
        let floor = now.checked_sub(burst).unwrap_or(now);
        self.level = Some(self.level.map_or(floor, |level| level.max(floor)) + cost);
    }

    /// Corrects what was charged in advance by what left in fact, outer headers included: small datagrams share a packet.
    pub fn settle(&mut self, charged: u64, left: u64) {
        let Some(level) = self.level else { return };
        self.level = if charged > left {
            level.checked_sub(self.rate.time_for(charged - left))
        } else {
            level.checked_add(self.rate.time_for(left - charged))
        };
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests need some instant to count from"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_rate_with_overhead_holds_over_any_time(
            kbit in 100_u64..10_000_000,
            len in 60_usize..1500,
            overhead in 0_u16..120,
        ) {
            let rate = BitRate::from_bits_per_second(kbit * 1000).unwrap();
            let mut shaper = Shaper::new(rate, overhead);
            let start = Instant::now();
            let mut now = start;
            let mut bytes = 0_u64;
            for _ in 0..2000 {
                if let Some(at) = shaper.earliest(false) {
                    now = now.max(at);
                }
                prop_assert!(shaper.may_send(now, false));
                shaper.sent(now, len, false);
                bytes += len as u64 + u64::from(overhead);
            }
            let burst = rate.bytes_in(BURST).max(MIN_BURST_BYTES) + len as u64 + u64::from(overhead);
            // Times are whole nanoseconds: two of them carry up to three bytes at 10 Gbit/s.
            prop_assert!(bytes <= rate.bytes_in(now - start) + burst + 3);
            prop_assert!(bytes + 3 >= rate.bytes_in(now - start));
        }
    }

    #[test]
    fn sparse_packets_run_ahead_by_a_bounded_debt() {
        let mut shaper = Shaper::new(BitRate::from_bits_per_second(1_000_000).unwrap(), 60);
        let now = Instant::now();
        while shaper.may_send(now, false) {
            shaper.sent(now, 1400, false);
        }
        let mut ahead = 0;
        while shaper.may_send(now, true) {
            shaper.sent(now, 100, false);
            ahead += 160;
        }
        assert!(ahead > 1000 && ahead <= SPARSE_DEBT_BYTES + 160, "{ahead}");
    }

    /// Sends all that may leave at `now`, and returns how many bytes that was.
    fn drain(shaper: &mut Shaper, now: Instant, waited: bool) -> u64 {
        let mut bytes = 0;
        while shaper.may_send(now, false) {
            shaper.sent(now, 1400, waited);
            bytes += 1460;
        }
        bytes
    }

    #[test]
    fn a_late_loop_catches_up_and_a_silent_one_does_not() {
        let rate = BitRate::from_bits_per_second(80_000_000).unwrap();
        for (waited, late, bound) in [(true, 4, 4), (true, 50, 5), (false, 4, 1)] {
            let mut shaper = Shaper::new(rate, 60);
            let start = Instant::now();
            drain(&mut shaper, start, false);
            let now = start + Duration::from_millis(late);
            let bytes = drain(&mut shaper, now, waited);
            let wanted = rate.bytes_in(Duration::from_millis(bound));
            assert!(
                bytes.abs_diff(wanted) <= 2 * 1460,
                "{waited} {late}: {bytes}"
            );
        }
    }

    #[test]
    fn what_shared_a_packet_is_given_back() {
        let rate = BitRate::from_bits_per_second(8_000_000).unwrap();
        let mut shaper = Shaper::new(rate, 60);
        let now = Instant::now();
        shaper.sent(now, 1400, false);
        let before = shaper.earliest(false).unwrap();
        shaper.sent(now, 100, false);
        shaper.settle(160, 110);
        let after = shaper.earliest(false).unwrap();
        assert_eq!(after - before, rate.time_for(110));
    }
}
