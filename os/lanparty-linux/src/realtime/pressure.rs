//! Whether anybody waits for the processor (pressure stall information, `Documentation/accounting/psi.rst`).

use std::time::Duration;

/// Somebody waited for so much of the last moment: then frames wait too, on every other occasion or so.
const MUCH: f64 = 0.05;

/// Somebody waited for so little of the last ten seconds that there is nothing left to run before.
const LITTLE: f64 = 0.01;

/// What the kernel says of waiting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Share of the last ten seconds, averaged exponentially, in which somebody waited, 0 to 1.
    average: f64,
    /// Time in which somebody waited since the system began.
    total: Duration,
}

impl Sample {
    /// Reads `/proc/pressure/cpu`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
        let field = |name: &str| {
            line.split_ascii_whitespace()
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let percent: f64 = field("avg10")?.parse().ok()?;

        Some(Self {
            average: percent / 100.0,
            total: Duration::from_micros(field("total")?.parse().ok()?),
        })
    }
}

/// Whether there is pressure: on at once, off when it is long gone.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    is_on: bool,
    last: Option<Duration>,
}

impl Pressure {
    /// Takes what the kernel says, `passed` after it said something before. Returns whether there is pressure.
    pub(super) fn handle_sample(&mut self, sample: Sample, passed: Duration) -> bool {
        let waited = self
            .last
            .replace(sample.total)
            .map_or(Duration::ZERO, |last| sample.total.saturating_sub(last));
        let is_much = waited > passed.mul_f64(MUCH) || sample.average > MUCH;
        self.is_on = is_much || (self.is_on && sample.average > LITTLE);

        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sample(average: f64, total_ms: u64) -> Sample {
        Sample {
            average,
            total: Duration::from_millis(total_ms),
        }
    }

    #[test]
    fn the_kernel_s_file_is_read() {
        let text = "some avg10=81.14 avg60=51.25 avg300=19.72 total=13206653158\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let read = Sample::parse(text).unwrap();
        assert!((read.average - 0.8114).abs() < 1e-9);
        assert_eq!(read.total, Duration::from_micros(13_206_653_158));
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for text in [
            "",
            "some",
            "some avg10=x total=1",
            "some avg10=1.0 total=-1",
            "full avg10=1.0 total=1",
        ] {
            assert_eq!(Sample::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn pressure_is_noticed_with_the_first_sample_that_shows_it() {
        let mut pressure = Pressure::default();
        assert!(!pressure.handle_sample(sample(0.0, 1000), SECOND));
        assert!(!pressure.handle_sample(sample(0.0, 1010), SECOND));
        assert!(pressure.handle_sample(sample(0.0, 1110), SECOND));
        assert!(Pressure::default().handle_sample(sample(0.3, 0), SECOND));
    }

    #[test]
    fn pressure_ends_when_ten_seconds_had_next_to_none() {
        let mut pressure = Pressure::default();
        assert!(pressure.handle_sample(sample(0.5, 0), SECOND));
        assert!(pressure.handle_sample(sample(0.04, 0), SECOND));
        assert!(pressure.handle_sample(sample(0.02, 0), SECOND));
        assert!(!pressure.handle_sample(sample(0.005, 0), SECOND));
        assert!(!pressure.handle_sample(sample(0.02, 20), SECOND));
    }

    #[test]
    fn a_counter_that_went_back_is_no_pressure() {
        let mut pressure = Pressure::default();
        assert!(!pressure.handle_sample(sample(0.0, 1000), SECOND));
        assert!(!pressure.handle_sample(sample(0.0, 10), SECOND));
    }
}
