//! Where log lines go: through a bounded queue to a thread that writes them.
//!
//! No thread that logs waits: standard error may be a pipe that nobody reads, or a journal that is
//! behind, and the threads that log carry frames. `tracing-appender` has such a queue, but says nowhere
//! in the log that lines are missing, bounds their number and not their bytes, and waits for its thread
//! at the end whether or not that is stuck.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of lines that may wait: a thousand or two, which is what a relay's busiest second has.
pub(crate) const CAPACITY: usize = 256 * 1024;

/// The stack of the thread, which only writes.
const STACK: usize = 128 * 1024;

/// A queue of lines in front of a file that may take its time.
#[derive(Debug)]
pub(crate) struct Sink {
    state: Mutex<State>,
    /// Rung for the thread when there is something to write.
    news: Condvar,
    /// Rung for those who wait until everything is written.
    written: Condvar,
    capacity: usize,
    /// Makes the line that says how many were lost.
    notice: fn(u64) -> String,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    is_writing: bool,
    /// Lines that were lost and that nobody was told of.
    lost: u64,
}

impl Sink {
    /// Starts the thread, which calls `prepare` before anything else.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub(crate) fn start(
        out: impl Write + Send + 'static,
        capacity: usize,
        notice: fn(u64) -> String,
        prepare: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let sink = Arc::new(Self {
            state: Mutex::default(),
            news: Condvar::new(),
            written: Condvar::new(),
            capacity,
            notice,
        });
        let served = Arc::clone(&sink);
        std::thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                prepare();
                served.serve(out)
            })?;

        Ok(sink)
    }

    /// Queues a line, or counts it if too many wait.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len().saturating_add(line.len()) > self.capacity {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.news.notify_one();
    }

    /// Queues what must not be missing, however much waits: a program has few last words.
    pub(crate) fn push_last(&self, words: &[u8]) {
        let mut state = self.state();
        self.tell_lost(&mut state);
        state.waiting.extend_from_slice(words);
        drop(state);
        self.news.notify_one();
    }

    /// Waits until everything is written, but not longer than `patience`. Returns whether it is.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let mut state = self.state();
        self.tell_lost(&mut state);
        self.news.notify_one();
        let (_state, waited) = self
            .written
            .wait_timeout_while(state, patience, |state| {
                state.is_writing || !state.waiting.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);

        !waited.timed_out()
    }

    /// Says how many lines are missing, where they are missing.
    fn tell_lost(&self, state: &mut State) {
        if state.lost > 0 {
            let notice = (self.notice)(std::mem::take(&mut state.lost));
            state.waiting.extend_from_slice(notice.as_bytes());
        }
    }

    fn serve(&self, mut out: impl Write) -> ! {
        let mut batch = Vec::new();
        loop {
            self.take(&mut batch);
            let mut lost = 0;
            // One call for each line: other processes write to the same file, and a line of some size stays in one piece.
            for line in batch.split_inclusive(|byte| *byte == b'\n') {
                if out.write_all(line).is_err() {
                    lost += 1;
                }
            }
            batch.clear();
            self.state().lost += lost;
        }
    }

    /// Waits for lines and takes them; those of the last time are written.
    fn take(&self, batch: &mut Vec<u8>) {
        let mut state = self.state();
        state.is_writing = false;
        self.written.notify_all();
        state = self
            .news
            .wait_while(state, |state| state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        self.tell_lost(&mut state);
        state.is_writing = true;
        std::mem::swap(&mut state.waiting, batch);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;

    /// As long as nothing that works takes.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A file that takes a write only when it is told to.
    struct Stuck {
        leave: Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Whoever gave leave may be gone: then everything is taken.
            let _leave = self.leave.recv();
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.push_str(&String::from_utf8_lossy(bytes));

            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stuck(capacity: usize) -> (Arc<Sink>, Sender<()>, Arc<Mutex<String>>) {
        let (sender, leave) = channel();
        let written = Arc::new(Mutex::default());
        let out = Stuck {
            leave,
            written: Arc::clone(&written),
        };
        let sink = Sink::start(out, capacity, |lost| format!("{lost} lost\n"), || ()).unwrap();

        (sink, sender, written)
    }

    /// Has the thread take a first line and be stuck with it.
    fn block(sink: &Sink) {
        sink.push(b"first\n");
        let deadline = Instant::now() + PATIENCE;
        while !sink.state().waiting.is_empty() {
            assert!(Instant::now() < deadline, "nobody takes the line");
            std::thread::yield_now();
        }
    }

    #[test]
    fn whoever_logs_never_waits_and_what_was_lost_is_said_where_it_is_missing() {
        let (sink, leave, written) = stuck(16);
        block(&sink);
        for number in 0..1000 {
            sink.push(format!("line {number}\n").as_bytes());
        }
        drop(leave);

        assert!(sink.flush(PATIENCE));
        sink.push(b"later\n");
        assert!(sink.flush(PATIENCE));

        let written = written.lock().unwrap();
        assert_eq!(*written, "first\nline 0\nline 1\n998 lost\nlater\n");
    }

    #[test]
    fn last_words_are_queued_behind_a_full_queue_and_the_wait_for_them_ends() {
        let (sink, leave, written) = stuck(16);
        block(&sink);
        for number in 0..10 {
            sink.push(format!("line {number}\n").as_bytes());
        }
        sink.push_last(b"failed\n");

        assert!(
            !sink.flush(Duration::from_millis(10)),
            "nothing can be written"
        );
        drop(leave);
        assert!(sink.flush(PATIENCE));

        let written = written.lock().unwrap();
        assert_eq!(*written, "first\nline 0\nline 1\n8 lost\nfailed\n");
    }

    #[test]
    fn what_a_broken_file_does_not_take_is_counted() {
        struct Broken(bool, Sender<String>);
        impl Write for Broken {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if !std::mem::replace(&mut self.0, true) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                let text = String::from_utf8_lossy(bytes).into_owned();
                let _heard = self.1.send(text);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, written) = channel();
        let out = Broken(false, sender);
        let sink = Sink::start(out, CAPACITY, |lost| format!("{lost} lost\n"), || ()).unwrap();

        sink.push(b"first\n");
        assert!(sink.flush(PATIENCE));
        sink.push(b"second\n");

        let mut lines = [(); 2].map(|()| written.recv_timeout(PATIENCE).unwrap());
        lines.sort();
        assert_eq!(lines, ["1 lost\n", "second\n"]);
    }
}
