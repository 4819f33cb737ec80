//! Metrics as text (the Prometheus exposition format, version 0.0.4).

use std::fmt::Write as _;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the program runs.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Metrics as text.
///
/// ```
/// use lanparty_telemetry::{Exposition, Kind};
///
/// let mut text = Exposition::default();
/// text.metric("softlan_rooms", Kind::Gauge, "Rooms with at least one member.");
/// text.sample(&[("worker", "0")], 3);
///
/// assert_eq!(
///     text.finish(),
///     "# HELP softlan_rooms Rooms with at least one member.\n# TYPE softlan_rooms gauge\nsoftlan_rooms{worker=\"0\"} 3\n"
/// );
/// ```
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    name: &'static str,
}

impl Exposition {
    /// The content type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a metric. Its samples follow.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.name = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Adds a sample of the metric that was begun last.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.text.push_str(self.name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    /// Returns the text.
    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes every text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_peer_may_have_written() {
        let mut text = Exposition::default();
        text.metric("m", Kind::Counter, "Help.");
        text.sample(&[("a", "x\"} 1\n"), ("b", "\\")], 7);

        assert!(
            text.finish()
                .ends_with("m{a=\"x\\\"} 1\\n\",b=\"\\\\\"} 7\n")
        );
    }
}
