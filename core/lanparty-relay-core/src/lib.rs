//! The relay's decisions: who may connect, who is admitted, how long anything is waited for, and how
//! one relay process gives way to the next.
//!
//! A [`Relay`] decides for one worker and never acts. It owns a [`Switch`](lanparty_switch::Switch)
//! and the state of every connection. Drive it like this:
//!
//! 1. [`Relay::handle_connected`], [`Relay::handle_control`], [`Relay::handle_budget`],
//!    [`Relay::handle_backlog`] and [`Relay::handle_closed`] as they happen on a connection.
//! 2. [`Relay::handle_datagram`] for every datagram, and send what its [`Verdict`] says.
//! 3. [`Relay::poll_output`] until it returns `None`, after any of the above. Every [`Output`] is an
//!    order, but for [`Output::Claim`], which is a question: answer it with [`Relay::handle_claim`]
//!    before the next input.
//! 4. [`Relay::handle_timeout`] once the time in [`Relay::poll_timeout`] has come.
//! 5. [`Relay::prepare_handover`], [`Relay::begin_drain`] and [`Relay::handle_shutdown`] when the
//!    process is to end; then [`Relay::is_over`] says when it may.
//!
//! What the workers of a process share has two types of its own, which the program puts behind its
//! locks: [`Directory`] says which worker has a room, [`AdmissionControl`] decides who may connect
//! before a handshake costs anything.
//!
//! # Phases of a connection
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Silent: handle_connected
//!     Silent --> Settling: hello, and the room's MTU depends on a path that is being explored
//!     Silent --> Claiming: hello
//!     Settling --> Claiming: the path carries enough, or 500 ms are over
//!     Claiming --> Member: welcome
//!     Claiming --> Leaving: reject, or redirect to another worker
//!     Silent --> Leaving: protocol violation, shutdown
//!     Settling --> Leaving: protocol violation, shutdown
//!     Member --> Leaving: protocol violation, removal, shutdown
//!     Silent --> [*]: no hello in time, too many silent connections
//!     Member --> [*]: goodbye, connection lost, superseded
//!     Leaving --> [*]: one second is over, or the peer closes
//! ```
//!
//! Each connection is in one `Phase`; what a phase needs is inside it. Newcomers that wait for more
//! than a claim (an operator's decision, a ticket that is checked elsewhere) are another phase
//! between `Settling` and `Member`.

pub mod admission;
mod connection;
mod connections;
mod control;
mod data;
mod deadlines;
mod directory;
mod handover;
mod join;
mod output;
mod progress;
mod relay;
mod silent;

pub use admission::{AdmissionControl, Limit};
pub use data::{Flow, Verdict};
pub use directory::{Directory, Home};
pub use output::{Claim, Ended, Event, Liveness, Output};
pub use relay::{Config, Relay};
