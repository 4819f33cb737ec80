//! What bounds rates and tables.
//!
//! - [`TokenBucket`] limits how often something may happen, by a [`Rate`].
//! - [`AgeingMap`] remembers at most so many keys, each until a deadline.
//!
//! Both take the time as an argument and know nothing of what they bound.

mod ageing_map;
mod token_bucket;

pub use ageing_map::AgeingMap;
pub use token_bucket::{Rate, TokenBucket};
