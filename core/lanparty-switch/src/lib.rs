//! The relay's brain: rooms, membership, forwarding, rate limits.
//!
//! A [`Switch`] decides and never acts. It is told about hellos, datagrams, ends of connections and the time; it answers with a
//! [`Verdict`] or with [`Output`]s, which the caller carries out. Drive it like this:
//!
//! 1. [`Switch::handle_hello`] for a connection's first message; on success keep the [`Membership`] beside the connection, else
//!    send the reject and close.
//! 2. [`Switch::handle_datagram`] for every datagram, and send what the verdict says.
//! 3. [`Switch::handle_budget`], [`Switch::handle_stats`], [`Switch::handle_leave`] and [`Switch::handle_lost`] as they happen.
//! 4. [`Switch::poll_output`] until it returns `None`, after any of the above.
//! 5. [`Switch::handle_timeout`] once the time in [`Switch::poll_timeout`] has come.
//!
//! A datagram that passes is forwarded unchanged: its header was checked to be the truth, so there is nothing to stamp, and every
//! target gets the same bytes.
//!
//! # Mode and MTU of a room
//!
//! Both are settled by the first member and never change. A room whose first member can do full-frame mode has an MTU of 1500 and
//! takes everybody who can as well, whatever their path carries. Any other room has what the first member's path carries, but not
//! more than [`Limits::native_mtu`], which is small enough that hardly anybody is turned away for it.

mod blocks;
mod limits;
mod member;
mod members;
mod membership;
mod old_path;
mod output;
mod rates;
mod record;
mod refusal;
mod room;
mod rooms;
mod snapshot;
mod split;
mod stations;
mod switch;
mod takeover_guard;
mod verdict;

pub use lanparty_bounds::Rate;
pub use lanparty_proto::fragment::RELAY_SEQUENCE;
pub use limits::{DEFAULT_NATIVE_MTU, Limits, MAX_BUDGET, RoomMode};
pub use membership::{ConnId, Joiner, Membership, Token};
pub use output::{Left, Output};
pub use record::{MemberRecord, RoomRecord};
pub use snapshot::{MemberSnapshot, RoomSnapshot, Totals};
pub use split::split_datagram;
pub use switch::Switch;
pub use verdict::{Dropped, Fit, Forward, Sender, Target, Verdict};
