//! A relay and its successor: a new process takes over port, rooms and members while everybody plays.
//!
//! On SIGUSR2 the relay starts its own program again, which is the new release by then, with one end of a socket as standard input:
//!
//! | who | says | then |
//! |---|---|---|
//! | successor | [`PREPARED`] | it has read its settings; what is wrong with them ends it here, and the old relay goes on |
//! | old relay | its sockets, its rooms | it admits nobody from now on |
//! | successor | [`LISTENING`] | packets of new connections go to it ([`lanparty_steer::Aim::Both`]) |
//! | old relay | closes the socket | its members have moved (`docs/protocol.md`, clause 4.10), and all packets go to the successor |

use std::ffi::{OsStr, OsString};
use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lanparty_steer::Bank;
use lanparty_switch::RoomRecord;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::ports::Ports;

/// The option by which a program knows that it is a successor.
const OPTION: &str = "--take-over";

/// See the module's table.
const PREPARED: u8 = b'P';

/// See the module's table.
const LISTENING: u8 = b'L';

/// How long the successor may take for each of its steps: it loads certificate and keys, which take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most sockets that pass: two for each of 64 workers, and one for metrics. The system allows 253 (`SCM_MAX_FD`).
const MAX_FDS: usize = 2 * 64 + 1;

/// The most bytes that rooms take. A relay full of members (10,000) with full tables of stations (1024 rooms) has 60 MiB.
const MAX_STATE: u32 = 128 * 1024 * 1024;

/// The program that this process runs, by name: a new release is found there once it is installed.
#[derive(Debug)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// Remembers where the program is, before anybody replaces it.
    pub(crate) fn remember() -> Result<Self> {
        std::env::current_exe()
            .map(Self)
            .context("cannot find out where this program is")
    }
}

/// A successor that is coming up.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) process: Child,
    stream: UnixStream,
}

impl Successor {
    /// Starts the successor, and waits until it has read its settings.
    pub(crate) fn start(program: &Program) -> Result<Self> {
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
        successor.expect(PREPARED)?;

        Ok(successor)
    }

    /// Hands over sockets and rooms, and waits until the successor listens.
    pub(crate) fn hand_over(&mut self, ports: &Ports, rooms: &[Vec<RoomRecord>]) -> Result<()> {
        let bank = match ports.bank {
            Bank::First => 0,
            Bank::Second => 1,
        };
        let state = json!({"workers": ports.workers, "bank": bank, "rooms": rooms}).to_string();
        let len = u32::try_from(state.len()).unwrap_or(u32::MAX);
        ensure!(len <= MAX_STATE, "the rooms are too large to pass on");

        let fds = ports.fds();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ensure!(
            ancillary.push(SendAncillaryMessage::ScmRights(&fds)),
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
            .write_all(state.as_bytes())
            .context("cannot pass the rooms on")?;

        self.expect(LISTENING)
    }

    fn expect(&mut self, word: u8) -> Result<()> {
        let mut answer = [0];
        self.stream
            .read_exact(&mut answer)
            .context("the new relay does not come up; its last words say why")?;
        ensure!(answer == [word], "the new relay is not of this kind");

        Ok(())
    }

    /// Ends a successor that did not come up.
    pub(crate) fn abandon(mut self) {
        // It may have ended by itself.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a relay starts itself again; there is no API of the system that does"
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

/// The relay that this process takes over from.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

/// What passes from process to process.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) ports: Ports,
    /// The rooms of each worker.
    pub(crate) rooms: Vec<Vec<RoomRecord>>,
}

impl Predecessor {
    /// Finds it behind standard input.
    pub(crate) fn meet() -> Result<Self> {
        let stdin = std::io::stdin();
        let stdin = stdin
            .as_fd()
            .try_clone_to_owned()
            .context("there is no standard input")?;
        let stream = UnixStream::from(stdin);
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("this option is for a relay that starts its successor")?;

        Ok(Self(stream))
    }

    /// Says that everything is prepared, and takes over sockets and rooms.
    pub(crate) fn receive(&mut self) -> Result<Estate, Failure> {
        self.say(PREPARED)?;
        let (fds, len) = self.receive_fds()?;
        let mut state = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.0
            .read_exact(&mut state)
            .context("the old relay does not pass on its rooms")?;
        let mut state: Value =
            serde_json::from_slice(&state).context("the old relay's rooms are not readable")?;
        let workers = state.get("workers").and_then(Value::as_u64);
        let workers = workers.and_then(|workers| u8::try_from(workers).ok());
        let workers = workers.context("the old relay does not say how many workers it has")?;
        let theirs = match state.get("bank").and_then(Value::as_u64) {
            Some(0) => Bank::First,
            _ => Bank::Second,
        };
        let rooms = state.get_mut("rooms").map(Value::take).unwrap_or_default();
        let rooms =
            serde_json::from_value(rooms).context("the old relay's rooms are not readable")?;

        Ok(Estate {
            ports: Ports::inherit(fds, workers, theirs.other())?,
            rooms,
        })
    }

    fn receive_fds(&self) -> Result<(Vec<OwnedFd>, u32)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut head = [0; 4];
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut head)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .context("the old relay does not pass on its sockets")?;
        ensure!(
            received.bytes == head.len(),
            "the old relay does not pass on its sockets"
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
        let len = u32::from_be_bytes(head);
        if len > MAX_STATE {
            bail!("the old relay's rooms are too large");
        }

        Ok((fds, len))
    }

    /// Says that this process listens now.
    pub(crate) fn listening(&mut self) -> Result<()> {
        self.say(LISTENING)
    }

    fn say(&mut self, word: u8) -> Result<()> {
        self.0
            .write_all(&[word])
            .context("the old relay does not listen")
    }

    /// Waits until it is gone.
    pub(crate) fn outlive(mut self) {
        // Whatever ends the wait, there is nobody to wait for any more.
        let _never = self.0.set_read_timeout(None);
        let _gone = self.0.read(&mut [0]);
    }
}
