//! What a scenario found: times with limits, and facts.

use std::fmt;
use std::time::Duration;

/// Times of many runs, and what they are held to.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was timed.
    pub what: &'static str,
    samples: Vec<Duration>,
    p50_limit: Option<Duration>,
    p99_limit: Option<Duration>,
}

impl Figure {
    /// Starts to collect times of `what`.
    pub const fn new(what: &'static str) -> Self {
        Self {
            what,
            samples: Vec::new(),
            p50_limit: None,
            p99_limit: None,
        }
    }

    /// Sets the longest median.
    #[must_use]
    pub const fn p50_limit(mut self, limit: Duration) -> Self {
        self.p50_limit = Some(limit);
        self
    }

    /// Sets the longest 99th percentile.
    #[must_use]
    pub const fn p99_limit(mut self, limit: Duration) -> Self {
        self.p99_limit = Some(limit);
        self
    }

    /// Adds the time of one run.
    pub fn add(&mut self, time: Duration) {
        let at = self.samples.partition_point(|sample| *sample <= time);
        self.samples.insert(at, time);
    }

    /// Returns the nearest-rank percentile; the 100th is the maximum.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.samples.len() * percent).div_ceil(100).max(1);

        self.samples.get(rank - 1).copied().unwrap_or_default()
    }

    /// Returns whether every limit is kept.
    pub fn is_kept(&self) -> bool {
        let keeps = |percent, limit: Option<Duration>| {
            limit.is_none_or(|limit| self.percentile(percent) <= limit)
        };

        keeps(50, self.p50_limit) && keeps(99, self.p99_limit)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |percent| format!("{:.0} ms", self.percentile(percent).as_secs_f64() * 1e3);
        let limit = |name, limit: Option<Duration>| {
            limit.map(|limit| format!("{name} at most {} ms", limit.as_millis()))
        };
        let limits: Vec<String> = [limit("p50", self.p50_limit), limit("p99", self.p99_limit)]
            .into_iter()
            .flatten()
            .collect();
        write!(
            f,
            "{}: {} runs, p50 {}, p99 {}, max {}",
            self.what,
            self.samples.len(),
            shown(50),
            shown(99),
            shown(100)
        )?;
        if limits.is_empty() {
            return Ok(());
        }
        let verdict = if self.is_kept() { "kept" } else { "NOT KEPT" };

        write!(f, " ({}: {verdict})", limits.join(", "))
    }
}

/// What a scenario found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    figures: Vec<Figure>,
    facts: Vec<(bool, String)>,
    notes: Vec<String>,
}

impl Report {
    /// Adds times.
    pub fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Adds something that must hold.
    pub fn fact(&mut self, holds: bool, sentence: impl Into<String>) {
        self.facts.push((holds, sentence.into()));
    }

    /// Adds something that helps to understand the rest.
    pub fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    /// Returns the sentences that do not hold; empty is good.
    pub fn broken_facts(&self) -> Vec<&str> {
        let broken = self.facts.iter().filter(|(holds, _)| !holds);

        broken.map(|(_, sentence)| sentence.as_str()).collect()
    }

    /// Returns whether all facts hold and all limits are kept.
    pub fn is_kept(&self) -> bool {
        self.broken_facts().is_empty() && self.figures.iter().all(Figure::is_kept)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for figure in &self.figures {
            writeln!(f, "  {figure}")?;
        }
        for (holds, sentence) in &self.facts {
            let verdict = if *holds { "holds" } else { "DOES NOT HOLD" };
            writeln!(f, "  {sentence}: {verdict}")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut figure = Figure::new("test").p99_limit(Duration::from_millis(99));
        for time in (1..=100).rev() {
            figure.add(Duration::from_millis(time));
        }

        let at = |percent| figure.percentile(percent).as_millis();
        assert_eq!((at(50), at(99), at(100)), (50, 99, 100));
        assert!(figure.is_kept());
        figure.add(Duration::from_secs(1));
        figure.add(Duration::from_secs(1));
        assert!(!figure.is_kept());
    }
}
