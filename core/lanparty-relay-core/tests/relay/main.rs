//! A relay's core and its connections in virtual time: every deadline and every limit.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail like tests"
)]

mod deadlines;
mod handover;
mod joins;
mod limits;
mod shutdown;
mod stage;
mod standby;
