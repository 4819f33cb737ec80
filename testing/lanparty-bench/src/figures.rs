//! Distributions of measured times.

/// Round trips of a series of pings, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoundTrips {
    sorted: Vec<f64>,
    sent: usize,
}

impl RoundTrips {
    /// Takes what came back of `sent` requests.
    pub fn new(mut times: Vec<f64>, sent: usize) -> Self {
        times.sort_by(f64::total_cmp);

        Self {
            sorted: times,
            sent,
        }
    }

    /// Reads what `ping` printed.
    pub fn of_ping(text: &str, sent: usize) -> Self {
        let times = text.lines().filter_map(|line| {
            let (_, after) = line.split_once("time=")?;
            after.split_whitespace().next()?.parse().ok()
        });

        Self::new(times.collect(), sent)
    }

    /// Returns the time that `permille` of a thousand do not exceed, in milliseconds, if anything came back.
    pub fn quantile(&self, permille: usize) -> Option<f64> {
        let rank = (self.sorted.len() * permille).div_ceil(1000).max(1);

        self.sorted.get(rank - 1).copied()
    }

    /// Returns the percentage that did not come back.
    pub fn lost_percent(&self) -> f64 {
        let lost = self.sent.saturating_sub(self.sorted.len());

        100.0 * ratio(lost, self.sent)
    }
}

/// Returns `a / b`, and 0 for nothing of nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a measurement stay far below 2^53"
)]
pub fn ratio(a: usize, b: usize) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// Returns the middle one of `values`, 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);

    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let trips = RoundTrips::new((1..=100).rev().map(f64::from).collect(), 110);

        assert_eq!(trips.quantile(500), Some(50.0));
        assert_eq!(trips.quantile(990), Some(99.0));
        assert_eq!(trips.quantile(1000), Some(100.0));
        assert!((trips.lost_percent() - 9.09).abs() < 0.01);
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(RoundTrips::default().quantile(500), None);
        assert!(RoundTrips::default().lost_percent().abs() < f64::EPSILON);
    }

    #[test]
    fn pings_are_read() {
        let text =
            "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.25 ms\n\n2 packets transmitted";
        let trips = RoundTrips::of_ping(text, 2);

        assert_eq!(trips.quantile(500), Some(0.25));
        assert!((trips.lost_percent() - 50.0).abs() < 0.01);
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
