//! The old process's side.

use std::ffi::{OsStr, OsString};
use std::io::{IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::{LISTENING, MAX_FDS, MAX_STATE, OPTION, PATIENCE, PREPARED};

/// The program that this process runs, by name: a new release is found there once it is installed.
#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Remembers where the program is, before anybody replaces it.
    ///
    /// # Errors
    ///
    /// Returns an error if the system does not say.
    pub fn remember() -> Result<Self> {
        std::env::current_exe()
            .map(Self)
            .context("cannot find out where this program is")
    }
}

/// A successor that is coming up.
#[derive(Debug)]
pub struct Successor {
    /// Its process.
    pub process: Child,
    stream: UnixStream,
}

impl Successor {
    /// Starts the successor, and waits until it has read its settings.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be started, or ends over its settings.
    pub fn start(program: &Program) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket")?;
        ours.set_read_timeout(Some(PATIENCE))?;
        ours.set_write_timeout(Some(PATIENCE))?;
        let arguments = std::env::args_os().skip(1);
        let arguments: Vec<OsString> = arguments
            .filter(|word| word != OsStr::new(OPTION))
            .collect();
        let process = command(&program.0, arguments, theirs)
            .spawn()
            .with_context(|| format!("cannot start {}", program.0.display()))?;
        let mut successor = Self {
            process,
            stream: ours,
        };
        if let Err(error) = successor.expect(PREPARED) {
            successor.abandon();
            return Err(error);
        }

        Ok(successor)
    }

    /// Hands over descriptors, and what this process knows.
    ///
    /// # Errors
    ///
    /// Returns an error if that is too much, or the successor does not take it.
    pub fn pass(&mut self, fds: &[BorrowedFd<'_>], state: &[u8]) -> Result<()> {
        let len = u32::try_from(state.len()).unwrap_or(u32::MAX);
        ensure!(len <= MAX_STATE, "what has to be passed on is too large");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ensure!(
            ancillary.push(SendAncillaryMessage::ScmRights(fds)),
            "there are too many sockets to pass on"
        );
        let head = len.to_be_bytes();
        let sent = sendmsg(
            &self.stream,
            &[IoSlice::new(&head)],
            &mut ancillary,
            SendFlags::empty(),
        )
        .context("cannot pass the sockets on")?;
        ensure!(sent == head.len(), "cannot pass the sockets on");

        self.stream
            .write_all(state)
            .context("cannot pass on what this process knows")
    }

    /// Waits until the successor has begun.
    ///
    /// # Errors
    ///
    /// Returns an error if it does not in time.
    pub fn wait_listening(&mut self) -> Result<()> {
        self.expect(LISTENING)
    }

    /// Says one last thing.
    ///
    /// # Errors
    ///
    /// Returns an error if the successor is gone.
    pub fn tell(&mut self, words: &[u8]) -> Result<()> {
        let len = u32::try_from(words.len()).unwrap_or(u32::MAX);
        ensure!(len <= MAX_STATE, "what has to be passed on is too large");
        self.stream.write_all(&len.to_be_bytes())?;

        Ok(self.stream.write_all(words)?)
    }

    fn expect(&mut self, word: u8) -> Result<()> {
        let mut answer = [0];
        self.stream
            .read_exact(&mut answer)
            .context("the new process does not come up; its last words say why")?;
        ensure!(
            answer == [word],
            "the new process is no program of this kind"
        );

        Ok(())
    }

    /// Ends a successor that did not come up.
    pub fn abandon(mut self) {
        // It may have ended by itself.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program starts itself again; there is no API of the system that does"
)]
fn command(program: &Path, arguments: Vec<OsString>, stream: UnixStream) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(OPTION)
        .stdin(Stdio::from(OwnedFd::from(stream)))
        // The watchdog watches whoever is the main process.
        .env_remove("WATCHDOG_PID");

    command
}
