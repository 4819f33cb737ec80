//! How other threads reach the loop: rarely, and never for a frame.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// What another thread asks of the loop.
#[derive(Debug)]
pub enum Command {
    /// Leave the room and end.
    Leave,
    /// The relay's name stands for these addresses now.
    Resolved(Vec<SocketAddr>),
    /// The system's addresses or routes changed: the path should be probed at once.
    NetworkChanged,
    /// This box has these addresses now.
    Addresses(Vec<IpAddr>),
    /// Somebody wants to know whether the loop still turns: answer.
    Alive(SyncSender<()>),
    /// Another process is to take over: answer with what it needs, or with nothing if that cannot be now.
    HandOver(SyncSender<Option<MemberHandover>>),
    /// That process did not come about.
    KeepOn,
    /// The process that this one takes over from has left the port's frames to it, and remembers this.
    TakePort(Option<String>),
}

/// What a process needs to go on as the member that this one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberHandover {
    /// The token that resumes the membership.
    pub token: String,
    /// What the data path remembers.
    pub memory: Option<String>,
}

/// How many commands wait at most. They come from people and from the system, a few a minute.
const CAPACITY: usize = 16;

/// The loop's end.
#[derive(Debug)]
pub(crate) struct Mailbox(pub(crate) Receiver<Command>);

/// The other threads' end.
#[derive(Clone)]
pub struct Handle {
    commands: SyncSender<Command>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// Hands `command` to the loop and wakes it. Returns `false` if the loop is gone or busy with as many as it takes.
    pub fn send(&self, command: Command) -> bool {
        let accepted = self.commands.try_send(command).is_ok();
        (self.wake)();

        accepted
    }
}

/// How long the loop may take to answer that it is alive; it turns at least twice a second.
const ALIVE_PATIENCE: Duration = Duration::from_secs(2);

impl Handle {
    /// Returns whether the loop still turns.
    pub fn is_alive(&self) -> bool {
        let (sender, answer) = sync_channel(1);

        self.send(Command::Alive(sender)) && answer.recv_timeout(ALIVE_PATIENCE).is_ok()
    }
}

/// Makes both ends; `wake` must end the port's [`wait`](crate::Port::wait).
pub(crate) fn mailbox(wake: Arc<dyn Fn() + Send + Sync>) -> (Handle, Mailbox) {
    let (commands, receiver) = sync_channel(CAPACITY);

    (Handle { commands, wake }, Mailbox(receiver))
}
