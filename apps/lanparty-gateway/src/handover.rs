//! A gateway and its successor: a new process becomes the gateway while everybody plays, and not a frame is lost.
//!
//! On SIGUSR2 the gateway starts its own program again, as [`lanparty_handover`] says, and hands over its packet socket: each frame of
//! the LAN is read by one of the two alone. The new process joins beside the old one (`docs/protocol.md`, clause 4.12). When the relay
//! sends frames to it, the old process stops reading the LAN, says so, delivers what is still on its way to it, and ends.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lanparty_driver::{Command, Handle, MemberHandover};
use lanparty_handover::{Predecessor, Program, Successor};
use lanparty_linux::Supervisor;
use serde::{Deserialize, Serialize};
use signal_hook::consts::SIGUSR2;
use signal_hook::iterator::Signals;

/// How long the loop has to answer: it turns at least twice a second.
const ANSWER: Duration = Duration::from_secs(2);

/// How long the new process has to become the gateway: as long as a first join may take, and what the relay gives two connections.
const TAKING: Duration = Duration::from_secs(30);

/// How often it is looked whether the new process still runs.
const LOOK: Duration = Duration::from_millis(50);

/// What the new process is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandoverState {
    /// The token that resumes the membership at the relay.
    pub(crate) token: String,
    /// Address bindings.
    pub(crate) memory: Option<String>,
    /// What loop probes are made of: those that are on their way come back to the new process.
    pub(crate) probes: ProbeSeed,
}

/// What a gateway's loop probes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeSeed {
    pub(crate) key: [u64; 2],
    pub(crate) instance: u64,
}

/// Says that everything is prepared, and takes over the packet socket.
pub(crate) fn receive(predecessor: &mut Predecessor) -> Result<(OwnedFd, HandoverState)> {
    predecessor.prepared()?;
    let (fds, state) = predecessor.receive()?;
    let socket = fds.into_iter().next();
    let socket = socket.context("the old gateway passes on no packet socket")?;
    let handover_state =
        serde_json::from_slice(&state).context("the old gateway is not understood")?;

    Ok((socket, handover_state))
}

/// Takes the LAN as soon as the old gateway leaves it, or is gone.
pub(crate) fn take_port_after(mut predecessor: Predecessor, handle: Handle) -> io::Result<()> {
    std::thread::Builder::new()
        .name("predecessor".to_owned())
        .spawn(move || {
            let memory = predecessor.hear();
            let memory = memory.and_then(|bytes| String::from_utf8(bytes).ok());
            handle.send(Command::TakePort(memory));
        })?;

    Ok(())
}

/// What makes a successor.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) program: Program,
    /// The packet socket, once more.
    pub(crate) socket: OwnedFd,
    pub(crate) probes: ProbeSeed,
    /// Says that the LAN was left to the successor, and what it should remember.
    pub(crate) released: Receiver<Option<String>>,
    pub(crate) handle: Handle,
}

/// Returns what [`Parent::released`] listens to, and what tells it.
pub(crate) fn release() -> (
    Receiver<Option<String>>,
    Box<dyn FnMut(Option<String>) + Send>,
) {
    let (sender, released) = sync_channel(1);

    // Nobody asks twice.
    (
        released,
        Box::new(move |memory| drop(sender.try_send(memory))),
    )
}

impl Parent {
    /// Makes a successor at every SIGUSR2, on a thread of its own, until one has taken over.
    pub(crate) fn watch(self, mut signals: Signals) -> io::Result<()> {
        std::thread::Builder::new()
            .name("handover".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    match self.hand_over() {
                        Ok(successor_id) => {
                            // Nobody is left to tell if the terminal is gone.
                            let _said = writeln!(
                                io::stdout(),
                                "gateway handed over to process {successor_id}"
                            );
                            return;
                        }
                        Err(error) => tracing::warn!("no successor: {error:#}; going on"),
                    }
                }
            })?;

        Ok(())
    }

    /// Lets a new process take over. Returns its id.
    fn hand_over(&self) -> Result<u32> {
        tracing::info!("starting the successor");
        let mut successor = Successor::start(&self.program)?;
        let told = self.ask().and_then(|member_handover| {
            let handover_state = HandoverState {
                token: member_handover.token,
                memory: member_handover.memory,
                probes: self.probes,
            };
            successor.pass(
                &[self.socket.as_fd()],
                &serde_json::to_vec(&handover_state)?,
            )?;

            self.wait(&mut successor)
        });
        match told {
            Ok(memory) => {
                let successor_id = successor.process.id();
                Supervisor::from_environment().main_process(successor_id);
                // Without this it takes the LAN when this process ends.
                let _told = successor.tell(memory.unwrap_or_default().as_bytes());
                Ok(successor_id)
            }
            Err(error) => {
                successor.abandon();
                self.handle.send(Command::KeepOn);
                Err(error)
            }
        }
    }

    fn ask(&self) -> Result<MemberHandover> {
        let (sender, answer) = sync_channel(1);
        self.handle.send(Command::HandOver(sender));

        (answer.recv_timeout(ANSWER).ok().flatten())
            .context("this gateway is not in the room now, or is on its way to another relay")
    }

    /// Waits until the LAN was left to the successor.
    fn wait(&self, successor: &mut Successor) -> Result<Option<String>> {
        let begun = Instant::now();
        loop {
            match self.released.recv_timeout(LOOK) {
                Ok(memory) => return Ok(memory),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("this gateway has ended"),
            }
            let ended = successor.process.try_wait()?;
            ensure!(
                ended.is_none(),
                "the new process is gone; its last words say why"
            );
            ensure!(
                begun.elapsed() < TAKING,
                "the new process does not become the gateway"
            );
        }
    }
}

/// Watches for the signal, which would end the process otherwise.
pub(crate) fn signals() -> io::Result<Signals> {
    Signals::new([SIGUSR2])
}
