//! The format of log lines: no kind of line comes without bound.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::logs::Format;
use crate::throttle::Throttle;

/// How many lines of one kind there are at once, and then in every [`WINDOW`]: a full room of 64 may
/// come at once, each member with a line of its own. A peer that goes on all day gets 25 MiB of log.
pub(crate) const MOST: u64 = 100;

/// See [`MOST`].
const WINDOW: Duration = Duration::from_mins(1);

/// A format of which each kind of line (each place in the code) has at most [`MOST`] at once and in
/// every [`WINDOW`]. What was left out is counted, and said in the next line of that kind. Lines at
/// TRACE pass without bound: who asks for every frame gets every frame.
#[derive(Debug)]
pub(crate) struct Quiet<F> {
    inner: F,
    format: Format,
    /// What every kind begins with.
    most: Throttle,
    /// As many as the program has places that log.
    kinds: Mutex<HashMap<Identifier, Throttle>>,
}

impl<F> Quiet<F> {
    pub(crate) fn new(inner: F, format: Format) -> Self {
        Self {
            inner,
            format,
            most: Throttle::new(WINDOW, MOST),
            kinds: Mutex::default(),
        }
    }

    /// Returns how many lines of this kind were left out since the last one, if this one may pass.
    fn pass(&self, kind: &Metadata<'_>, now: Instant) -> Option<u64> {
        if *kind.level() == Level::TRACE {
            return Some(0);
        }
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);

        kinds
            .entry(kind.callsite())
            .or_insert_with(|| self.most.clone())
            .pass(now)
    }
}

impl<S, N, F> FormatEvent<S, N> for Quiet<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.pass(event.metadata(), Instant::now()) {
            None => Ok(()),
            Some(0) => self.inner.format_event(context, writer, event),
            Some(left_out) => {
                let mut line = String::new();
                self.inner
                    .format_event(context, Writer::new(&mut line), event)?;
                let line = line.trim_end_matches('\n');
                match self.format {
                    Format::Text => writeln!(writer, "{line} left_out={left_out}"),
                    Format::Json => {
                        let line = line.strip_suffix('}').unwrap_or(line);
                        writeln!(writer, "{line},\"left_out\":{left_out}}}")
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use super::*;

    impl<F> Quiet<F> {
        fn at_most(mut self, most: Throttle) -> Self {
            self.most = most;
            self
        }
    }

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            page.extend_from_slice(bytes);

            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn lines(&self) -> Vec<String> {
            let page = self.0.lock().unwrap();
            let text = std::str::from_utf8(&page).unwrap();

            text.lines().map(ToOwned::to_owned).collect()
        }
    }

    fn flood() {
        for peer in 0..100_000 {
            tracing::info!(peer, "joined");
        }
        tracing::warn!("another kind");
    }

    #[test]
    fn a_kind_of_line_is_bounded_and_silences_no_other() {
        let page = Page::default();
        let lines = tracing_subscriber::fmt()
            .with_writer({
                let page = page.clone();
                move || page.clone()
            })
            .map_event_format(|inner| Quiet::new(inner, Format::Text))
            .finish();

        let begun = Instant::now();
        tracing::subscriber::with_default(lines, flood);

        let lines = page.lines();
        // Two more a second at most.
        let most = MOST + 2 + 2 * begun.elapsed().as_secs();
        assert!((MOST + 1..=most).contains(&(lines.len() as u64)));
        assert!(lines.last().unwrap().contains("another kind"));
    }

    #[test]
    fn the_next_line_of_a_kind_says_how_many_were_left_out() {
        for format in [Format::Text, Format::Json] {
            let page = Page::default();
            let writer = page.clone();
            let lines = tracing_subscriber::fmt().with_writer(move || writer.clone());

            let left_out = match format {
                Format::Text => {
                    let lines = lines
                        .map_event_format(|inner| {
                            Quiet::new(inner, format).at_most(Throttle::new(SHORT, 1))
                        })
                        .finish();
                    tracing::subscriber::with_default(lines, || say_until_it_is_told(&page))
                }
                Format::Json => {
                    let lines = lines.json().flatten_event(true);
                    let lines = lines
                        .map_event_format(|inner| {
                            Quiet::new(inner, format).at_most(Throttle::new(SHORT, 1))
                        })
                        .finish();
                    tracing::subscriber::with_default(lines, || say_until_it_is_told(&page))
                }
            };

            let last = page.lines().pop().unwrap();
            let end = match format {
                Format::Text => format!(" joined peer=7 left_out={left_out}"),
                Format::Json => format!(
                    "\"peer\":7,\"target\":\"{}\",\"left_out\":{left_out}}}",
                    module_path!()
                ),
            };
            assert!(last.ends_with(&end), "{last} does not end with {end}");
        }
    }

    /// The shortest window of a throttle.
    const SHORT: Duration = Duration::from_secs(1);

    /// Logs the same line until one comes after some that did not. Returns how many did not.
    fn say_until_it_is_told(page: &Page) -> u64 {
        let mut left_out = 0;
        loop {
            let before = page.lines().len();
            tracing::info!(peer = 7, "joined");
            assert!(before < 100, "every line passes");
            match (page.lines().len() - before, left_out) {
                (0, _) => left_out += 1,
                (_, 0) => {}
                (_, left_out) => return left_out,
            }
        }
    }
}
