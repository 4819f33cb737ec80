//! The new process's side.

use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::{LISTENING, MAX_FDS, MAX_STATE, PATIENCE, PREPARED};

/// The process that this one takes over from.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Finds it behind standard input.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no socket.
    pub fn meet() -> Result<Self> {
        let stdin = std::io::stdin();
        let stdin = stdin
            .as_fd()
            .try_clone_to_owned()
            .context("there is no standard input")?;
        let stream = UnixStream::from(stdin);
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("this option is for a program that starts its successor")?;

        Ok(Self(stream))
    }

    /// Says that everything is prepared.
    ///
    /// # Errors
    ///
    /// Returns an error if the old process does not listen.
    pub fn prepared(&mut self) -> Result<()> {
        self.say(PREPARED)
    }

    /// Takes over descriptors, and what the old process knows.
    ///
    /// # Errors
    ///
    /// Returns an error if they do not come.
    pub fn receive(&mut self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut head = [0; 4];
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut head)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .context("the old process does not pass on its sockets")?;
        ensure!(
            received.bytes == head.len(),
            "the old process does not pass on its sockets"
        );
        let fds = (ancillary.drain())
            .filter_map(|message| {
                let RecvAncillaryMessage::ScmRights(fds) = message else {
                    return None;
                };
                Some(fds)
            })
            .flatten()
            .collect();

        Ok((fds, self.read(head)?))
    }

    /// Says that this process has begun.
    ///
    /// # Errors
    ///
    /// Returns an error if the old process does not listen.
    pub fn listening(&mut self) -> Result<()> {
        self.say(LISTENING)
    }

    fn say(&mut self, word: u8) -> Result<()> {
        self.0
            .write_all(&[word])
            .context("the old process does not listen")
    }

    /// Waits for the last thing that the old process says; `None` once it is gone without.
    pub fn hear(&mut self) -> Option<Vec<u8>> {
        self.0.set_read_timeout(None).ok()?;
        let mut head = [0; 4];
        self.0.read_exact(&mut head).ok()?;

        self.read(head).ok()
    }

    fn read(&mut self, head: [u8; 4]) -> Result<Vec<u8>> {
        let len = u32::from_be_bytes(head);
        ensure!(len <= MAX_STATE, "the old process says too much");
        let mut bytes = vec![0; usize::try_from(len)?];
        self.0
            .read_exact(&mut bytes)
            .context("the old process does not say all that it knows")?;

        Ok(bytes)
    }
}
