//! The control plane of a member, client or gateway, as a state machine: no sockets, no clock, no
//! threads.
//!
//! A [`Session`] connects, joins, comes back and leaves. What frames go through is another crate's
//! (`lanparty-tunnel`). [`Session::state`] says where it is:
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Idle
//!     Idle --> Joining: start
//!     Joining --> Joined: welcome
//!     Joining --> Standby: the room has a gateway
//!     Standby --> Joined: welcome
//!     Joined --> Probing: silence
//!     Probing --> Joined: an answer, or another welcome
//!     Joined --> Moving: the relay has a successor
//!     Probing --> Moving: the relay has a successor
//!     Moving --> Prepared: welcome of the successor
//!     Probing --> Prepared: welcome of the successor, by the second connection
//!     Moving --> Joined: welcome, break first
//!     Prepared --> Joined: move
//!     Prepared --> Moving: the connection to the successor is lost
//!     Joined --> Reconnecting: connection lost
//!     Probing --> Reconnecting: connection lost
//!     Moving --> Reconnecting: connection lost
//!     Reconnecting --> Joined: welcome
//!     Reconnecting --> Standby: the room has another gateway
//!     Probing --> Standby: the room has another gateway
//!     Joined --> HandedOver: another process is the member
//!     HandedOver --> Leaving: leave
//!     Joined --> Leaving: leave
//!     Leaving --> Ended: the relay knows
//!     Ended --> [*]
//! ```
//!
//! Any state can end at once: refused, removed, or not understood.
//!
//! ```
//! # use std::time::{Duration, Instant};
//! use lanparty_ctrl::Role;
//! use lanparty_session::{Output, Session, SessionConfig, Standby, State};
//!
//! let mut session = Session::new(SessionConfig {
//!     relay: "relay.example:443".into(),
//!     role: Role::Client,
//!     room: "PARTY".parse().unwrap(),
//!     mac: Some("02:00:00:00:00:01".parse().unwrap()),
//!     interface: "softlan0".into(),
//!     budget: 1434,
//!     full_frame: true,
//!     down_rate: None,
//!     program: "example".into(),
//!     program_version: "1".into(),
//!     generation: 1,
//!     resume: None,
//!     instance: 7,
//!     standby: Standby::Never,
//!     seed: 7,
//! });
//! # let now = Instant::now();
//! session.start(now);
//!
//! let id = loop {
//!     match session.poll_output().expect("it wants a connection") {
//!         Output::Connect { id, .. } => break id,
//!         Output::Status(line) => println!("{line}"),
//!         other => unreachable!("{other:?}"),
//!     }
//! };
//! session.handle_connected(id, 1434, Duration::from_millis(20), now);
//! assert!(matches!(session.poll_output(), Some(Output::Send { .. })), "the hello");
//! assert_eq!(session.state(), State::Joining);
//! assert!(session.poll_timeout().is_some(), "the relay has to answer in time");
//! ```

pub mod session;

pub use session::{
    ConnectionError, ConnectionId, EndKind, JoinInfo, Neighbor, Output, Peer, SUSPICION, Session,
    SessionConfig, SessionEnd, Standby, State,
};
