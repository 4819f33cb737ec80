//! Small files written beside the loop.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use lanparty_state::write_private;

/// Texts that may wait for the disk: a place at the start, and its token at each join, which are ages apart.
const WAITING: usize = 8;

/// What a file is to hold.
struct Text {
    path: PathBuf,
    bytes: Vec<u8>,
    /// What the person is told if it cannot be written.
    loss: &'static str,
}

enum Job {
    Write(Text),
    End,
}

/// A thread that writes private files: a disk may take many seconds to confirm a write, and neither a player who crashed and wants
/// back nor a frame waits for that.
///
/// Dropping it waits until everything given is written, so that a program does not end in the middle of a write: it would leave a
/// temporary file behind at every short run.
#[derive(Debug)]
pub struct Writer {
    jobs: WriterHandle,
    thread: Option<JoinHandle<()>>,
}

/// Gives texts to a [`Writer`].
#[derive(Clone)]
pub(crate) struct WriterHandle(SyncSender<Job>);

impl std::fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pen").finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || serve(&receiver))?;

        Ok(Self {
            jobs: WriterHandle(jobs),
            thread: Some(thread),
        })
    }

    pub(crate) fn pen(&self) -> WriterHandle {
        self.jobs.clone()
    }
}

impl WriterHandle {
    /// Has `bytes` written to `path`. A disk that is busy for so long that others wait in numbers misses it; a later text will come.
    pub(crate) fn write(&self, path: PathBuf, bytes: Vec<u8>, loss: &'static str) {
        drop(self.0.try_send(Job::Write(Text { path, bytes, loss })));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Pens may live on: that they are gone is not what ends the thread.
        drop(self.jobs.0.send(Job::End));
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to write.
            drop(thread.join());
        }
    }
}

fn serve(jobs: &Receiver<Job>) {
    while let Ok(Job::Write(text)) = jobs.recv() {
        if let Err(error) = write_private(&text.path, &text.bytes) {
            let error = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            tracing::warn!(error, "{}", text.loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_written_when_the_writer_is_gone_and_pens_may_outlive_it() {
        let path =
            std::env::temp_dir().join(format!("lanparty-writer-{}.json", std::process::id()));
        let writer = Writer::start().unwrap();
        let pen = writer.pen();
        pen.write(path.clone(), b"first".to_vec(), "");
        pen.write(path.clone(), b"second".to_vec(), "");
        pen.write(path.join("no-directory"), Vec::new(), "as expected");

        drop(writer);
        let written = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        pen.write(path.clone(), b"too late".to_vec(), "");

        assert_eq!(written, b"second");
        assert!(!path.exists());
    }
}
