//! A relay and its successor: a new process takes over port, rooms and members while everybody plays.
//!
//! On SIGUSR2 the relay starts its own program again, as [`lanparty_handover`] says:
//!
//! | who | says | then |
//! |---|---|---|
//! | successor | that it is prepared | it has read its settings; what is wrong with them ends it here, and the old relay goes on |
//! | old relay | its sockets, its rooms | it admits nobody from now on |
//! | successor | that it listens | packets of new connections go to it ([`lanparty_linux::steer::Aim::Both`]) |
//! | old relay | closes the socket | its members have moved (`docs/protocol.md`, clause 4.10), and all packets go to the successor |

use anyhow::{Context as _, Result};
use lanparty_handover::{Predecessor, Successor};
use lanparty_linux::steer::Bank;
use lanparty_switch::RoomRecord;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::ports::Ports;

/// What passes from process to process.
#[derive(Debug)]
pub(crate) struct HandoverState {
    pub(crate) ports: Ports,
    /// The rooms of each worker.
    pub(crate) rooms: Vec<Vec<RoomRecord>>,
}

/// Hands over sockets and rooms, and waits until the successor listens.
pub(crate) fn hand_over(
    successor: &mut Successor,
    ports: &Ports,
    rooms: &[Vec<RoomRecord>],
) -> Result<()> {
    let bank = match ports.bank {
        Bank::First => 0,
        Bank::Second => 1,
    };
    let state = json!({"workers": ports.workers, "bank": bank, "rooms": rooms}).to_string();
    successor.pass(&ports.fds(), state.as_bytes())?;

    successor.wait_listening()
}

/// Says that everything is prepared, and takes over sockets and rooms.
pub(crate) fn receive(predecessor: &mut Predecessor) -> Result<HandoverState, Failure> {
    predecessor.prepared()?;
    let (fds, state) = predecessor.receive()?;
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
    let rooms = serde_json::from_value(rooms).context("the old relay's rooms are not readable")?;

    Ok(HandoverState {
        ports: Ports::inherit(fds, workers, theirs.other())?,
        rooms,
    })
}
