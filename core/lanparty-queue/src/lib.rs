//! Queueing and rate: what keeps games fast while something else downloads.
//!
//! [`FqCodel`] decides which datagram goes next, [`Shaper`] when, [`RateController`] how fast the path is; [`EgressQueue`] composes the
//! three for one destination. Nothing here reads a clock or does I/O. `docs/queueing.md` has the design and what simulations show.

mod codel;
pub mod control;
mod egress;
pub mod fq;
mod item;
pub mod rate;
pub mod shaper;
mod slab;
pub mod tempo;

pub use codel::CodelParams;
pub use control::{AckBatch, RateController};
pub use egress::{EgressConfig, EgressQueue, MAX_TRAIN, Pace, RELEASE_AFTER};
pub use fq::{Enqueued, FqCodel, FqConfig};
pub use item::{QueueCounts, QueueDrop, QueueItem};
pub use lanparty_proto::TrafficClass;
pub use rate::{BitRate, PaceSetting, ParseRateError};
pub use shaper::Shaper;
pub use tempo::Tempo;
