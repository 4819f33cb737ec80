//! A line that is as bad as you ask for, and the same every time.
//!
//! A [`Line`] is one direction of a line as a state machine: packets in, packets out later, or never, twice,
//! damaged, or out of order. Every packet draws the same number of random numbers, so what happens to packet
//! `n` depends on the seed and `n` alone. A [`Proxy`] puts two lines between UDP peers.

mod line;
mod proxy;
mod rng;

pub use self::line::{Impairment, Line, LineCounts, Loss, Rate};
pub use self::proxy::{Counts, Proxy};
pub use self::rng::Rng;
