//! Carrying out what the session asks for.

use std::time::Instant;

use lanparty_ctrl::close_code;
use lanparty_net::CloseCause;
use lanparty_session::{ConnectionError, ConnectionId, Output};
use lanparty_tunnel::DataPath;

use super::Member;
use crate::mailbox::Command;
use crate::port::{Port, PortError};

impl<P: Port, D: DataPath> Member<P, D> {
    /// Carries out what the session asks for.
    pub(super) fn process_outputs(&mut self, now: Instant) -> Result<(), PortError> {
        while let Some(output) = self.config.session.poll_output() {
            self.path.handle_session(&output, now, &mut self.outbox);
            match output {
                Output::Connect { id, worker } => self.dial(id, worker, now),
                Output::Send { id, bytes } => self.send_control(id, bytes, now),
                Output::Close { id, code, reason } => self.connections.close(id, code, reason, now),
                Output::Joined(info) => {
                    self.port.handle_joined(&info)?;
                    self.away_since = None;
                    if let Some(membership) = &mut self.membership {
                        membership.handle_joined(info.resume.as_ref());
                    }
                    self.joined = Some(info);
                }
                Output::Detached => {
                    self.joined = None;
                    self.away_since = Some(now);
                }
                Output::PeerJoined(_)
                | Output::PeerLeft(..)
                | Output::PeerDetached(_)
                | Output::PeerResumed(_)
                | Output::ForeignSource(_) => {}
                Output::Status(line) => (self.config.status)(&line),
                Output::Ended(end) => self.end = Some(end),
            }
        }
        if let Some(remotes) = self.path.take_remotes() {
            self.port.handle_remotes(&remotes);
        }

        Ok(())
    }

    /// Begins an attempt at the addresses known, and asks for newer ones beside it unless it is the first.
    pub(super) fn dial(&mut self, attempt: ConnectionId, worker: Option<u8>, now: Instant) {
        self.connections.dial(attempt, worker, now);
        if !std::mem::replace(&mut self.has_dialled, true) {
            return;
        }
        let (relay, handle) = (self.config.relay.clone(), self.handle.clone());
        // The system's resolver blocks for seconds while there is no network. The thread ends with its one answer.
        let _detached = std::thread::Builder::new()
            .name("resolve".to_owned())
            .spawn(move || match relay.resolve() {
                Ok(addresses) => drop(handle.send(Command::Resolved(addresses))),
                Err(error) => tracing::debug!(%error, "the relay's name cannot be resolved now"),
            });
    }

    pub(super) fn send_control(&mut self, attempt: ConnectionId, bytes: Vec<u8>, now: Instant) {
        let Some(connection) = self.connections.connected(attempt) else {
            return;
        };
        if !connection.endpoint.send_control(connection.link, bytes) {
            self.connections.close(
                attempt,
                close_code::PROTOCOL,
                "the relay does not read",
                now,
            );
            self.config
                .session
                .handle_closed(attempt, ConnectionError::ControlEnded, now);
        }
    }
}

pub(super) fn cause_of(cause: CloseCause) -> ConnectionError {
    match cause {
        CloseCause::TimedOut => ConnectionError::TimedOut,
        CloseCause::Reset => ConnectionError::Reset,
        CloseCause::Certificate(text) => ConnectionError::Certificate(text),
        CloseCause::Application { code, text } => ConnectionError::Closed { code, text },
        CloseCause::Transport(text) => ConnectionError::Transport(text),
        CloseCause::Control => ConnectionError::ControlEnded,
    }
}
