//! Segmentation, coalescing and MSS: frames as network cards leave them, and back.
//!
//! A kernel with offloads hands over and takes *super-frames*: up to 64 KiB of one flow under one set of headers, with a
//! checksum still to be computed, described by a [`VnetHeader`]. The wire of the tunnel carries ordinary frames.
//!
//! - From the kernel: [`Super::parse`], then [`Super::segments`]; every [`Segment`] writes itself into the caller's buffer.
//! - To the kernel: [`Coalescer::push`] for every frame of a batch, then [`Coalescer::flush`].
//! - In between: [`mss::clamp`], [`ipv4_fragment::fragment`], [`too_big::answer`] for what does not fit, and [`flow`] for
//!   who queues with whom and how; [`ack::supersedes`] for which acknowledgements need not travel.
//! - To the UDP socket: [`Train`].
//!
//! Every byte is hostile: offsets are checked once, when a frame is read, and nothing here allocates per frame.

pub mod ack;
mod bytewise;
pub mod coalesce;
pub mod flow;
pub mod ipv4_fragment;
pub mod mss;
pub mod segment;
pub mod too_big;
pub mod train;
pub mod vnet;

pub use coalesce::{Coalescer, Out};
pub use flow::{Flow, FlowHasher};
pub use segment::{Segment, SegmentRefusal, Segments, Super};
pub use train::Train;
pub use vnet::VnetHeader;
