//! Small files written beside the loop.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use lanparty_program::chain;
use lanparty_state::write_private;

/// A thread that writes private files: a disk may take many seconds to confirm a write, and neither a player who crashed and wants
/// back nor a frame waits for that.
///
/// Of each file the last contents alone wait, so that a slow disk costs neither memory nor a later text. Dropping the writer waits until
/// everything given is written: a program that ends in the middle of a write would leave a temporary file behind.
#[derive(Debug)]
pub struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// What waits for the disk, and what wakes the thread.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    waker: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    files: BTreeMap<PathBuf, Contents>,
    /// The writer is gone: nothing more is taken, and the thread ends once nothing waits.
    is_over: bool,
}

/// What a file is to hold.
#[derive(Debug)]
struct Contents {
    bytes: Vec<u8>,
    /// What a log says if it cannot be written.
    loss: &'static str,
}

/// One file of a [`Writer`].
#[derive(Debug, Clone)]
pub struct FileWriter {
    queue: Arc<Queue>,
    path: PathBuf,
    loss: &'static str,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let served = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                while let Some((path, contents)) = served.next() {
                    if let Err(error) = write_private(&path, &contents.bytes) {
                        tracing::warn!(error = chain(&error), "{}", contents.loss);
                    }
                }
            })?;

        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Returns what writes the file at `path`. A log gets `loss` whenever it cannot be written.
    pub fn file(&self, path: PathBuf, loss: &'static str) -> FileWriter {
        FileWriter {
            queue: Arc::clone(&self.queue),
            path,
            loss,
        }
    }
}

impl FileWriter {
    /// Has `bytes` written, in place of earlier ones that still wait for the disk. Returns at once.
    pub fn write(&self, bytes: Vec<u8>) {
        let mut waiting = self.queue.lock();
        if !waiting.is_over {
            let loss = self.loss;
            waiting
                .files
                .insert(self.path.clone(), Contents { bytes, loss });
            self.queue.waker.notify_one();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for contents to write; `None` once there will be none.
    fn next(&self) -> Option<(PathBuf, Contents)> {
        let mut waiting = self.lock();
        loop {
            if let Some(next) = waiting.files.pop_first() {
                return Some(next);
            }
            if waiting.is_over {
                return None;
            }
            waiting = self
                .waker
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.queue.waker.notify_one();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to write.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let file = format!("lanparty-writer-{name}-{}.json", std::process::id());

        std::env::temp_dir().join(file)
    }

    #[test]
    fn what_was_given_is_written_when_the_writer_is_gone_and_nothing_later() {
        let path = scratch("given");
        let writer = Writer::start().unwrap();
        let file = writer.file(path.clone(), "");
        file.write(b"first".to_vec());
        file.write(b"second".to_vec());
        let nowhere = writer.file(path.join("no-directory"), "as expected");
        nowhere.write(Vec::new());

        drop(writer);
        let written = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write(b"too late".to_vec());

        assert_eq!(written, b"second");
        assert!(!path.exists());
    }

    #[test]
    fn of_each_file_the_last_contents_alone_wait() {
        let (queue, path) = (Arc::new(Queue::default()), scratch("last"));
        let file = FileWriter {
            queue: Arc::clone(&queue),
            path: path.clone(),
            loss: "",
        };
        for number in 0..100 {
            file.write(vec![number]);
        }

        let (found, contents) = queue.next().unwrap();
        assert_eq!((found, contents.bytes), (path, vec![99]));
        assert!(queue.lock().files.is_empty());
    }
}
