//! The tunnel contract: Ethernet frames, overlay datagrams, MTU budgets, Layer 2 safety policy.
//!
//! Everything here turns bytes into values or values into bytes. Nothing reads a clock, opens a socket or allocates per
//! frame. `docs/protocol.md` numbers the clauses that this code cites.

pub mod address_info;
pub mod budget;
pub mod checksum;
pub mod ethernet;
pub mod fragment;
pub mod ip;
pub mod mac;
pub mod overlay;
pub mod player;
pub mod policy;
pub mod probe;
mod read;
pub mod traffic;

pub use checksum::ChecksumState;
pub use ethernet::{EtherType, Frame, FrameError, Kind};
pub use mac::{IdentityError, MacAddr};
pub use overlay::{Overlay, OverlayError, PeerId, RoomId};
pub use policy::{Direction, Policy, Refusal};
pub use traffic::TrafficClass;
